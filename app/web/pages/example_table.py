"""The examples of a model as a table: a line for each field, a column for each example."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.web.pages.display import labels
from app.web.pages.forms import Field
from mlmodel.schema.shape import is_number

#: Most examples and fields in the table.
MOST_EXAMPLES, MOST_FIELDS = 10, 60
#: Characters of a value that are shown.
LONGEST = 80


@dataclass(frozen=True)
class Example:
    """An example row and its name."""

    name: str
    row: Any

    @property
    def json(self) -> str:
        """The row as JSON."""
        return json.dumps(self.row)


@dataclass(frozen=True)
class FieldLine:
    """The values of one field in all examples."""

    label: str
    unit: str
    values: Sequence[str]
    is_number: bool


def name_examples(rows: Sequence[Any], names: Sequence[str]) -> list[Example]:
    """Return rows with their names; those without one are numbered."""
    numbered = [f"Example {number}" for number in range(len(names) + 1, len(rows) + 1)]
    return [Example(name, row) for name, row in zip([*names, *numbered], rows, strict=False)]


def get_lines(form: Field, examples: Sequence[Example]) -> list[FieldLine]:
    """Return the table's lines: for rows that are objects, the fields of the form."""
    rows = [example.row for example in examples]
    if form.control != "group" or not all(isinstance(row, Mapping) for row in rows):
        return [FieldLine("Row", "", [_to_text(form, row) for row in rows], is_number=False)]
    fields = [field for field in form.fields if field.key][:MOST_FIELDS]
    return [
        FieldLine(
            field.label,
            field.unit,
            [_to_text(field, row.get(field.key)) for row in rows],
            is_number=field.kind == "number",
        )
        for field in fields
    ]


def _to_text(field: Field, value: Any) -> str:
    if value is None:
        return ""
    text = json.dumps(value, ensure_ascii=False)
    names = {choice.value: choice.label for choice in field.choices}
    if field.control != "input" and text in names:
        return names[text]
    if is_number(value):
        return labels.format_number(value, False if field.unit else None)
    shown = value if isinstance(value, str) else text
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"

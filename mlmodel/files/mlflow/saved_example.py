"""The input example that MLflow saved with a model.

Source: ``mlflow.models.utils``, ``_Example``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlmodel.bounded.metadata import parse
from mlmodel.errors import BadMetadata
from mlmodel.model import Row

#: Maximum size of the file; larger examples, such as pictures, are not shown.
MAX_BYTES = 1_000_000
#: Rows that become examples.
MAX_ROWS = 3


@dataclass(frozen=True)
class Example:
    """A saved input example, in one of the forms of MLflow."""

    value: Any

    def rows(self, names: Sequence[str]) -> list[Row]:
        """Return the first rows of the example; none if it has another form.

        :param names: the members of a row, for an example without names.
        """
        value = self.value
        if isinstance(value, Mapping):
            return _rows_of_object(value, names)
        if not isinstance(value, list):
            return []
        rows = value[:MAX_ROWS]
        if all(isinstance(row, Mapping) for row in rows):
            return [dict(row) for row in rows]
        return _with_names(rows, names)


def decode(content: bytes) -> Example | None:
    """Return the example in a file; ``None`` if the file is too large or not JSON."""
    if len(content) > MAX_BYTES:
        return None
    try:
        value = parse(content)
    except BadMetadata:
        return None
    is_with_params = isinstance(value, Mapping) and set(value) == {"inputs", "params"}
    return Example(value["inputs"] if is_with_params else value)


def _rows_of_object(value: Mapping[str, Any], names: Sequence[str]) -> list[Row]:
    columns, data = value.get("columns"), value.get("data")
    if isinstance(data, list) and set(value) <= {"columns", "data", "index"}:
        are_texts = isinstance(columns, list) and all(isinstance(each, str) for each in columns)
        return _with_names(data[:MAX_ROWS], columns if columns and are_texts else names)
    tensors = [value[name] for name in names if isinstance(value.get(name), list)]
    if len(tensors) == len(names) == len(value) and tensors:
        rows = list(zip(*tensors, strict=False))[:MAX_ROWS]
        return [dict(zip(names, row, strict=True)) for row in rows]
    return [dict(value)]


def _with_names(rows: Sequence[Any], names: Sequence[str]) -> list[Row]:
    return [
        dict(zip(names, row, strict=True))
        for row in rows
        if isinstance(row, list) and len(row) == len(names)
    ]

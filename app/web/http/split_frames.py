"""Rows that a body writes by columns, as pandas' ``to_json(orient="split")`` writes a frame:
``{"columns": ["a", "b"], "index": [0, 1], "data": [[1, 2], [3, 4]]}``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from app.serving.errors import TooManyRows
from app.serving.models.predictor import TOLD_VIOLATIONS
from app.serving.tables.csv_cells import Members
from mlmodel.errors import InvalidInput, Violation
from mlmodel.schema.messages import shown
from mlmodel.schema.shape import unescaped

#: What such a body has. The index numbers or names the lines, and says nothing to a model.
NAMES, LINES, INDEX = "columns", "data", "index"


def is_likely(body: Any) -> bool:
    """Tell whether a body looks as if it wrote rows by columns."""
    return (
        isinstance(body, dict)
        and isinstance(body.get(NAMES), list)
        and isinstance(body.get(LINES), list)
        and body.keys() <= {NAMES, LINES, INDEX}
    )


def are_possible(schema: Mapping[str, Any] | None) -> bool:
    """Tell whether rows of a schema may be written so: not if it names such members itself."""
    if schema is None:
        return True
    members = Members(schema)
    are_objects = "object" in schema.get("type", "object")
    return are_objects and not {NAMES, LINES} & (members.names.keys() | members.required)


def written(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the body that writes rows of the same members by columns."""
    names = list(rows[0])
    return {NAMES: names, LINES: [[row[name] for name in names] for row in rows]}


def rows_of(body: dict[str, Any], most: int) -> list[dict[str, Any]]:
    """Return the rows of a likely body, which is used up: its lines become the rows.

    :raises TooManyRows: if there are more than ``most``.
    :raises InvalidInput: if names are no texts or come twice, or lines differ from them in length.
    """
    names, lines = body[NAMES], body[LINES]
    if len(lines) > most:
        raise TooManyRows(most, len(lines))
    violations = tuple(islice(_violations(body), TOLD_VIOLATIONS))
    if violations:
        raise InvalidInput("the columns and lines do not match", violations=violations)
    for place, line in enumerate(lines):
        # Each line is let go when its row is made: never are all lines held beside all rows.
        lines[place] = dict(zip(names, line, strict=True))
    return lines


def placed(violations: Sequence[Violation], names: Sequence[str]) -> list[Violation]:
    """Return violations of rows with pointers into the body that wrote them by columns.

    A column that is missing is told once, and not of every line.
    """
    places = {name: place for place, name in enumerate(names)}
    return list(dict.fromkeys(_placed(each, places) for each in violations))


def _placed(violation: Violation, places: Mapping[str, int]) -> Violation:
    line = f"/{LINES}/{violation.row}"
    member, slash, rest = violation.pointer.removeprefix("/").partition("/")
    name = unescaped(member)
    if not violation.pointer:
        return replace(violation, pointer=line)
    if name not in places:
        return Violation(f"/{NAMES}", f"{shown(name)} {violation.detail}")
    return replace(violation, pointer=f"{line}/{places[name]}{slash}{rest}")


def _violations(body: Mapping[str, Any]) -> Iterator[Violation]:
    names, lines = body[NAMES], body[LINES]
    yield from _of_names(names)
    index = body.get(INDEX, lines)
    if not isinstance(index, list) or len(index) not in (0, len(lines)):
        detail = f"must be a list of {len(lines)}, one for each of {LINES}, got {_said(index)}"
        yield Violation(f"/{INDEX}", detail)
    if set(map(type, lines)) <= {list} and set(map(len, lines)) <= {len(names)}:
        return
    for place, line in enumerate(lines):
        if not isinstance(line, list) or len(line) != len(names):
            detail = f"must be a list of {len(names)}, one for each of {NAMES}, got {_said(line)}"
            yield Violation(f"/{LINES}/{place}", detail)


def _said(value: Any) -> str:
    return f"a list of {len(value)}" if isinstance(value, list) else shown(value)


def _of_names(names: Sequence[Any]) -> Iterator[Violation]:
    seen = set[str]()
    for place, name in enumerate(names):
        if not isinstance(name, str):
            yield Violation(f"/{NAMES}/{place}", f"must be text, got {shown(name)}")
        elif name in seen:
            yield Violation(f"/{NAMES}/{place}", f"names {shown(name)} once more")
        else:
            seen.add(name)

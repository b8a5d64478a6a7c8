"""Request bodies in pandas' split format, as ``DataFrame.to_json(orient="split")`` writes them:
``{"columns": ["a", "b"], "index": [0, 1], "data": [[1, 2], [3, 4]]}``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from operator import itemgetter
from typing import Any

from app.serving.errors import TooManyRows
from app.serving.models.predictor import MAX_VIOLATIONS
from app.serving.tables.csv_cells import Members
from mlmodel.errors import InvalidInput, Violation
from mlmodel.schema.messages import to_short_json
from mlmodel.schema.rows import Table
from mlmodel.schema.shape import unescape

#: The members of such a body. The index labels the lines and is not passed to the model.
NAMES, LINES, INDEX = "columns", "data", "index"


def is_likely(body: Any) -> bool:
    """Return whether a body looks like the split format."""
    return (
        isinstance(body, dict)
        and isinstance(body.get(NAMES), list)
        and isinstance(body.get(LINES), list)
        and body.keys() <= {NAMES, LINES, INDEX}
    )


def is_allowed(schema: Mapping[str, Any] | None) -> bool:
    """Return whether a schema permits the split format: not if its rows have such members."""
    if schema is None:
        return True
    members = Members(schema)
    are_objects = "object" in schema.get("type", "object")
    return are_objects and not {NAMES, LINES} & (members.names.keys() | members.required)


def to_split_frame(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the split format of rows that have the same members."""
    names = list(rows[0])
    return {NAMES: names, LINES: [[row[name] for name in names] for row in rows]}


def to_rows(body: Mapping[str, Any], most: int) -> Table:
    """Return the rows of a likely body, whose lines are removed to free their memory.

    :raises TooManyRows: if there are more than ``most``.
    :raises InvalidInput: if names are not strings or not unique, or a line or the index has the
        wrong length.
    """
    names, lines = body[NAMES], body[LINES]
    if len(lines) > most:
        raise TooManyRows(most, len(lines))
    violations = tuple(islice(_violations(body), MAX_VIOLATIONS))
    if violations:
        raise InvalidInput("the columns and lines do not match", violations=violations)
    columns, count = to_columns(names, lines), len(lines)
    lines.clear()  # lines and rows are never all in memory
    return Table.build(count, columns)


def to_columns(names: Sequence[str], lines: Sequence[list[Any]]) -> dict[str, list[Any]]:
    """Return the values of lines by column."""
    return {name: list(map(itemgetter(at), lines)) for at, name in enumerate(names)}


def with_frame_pointers(
    violations: Sequence[Violation], names: Sequence[str]
) -> tuple[Violation, ...]:
    """Return violations of rows with pointers into the split-format body.

    A missing column is reported once, not for every line.
    """
    places = {name: place for place, name in enumerate(names)}
    return tuple(dict.fromkeys(_move(each, places) for each in violations))


def _move(violation: Violation, places: Mapping[str, int]) -> Violation:
    line = f"/{LINES}/{violation.row}"
    member, slash, rest = violation.pointer.removeprefix("/").partition("/")
    name = unescape(member)
    if not violation.pointer:
        return replace(violation, pointer=line)
    if name not in places:
        return Violation(f"/{NAMES}", f"{to_short_json(name)} {violation.detail}")
    return replace(violation, pointer=f"{line}/{places[name]}{slash}{rest}")


def _violations(body: Mapping[str, Any]) -> Iterator[Violation]:
    names, lines = body[NAMES], body[LINES]
    yield from _of_names(names)
    index = body.get(INDEX, lines)
    if not isinstance(index, list) or len(index) not in (0, len(lines)):
        detail = f"must be a list of {len(lines)}, one for each of {LINES}, got {_kind(index)}"
        yield Violation(f"/{INDEX}", detail)
    if set(map(type, lines)) <= {list} and set(map(len, lines)) <= {len(names)}:
        return
    for place, line in enumerate(lines):
        if not isinstance(line, list) or len(line) != len(names):
            detail = f"must be a list of {len(names)}, one for each of {NAMES}, got {_kind(line)}"
            yield Violation(f"/{LINES}/{place}", detail)


def _kind(value: Any) -> str:
    return f"a list of {len(value)}" if isinstance(value, list) else to_short_json(value)


def _of_names(names: Sequence[Any]) -> Iterator[Violation]:
    seen = set[str]()
    for place, name in enumerate(names):
        if not isinstance(name, str):
            yield Violation(f"/{NAMES}/{place}", f"must be text, got {to_short_json(name)}")
        elif name in seen:
            yield Violation(f"/{NAMES}/{place}", f"duplicates the column {to_short_json(name)}")
        else:
            seen.add(name)

"""Rows in files: JSON, NDJSON and CSV, their cells typed by a model's input schema."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TextIO

from mlmodel.errors import InvalidInput
from mlmodel.references import JsonSchema, resolve

#: The ending of a file's name, and how its rows are written.
FORMATS = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "ndjson",
    ".ndjson": "ndjson",
}
#: What may stand between the cells of a line; the one that the header has most often does.
DELIMITERS = ",;\t"
#: What stands for nothing in a cell that is no text, beside an empty one.
NOTHING = frozenset({"na", "nan", "null", "none"})
TRUTH = {"true": True, "false": False}
DIGITS = {"1": True, "0": False}
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Placed:
    """A row, its place among the others, from 0, and the line in which it begins.

    ``line`` counts from 1, and is ``None`` in a JSON document.
    """

    row: Any
    index: int
    line: int | None = None


@dataclass(frozen=True)
class Table:
    """Rows, to be taken once. ``is_single`` tells that the file is one JSON object, no list."""

    rows: Iterator[Placed]
    is_single: bool = False


def read(stream: TextIO, form: str, schema: JsonSchema) -> Table:
    """Return the rows of a file, read as they are taken; JSON is read at once.

    A cell of a CSV file becomes what its column's schema allows: a number, true or false, null,
    one of the choices, JSON for a list or an object; a text otherwise. An empty cell is null where
    the column may be null, and else not given. Whether a row is right is for the schema to say.

    :param form: one of the values of :data:`FORMATS`.
    :param stream: opened with ``newline=""``.
    :param schema: of a row; its references must lead somewhere.
    :raises InvalidInput: naming the line, if the file is not of that format; from the rows as well.
    """
    if form == "csv":
        return Table(_placed(_csv(stream, schema)))
    if form == "ndjson":
        return Table(_placed(_ndjson(stream)))
    document = _parsed(stream.read())
    if isinstance(document, list):
        return Table(_placed((row, None) for row in document))
    return Table(_placed([(document, None)]), is_single=True)


def write(answers: Sequence[Any], stream: TextIO, form: str) -> None:
    """Write answers to a file, in their order. In CSV, a member of a member is a column ``a.b``.

    :param form: one of the values of :data:`FORMATS`.
    """
    if form == "csv":
        _write_csv([flat(answer) for answer in answers], stream)
        return
    if form == "json":
        stream.write(_as_json(list(answers)) + "\n")
        return
    stream.writelines(_as_json(answer) + "\n" for answer in answers)


def flat(answer: Any) -> dict[str, Any]:
    """Return an answer as columns without objects in them; one that is no object is ``answer``."""
    if not isinstance(answer, Mapping):
        return {"answer": answer}
    return dict(_flat(answer, ""))


def columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return all names that rows have, in the order in which they first come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _placed(rows: Iterable[tuple[Any, int | None]]) -> Iterator[Placed]:
    for index, (row, line) in enumerate(rows):
        yield Placed(row, index, line)


def _parsed(text: str, line: int | None = None) -> Any:
    place = f"line {line}" if line else "the file"
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        at = f"column {error.colno}" if line else f"line {error.lineno}, column {error.colno}"
        raise InvalidInput(f"{place} is not JSON: {error.msg} ({at})") from error
    except ValueError as error:
        raise InvalidInput(f"{place} is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidInput(f"{place} is nested too deep") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _ndjson(stream: TextIO) -> Iterator[tuple[Any, int]]:
    for line, text in enumerate(stream, start=1):
        if text.strip():
            yield _parsed(text.rstrip("\r\n"), line), line


def _csv(stream: TextIO, schema: JsonSchema) -> Iterator[tuple[Any, int]]:
    first = stream.readline()
    reader = csv.reader(_chain(first, stream), delimiter=_delimiter(first), strict=True)
    try:
        names = _names(next(reader, []))
        members = [_Column(name, schema) for name in names]
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                yield _row(cells, members, line), line
            line = reader.line_num + 1
    except csv.Error as error:
        raise InvalidInput(f"line {reader.line_num} is not CSV: {error}") from error


def _chain(first: str, rest: Iterable[str]) -> Iterator[str]:
    yield first
    yield from rest


def _delimiter(header: str) -> str:
    return max(DELIMITERS, key=header.count)


def _names(header: Sequence[str]) -> list[str]:
    names = [name.strip() for name in header]
    if not any(names):
        raise InvalidInput("line 1 must name the columns")
    twice = {name for name in names if name and names.count(name) > 1}
    if twice:
        raise InvalidInput(f"line 1 names the column {min(twice)!r} more than once")
    return names


def _row(cells: Sequence[str], members: Sequence[_Column], line: int) -> dict[str, Any]:
    if len(cells) != len(members):
        raise InvalidInput(f"line {line} has {len(cells)} cells, the header has {len(members)}")
    # A column without a name is the numbering that pandas writes.
    values = {
        each.name: each.value(cell) for each, cell in zip(members, cells, strict=True) if each.name
    }
    return {name: value for name, value in values.items() if value is not _NOT_GIVEN}


_NOT_GIVEN = object()


class _Column:
    """What a schema says of one member of a row, as far as it tells how to read a text."""

    def __init__(self, name: str, schema: JsonSchema) -> None:
        rows = list(_together(schema, schema))
        parts = [part for row in rows for part in _member(row, name, schema)]
        constants = [value for part in parts for value in _constants(part)]
        self.name = name
        self._choices = {_as_text(value): value for value in reversed(constants)}
        self._types = {kind for part in parts for kind in _types(part)} | set(map(_type, constants))
        self._is_required = any(name in row.get("required", ()) for row in rows)

    def value(self, cell: str) -> Any:
        """Return what a cell means, or ``_NOT_GIVEN``."""
        if not cell.strip():
            return self._blank(cell)
        if cell in self._choices:
            return self._choices[cell]
        for kinds, read_text in _READERS:
            # Where the schema says nothing, what reads as a number or a truth is one.
            if self._types & kinds or (not self._types and kinds <= _PLAIN):
                value = read_text(cell.strip())
                if value is not _NOT_GIVEN:
                    return value
        return self._other(cell)

    def _blank(self, cell: str) -> Any:
        if cell in self._choices:
            return self._choices[cell]
        if "null" in self._types:
            return None
        is_text = "string" in self._types and not self._choices
        return cell if is_text and self._is_required else _NOT_GIVEN

    def _other(self, cell: str) -> Any:
        word = cell.strip().lower()
        if "string" in self._types:
            return cell
        if "null" in self._types and word in NOTHING:
            return None
        if "boolean" in self._types and not self._types & {"integer", "number"}:
            return DIGITS.get(word, cell)
        return cell


def _together(schema: Any, document: JsonSchema) -> Iterator[Mapping[str, Any]]:
    """Yield a schema and all others that may speak of the same value."""
    waiting, seen = [schema], set[int]()
    while waiting:
        part = waiting.pop(0)
        if not isinstance(part, Mapping) or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if "$ref" in part:
            waiting.append(resolve(part["$ref"], document))
        for keyword in ("allOf", "anyOf", "oneOf"):
            waiting += part.get(keyword, [])


def _member(row: Mapping[str, Any], name: str, document: JsonSchema) -> Iterator[Mapping[str, Any]]:
    properties = row.get("properties", {})
    part = properties[name] if name in properties else row.get("additionalProperties")
    return _together(part, document)


def _constants(schema: Mapping[str, Any]) -> list[Any]:
    return [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else [])]


def _types(schema: Mapping[str, Any]) -> Sequence[str]:
    types: str | list[str] = schema.get("type", [])
    return [types] if isinstance(types, str) else types


def _type(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", dict: "object"}
    return "null" if value is None else names.get(type(value), "array")


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else _as_json(value)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _number(text: str) -> Any:
    if not NUMBER.fullmatch(text):
        return _NOT_GIVEN
    number = float(text)
    if not math.isfinite(number):
        return _NOT_GIVEN
    return int(text) if text.lstrip("-").isdigit() else number


def _boolean(text: str) -> Any:
    return TRUTH.get(text.lower(), _NOT_GIVEN)


def _structure(text: str) -> Any:
    if text[0] not in "[{":
        return _NOT_GIVEN
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _NOT_GIVEN


#: Types, and what reads a text as a value of one of them.
_READERS: Sequence[tuple[frozenset[str], Callable[[str], Any]]] = (
    (frozenset({"integer", "number"}), _number),
    (frozenset({"boolean"}), _boolean),
    (frozenset({"array", "object"}), _structure),
)
_PLAIN = frozenset({"boolean", "integer", "number"})


def _flat(members: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in members.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _write_csv(rows: Sequence[Mapping[str, Any]], stream: TextIO) -> None:
    writer = csv.DictWriter(stream, columns(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: Any) -> str:
    return "" if value is None else _as_text(value)

"""Texts in the cells of a table, and the values that a model's input schema makes of them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from mlmodel.references import JsonSchema, resolve

#: What a blank cell means where it is no answer.
NOT_GIVEN = object()
#: What stands for nothing in a cell that is no text, beside an empty one.
NOTHING = frozenset({"na", "nan", "null", "none"})
TRUTH = {"true": True, "false": False}
DIGITS = {"1": True, "0": False}
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
#: JSON wants a digit before the point and no plus sign; people do not.
TYPED_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
#: With these a spreadsheet begins a formula; also those of full width. As in static/csv.js.
FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


class Column:
    """What a schema says of one member of a row, as far as it tells how to read a text."""

    def __init__(self, name: str, schema: JsonSchema) -> None:
        rows = list(_together(schema, schema))
        parts = [part for row in rows for part in _member(row, name, schema)]
        constants = [value for part in parts for value in _constants(part)]
        self.name = name
        self._choices = {as_text(value): value for value in reversed(constants)}
        self._types = {kind for part in parts for kind in _types(part)} | set(map(_type, constants))
        self._is_required = any(name in row.get("required", ()) for row in rows)

    def value(self, cell: str) -> Any:
        """Return what a cell means, or ``NOT_GIVEN``."""
        if not cell.strip():
            return self._blank(cell)
        if cell in self._choices:
            return self._choices[cell]
        for kinds, read_text in _READERS:
            # Where the schema says nothing, what reads as a number or a truth is one.
            if self._types & kinds or (not self._types and kinds <= _PLAIN):
                value = read_text(cell.strip())
                if value is not NOT_GIVEN:
                    return value
        return self._other(cell)

    def _blank(self, cell: str) -> Any:
        if cell in self._choices:
            return self._choices[cell]
        if "null" in self._types:
            return None
        is_text = "string" in self._types and not self._choices
        return cell if is_text and self._is_required else NOT_GIVEN

    def _other(self, cell: str) -> Any:
        word = cell.strip().lower()
        if "string" in self._types:
            return cell
        if "null" in self._types and word in NOTHING:
            return None
        if "boolean" in self._types and not self._types & {"integer", "number"}:
            return DIGITS.get(word, cell)
        return cell


class Members:
    """The members that a schema names of a row, and whether a column belongs to one."""

    def __init__(self, schema: JsonSchema) -> None:
        rows = list(_together(schema, schema))
        #: In their order, each once.
        self.names = dict.fromkeys(name for row in rows for name in row.get("properties", ()))
        self.required = {name for row in rows for name in row.get("required", ())}
        #: Whether a row may have members that the schema does not name, and wants them.
        self.is_open = not self.names or any(row.get("additionalProperties") for row in rows)

    def has(self, column: str) -> bool:
        """Tell whether a column is part of the row. One without a name is a line's number."""
        return bool(column) and (self.is_open or column in self.names)


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


def as_text(value: Any) -> str:
    """Return a value as the text of a cell: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else as_json(value)


def as_json(value: Any) -> str:
    """Return a value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def guarded(text: str) -> str:
    """Return a text for a cell that no spreadsheet takes for a formula."""
    is_formula = FORMULA.match(text) and not TYPED_NUMBER.fullmatch(text)
    return f"'{text}" if is_formula else text


def unguarded(text: str) -> str:
    """Return the text that :func:`guarded` was given."""
    rest = text.removeprefix("'")
    return rest if guarded(rest) == text else text


def _number(text: str) -> Any:
    if not NUMBER.fullmatch(text):
        return NOT_GIVEN
    number = float(text)
    if not math.isfinite(number):
        return NOT_GIVEN
    return int(text) if text.lstrip("-").isdigit() else number


def _boolean(text: str) -> Any:
    return TRUTH.get(text.lower(), NOT_GIVEN)


def from_json(text: str) -> Any:
    """Return the value of a JSON text, by the letter.

    :raises ValueError: if it is none, has NaN or a number beyond a double, or a key twice.
    """
    return _STRICT.decode(text)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text:.40} is beyond the range of a double")
    return number


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("an object has a key twice")
    return members


_STRICT = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_members)


def _structure(text: str) -> Any:
    if text[0] not in "[{":
        return NOT_GIVEN
    try:
        return from_json(text)
    except (ValueError, RecursionError):
        return NOT_GIVEN


#: Types, and what reads a text as a value of one of them.
_READERS: Sequence[tuple[frozenset[str], Callable[[str], Any]]] = (
    (frozenset({"integer", "number"}), _number),
    (frozenset({"boolean"}), _boolean),
    (frozenset({"array", "object"}), _structure),
)
_PLAIN = frozenset({"boolean", "integer", "number"})

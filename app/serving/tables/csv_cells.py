"""Conversion of table cells to the values that a model's input schema allows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, time
from math import isfinite
from typing import Any

from app.serving.json_text import parse, to_json
from mlmodel.schema.subschemas import (
    COMBINATIONS,
    JsonSchema,
    Subschemas,
    required_members,
    types_of,
)
from mlmodel.schema.texts.formats import get_format
from mlmodel.schema.texts.moments import to_iso, to_rfc3339
from mlmodel.schema.texts.numerals import COMMA, JSON_NUMBER, POINT, parse_number

#: The value of a blank cell whose member is left out of the row.
NOT_GIVEN = object()
#: Words for a missing value in a column that is not text, in addition to an empty cell.
NOTHING = frozenset({"na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "nat", "null", "none"})
#: Words for true and false, of programs, people, and spreadsheets in some languages.
TRUTH = {"true": True, "false": False}
WORDS = {
    **dict.fromkeys(("t", "yes", "y", "1", "1.0"), True),
    **dict.fromkeys(("f", "no", "n", "0", "0.0"), False),
    **dict.fromkeys(("wahr", "ja", "vrai", "oui", "vero", "verdadero", "sí", "si"), True),
    **dict.fromkeys(("falsch", "nein", "faux", "non", "falso"), False),
}
#: First characters of a formula in spreadsheets, with full-width forms, and of an escaped one. Same
#: as in static/csv.js.
FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
#: A number with any decimal mark, which is no formula.
SIGNED_NUMBER = re.compile(r"[+-]?[.,]?\d[\d.,]*([eE][+-]?\d+)?", re.ASCII)

#: A cell of a CSV file is text; one of a workbook may be any of these.
Cell = str | int | float | bool | datetime | time | None


class Column:
    """Converts the cells of one column by the schema of its member."""

    def __init__(self, name: str, row: Subschemas) -> None:
        parts = row.member(name).nodes
        constants = [value for part in parts for value in _constants(part)]
        self.name = name
        self.titles = {part["title"] for part in parts if isinstance(part.get("title"), str)}
        self._choices = {to_text(value): value for value in reversed(constants)}
        self._types = {kind for part in parts for kind in types_of(part)} | set(
            map(_type, constants)
        )
        self._formats = {get_format(part) for part in parts if "format" in part}
        #: Whether null is among its values.
        self.allows_null = "null" in self._types
        self._is_required = any(name in node.get("required", ()) for node in row.nodes)
        # Choices and examples, by their text without surrounding whitespace.
        self._texts = _group_by_stripped([*constants, *_examples(parts)])
        self._is_open_text = any(
            "string" in types_of(part) and not _constants(part) for part in parts
        )
        # Such a model was fitted on the empty text, and on no missing value.
        self._is_text_if_blank = any(
            "" in part.get("examples", ()) and part.get("x-seen-missing") is False for part in parts
        )
        #: Whether its cells are numbers and never text.
        self.is_number = bool(self._types & NUMBERS) and "string" not in self._types
        #: Whether its cells are numbers, and no value among them is special.
        self.is_plain = self.is_number and not self._choices

    def value(self, cell: Cell, decimal: str = POINT) -> Any:
        """Return the value of a cell, or ``NOT_GIVEN``. A text that fits no type is unchanged.

        :param decimal: the decimal mark of texts; empty if unknown.
        """
        if not isinstance(cell, str):
            return self._of_workbook(cell)
        # Fast path for plain numbers, the most common cells.
        if self.is_plain and decimal == POINT and JSON_NUMBER.fullmatch(cell):
            number = float(cell)
            if isfinite(number):
                return int(cell) if cell.lstrip("-").isdigit() else number
        text = cell.strip()
        if not text:
            return self._blank(cell)
        if cell in self._choices:
            return self._choices[cell]
        known = self._texts.get(text)
        if known:
            # If choices differ only in surrounding whitespace, only an exact match counts.
            return known[0] if len(known) == 1 else cell if cell in known else text
        return self._read(text, decimal)

    def _read(self, text: str, decimal: str) -> Any:
        number = self._number(text, decimal)
        if number is not None:
            return number
        # Without a type in the schema, numbers and booleans are recognized by their text.
        if "boolean" in self._types or not self._types:
            truth = TRUTH.get(text.lower())
            if truth is not None:
                return truth
        if self._types & STRUCTURES and text[0] in "[{":
            return _structure(text)
        return self._other(text)

    def _number(self, text: str, decimal: str) -> Any:
        if self.is_number:
            return parse_number(text, decimal)
        if self._types & NUMBERS or not self._types:
            # If the column may also hold text, only the JSON notation counts as a number.
            plain = text.replace(COMMA, POINT) if decimal == COMMA and POINT not in text else text
            return parse_number(plain, POINT) if JSON_NUMBER.fullmatch(plain) else None
        return None

    def _blank(self, cell: str) -> Any:
        if cell in self._choices:
            return self._choices[cell]
        if self._is_text_if_blank:
            return cell if cell in self._texts[""] else ""
        if "null" in self._types:
            return None
        is_text = "string" in self._types and not self._choices
        return cell if is_text and self._is_required else NOT_GIVEN

    def _other(self, text: str) -> Any:
        word = text.lower()
        if self._is_open_text:
            return self._iso(text)
        if word in NOTHING and ("null" in self._types or not self._is_required):
            return None if "null" in self._types else NOT_GIVEN
        if "boolean" in self._types and not self._types & NUMBERS:
            return WORDS.get(word, text)
        return text

    def _iso(self, text: str) -> str:
        zoned = to_rfc3339(text) if self._formats & ZONED else None
        if zoned is None and self._formats & WITHOUT_ZONE:
            return to_iso(text, is_day=not self._formats & TIMED) or text
        return zoned or text

    def _of_workbook(self, cell: int | float | datetime | time | None) -> Any:
        if cell is None:
            return self._blank("")
        if isinstance(cell, bool) and "boolean" in self._types:
            return cell
        if isinstance(cell, datetime | time):
            return self._moment(cell)
        if self._types & NUMBERS or not self._types:
            return cell
        return self.value(to_text(cell))

    def _moment(self, cell: datetime | time) -> str:
        is_day = isinstance(cell, datetime) and cell.time() == time.min
        # Parquet's moments may have nanoseconds, which `time` leaves out.
        if is_day and not self._formats & TIMED and not getattr(cell, "nanosecond", 0):
            return cell.isoformat()[: len("2026-01-31")]
        return cell.isoformat()


class Members:
    """The members that a schema names for a row."""

    def __init__(self, schema: JsonSchema) -> None:
        self._row = Subschemas(schema, COMBINATIONS)
        nodes = self._row.nodes
        #: Unique, in the order of the schema.
        self.names = self._row.names
        #: Those that every row must have.
        self.required = required_members(schema)
        #: Whether columns that the schema does not name are part of the row.
        self.is_open = not self.names or any(node.get("additionalProperties") for node in nodes)

    def has(self, column: str) -> bool:
        """Return whether a column is part of the row. A column without a name is an index."""
        return bool(column) and (self.is_open or column in self.names)

    def column(self, name: str) -> Column:
        """Return the column of a member."""
        return Column(name, self._row)


def _constants(schema: Mapping[str, Any]) -> list[Any]:
    return [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else [])]


def _type(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", dict: "object"}
    return "null" if value is None else names.get(type(value), "array")


def to_text(value: Any) -> str:
    """Return the text of a cell for a value: a string unchanged, anything else as JSON."""
    return value if isinstance(value, str) else to_json(value)


def csv_line(values: Iterable[Any]) -> str:
    """Return values as a line of a CSV file; a cell is empty for ``None``.

    Texts that a spreadsheet would run as formulas are escaped.
    """
    line = io.StringIO()
    # Python before 3.11.9 quotes a carriage return only if the line terminator has one.
    # https://github.com/python/cpython/issues/67044
    writer = csv.writer(line, lineterminator="\r\n")
    writer.writerow("" if value is None else escape_formula(to_text(value)) for value in values)
    return line.getvalue().removesuffix("\r\n") + "\n"


def escape_formula(text: str) -> str:
    """Escape a text with ``'`` if a spreadsheet would run it as a formula.

    A text that looks like an escaped one is escaped too, so that it can be restored.
    """
    is_formula = FORMULA.match(text) and not SIGNED_NUMBER.fullmatch(text.lstrip("'"))
    return f"'{text}" if is_formula else text


def unescape_formula(text: str) -> str:
    """Undo :func:`escape_formula`."""
    rest = text.removeprefix("'")
    return rest if escape_formula(rest) == text else text


def _structure(text: str) -> Any:
    try:
        return parse(text.encode())
    except ValueError:
        return text


def _group_by_stripped(values: Iterable[Any]) -> dict[str, list[str]]:
    """Group the texts among values by their text without surrounding whitespace."""
    found: dict[str, list[str]] = {}
    for value in dict.fromkeys(value for value in values if isinstance(value, str)):
        found.setdefault(value.strip(), []).append(value)
    return found


def _examples(parts: Iterable[Mapping[str, Any]]) -> list[Any]:
    return [value for part in parts for value in part.get("examples", ())]


NUMBERS = frozenset({"integer", "number"})
STRUCTURES = frozenset({"array", "object"})
#: Formats that a date, or a date and time without a zone, can have once it is in ISO 8601. In other
#: fields it stays as it is written, so that the error quotes the cell.
WITHOUT_ZONE = frozenset({"date", "column date", "date-time-local"})
ZONED = frozenset({"date-time", "column date-time"})
TIMED = ZONED | {"date-time-local"}

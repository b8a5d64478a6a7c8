"""The input columns of a model, and their JSON Schemas."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mlmodel.frameworks.sklearn.schemas.dtypes import Categories, implied_categories, plain
from mlmodel.schema.coercion import WHOLE
from mlmodel.schema.messages import join_first

#: A column's ``kind``: the schema of its values. No kind is any of the plain types.
KINDS: Mapping[str, Mapping[str, Any]] = {
    "boolean": {"type": "boolean"},
    "code": {"type": ["integer", "string"]},
    "date": {"type": "string", "format": "date"},
    "date-time": {"type": "string", "format": "date-time"},
    "date-time-local": {"type": "string", "format": "date-time-local"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "string": {"type": "string"},
    "text": {"type": "string", "contentMediaType": "text/plain"},
    "": {"type": ["number", "string", "boolean"]},
}

#: The pandas type of a kind that a schema need not name.
IMPLIED_DTYPES: Mapping[str, str] = {
    "boolean": "bool",
    "integer": "int64",
    "number": "float64",
    "string": "str",
    "text": "str",
}

#: Types of categories that JSON has.
PLAIN_INDEX = re.compile(r"category|object|str|string|bool|boolean|(?i:u?int|float)\d+")

#: Names that one message lists.
MOST_NAMES = 5

#: Digits of a number that is only an example.
DIGITS = 4
#: Choices of an open column that are listed; a longer list does not help a reader.
MOST_SUGGESTIONS = 1000


@dataclass(frozen=True)
class Column:
    """One column. All values are plain JSON.

    ``choices`` are the values that an encoder was fitted on; the model accepts others too if
    ``is_open``. ``is_read`` is true if any part of the model reads the column. ``default``
    replaces a missing value. ``span`` is the range of the values in the training data.

    ``kind`` is one of :data:`KINDS`, and only a guess unless ``is_sure``. ``dtype`` is the pandas
    type, see :mod:`.dtypes`, and empty if unknown. ``missing`` is the missing value in a column of
    Python objects. ``is_never_missing`` is true if a sample has a value in each row.
    ``is_renamed`` is true if underscores of the name may have been blanks.
    """

    name: str
    kind: str = "number"
    is_sure: bool = False
    choices: tuple[Any, ...] = ()
    is_open: bool = False
    is_nullable: bool = False
    is_read: bool = True
    default: Any = None
    examples: tuple[Any, ...] = ()
    span: tuple[float, float] | None = None
    dtype: str = ""
    missing: tuple[str, ...] = ()
    categories: Categories | None = None
    is_never_missing: bool = False
    is_renamed: bool = False

    @property
    def is_numeric(self) -> bool:
        """Return whether its values are numbers."""
        return self.kind in {"integer", "number"}

    @property
    def plain(self) -> Any:
        """Return a value that the model most likely accepts."""
        first = _first([*self.choices, self.default, *self.examples])
        if first is None and self.dtype == "category":
            return None  # any other value may be outside its categories
        return PLAIN[self.kind] if first is None else first

    def with_example(self, value: Any) -> Column:
        """Return the column with an example, unless an earlier estimator gave it one."""
        example = to_short_number(value)
        if example is None or not self.is_numeric or self.choices:
            return self
        return replace(self, is_sure=True, examples=self.examples or (example,))

    def with_span(self, low: Any, high: Any, middle: Any) -> Column:
        """Return the column with a range, and with its middle as an example."""
        low, high = to_short_number(low), to_short_number(high)
        if low is None or high is None or to_short_number(middle) is None:
            return self
        return replace(self.with_example(middle), span=(low, high))

    def with_choices(self, values: Iterable[Any]) -> Column:
        """Return the column with choices and their kind. ``None`` is not a choice."""
        choices = tuple(value for value in values if value is not None)
        return replace(self, choices=choices, kind=kind_of(choices), is_sure=True)

    @property
    def has_texts_of_values(self) -> bool:
        """Return whether its choices are texts of values that JSON lacks, such as intervals.

        Several texts may stand for one value: ``(0, 10]`` and ``(0.0, 10.0]``.
        """
        index = self.dtype if self.categories is None else self.categories.dtype
        return bool(self.choices) and bool(index) and not PLAIN_INDEX.fullmatch(index)

    @property
    def is_whole(self) -> bool:
        """Return whether a sample has integers of a numpy type in the column."""
        return self.kind in {"integer", "number"} and bool(WHOLE.fullmatch(self.dtype))

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the column's values."""
        about = {
            "default": self.default,
            "examples": list(self._suggestions() or self.examples),
            "x-range": None if self.span is None else list(self.span),
            **self._dtype_keywords(),
            "x-seen-missing": False if self.is_never_missing and self.is_nullable else None,
        }
        given = {word: value for word, value in about.items() if value not in (None, "", [])}
        return {**self._values(), **given}

    def _dtype_keywords(self) -> dict[str, Any]:
        """Return the keywords for making the column, if they do not follow from its kind."""
        keywords: dict[str, Any] = {}
        if self.dtype != IMPLIED_DTYPES.get(self.kind):
            keywords["x-dtype"] = self.dtype
        if self.dtype.startswith("object") and self.is_nullable:
            keywords["x-missing"] = self.missing[0] if self.missing else "NaN"
        if self.categories and self.categories != implied_categories(self._listed_values()):
            keywords["x-categories"] = self.categories.document()
        return keywords

    def _listed_values(self) -> tuple[Any, ...]:
        return self._suggestions() or self.choices

    def _values(self) -> dict[str, Any]:
        if self.choices and not self.is_open:
            listed = {"enum": list(self.choices)}
            return {"anyOf": [listed, {"type": "null"}]} if self.is_nullable else listed
        shape = dict(KINDS[self.kind])
        if self.is_nullable:
            types = shape["type"] if isinstance(shape["type"], list) else [shape["type"]]
            shape["type"] = [*types, "null"]
        return shape

    def _suggestions(self) -> tuple[Any, ...]:
        """Return choices that forms offer in addition to any other value."""
        return self.choices[:MOST_SUGGESTIONS] if self.is_open else ()


#: A column within a model; ``None`` if its values have changed.
MaybeColumn = Column | None
Columns = Sequence[MaybeColumn]

#: A plain value of each kind. 1 has a logarithm and a root, and can be a divisor.
PLAIN: Mapping[str, Any] = {
    "boolean": True,
    "code": 1,
    "date": "2026-01-31",
    "date-time": "2026-01-31T14:30:00Z",
    "date-time-local": "2026-01-31T14:30:00",
    "integer": 1,
    "number": 1.0,
    "string": "text",
    "text": "text",
    "": 1.0,
}


@dataclass
class ModelInput:
    """What was found while a model was read.

    ``strict`` are the columns in which it surely rejects missing values. ``layout`` is ``"texts"``
    or ``"records"`` for a model of lists of these instead of columns.
    """

    columns: list[Column]
    is_named: bool = False
    strict: set[int] = field(default_factory=set)
    layout: str = "columns"


def kind_of(values: Iterable[Any]) -> str:
    """Return the common kind of plain values."""
    types = {type(value) for value in values}
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    if types == {int, float}:
        return "number"
    return kinds.get(types.pop(), "") if len(types) == 1 else ""


def to_short_number(value: Any) -> float | None:
    """Return a number short enough to read; ``None`` for any other value."""
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    short = float(f"{number:.{DIGITS}g}")
    # Rounded up, the largest doubles would be infinite.
    return short if math.isfinite(short) else float(number)


def with_examples(columns: Columns, values: Iterable[Any]) -> list[MaybeColumn]:
    """Return columns with an example each, where they are known."""
    return [
        column and column.with_example(value) for column, value in zip(columns, values, strict=True)
    ]


def row_schema(columns: Iterable[Column]) -> dict[str, Any]:
    """Return the JSON Schema of a row with these columns.

    A value that may be missing may be null or left out, unless a sample has it in each row: then it
    is required. A column that the model does not read is accepted and ignored, so that a whole
    line of a table is valid.
    """
    used = [column for column in columns if column.is_read]
    ignored = [column.name for column in columns if not column.is_read]
    schema = {
        "type": "object",
        "properties": {column.name: column.schema() for column in used},
        "required": [
            column.name for column in used if not column.is_nullable or column.is_never_missing
        ],
        "additionalProperties": False,
    }
    others = [
        *map(_literal, ignored),
        *(_with_blanks(each.name) for each in used if each.is_renamed),
    ]
    if others:
        schema["patternProperties"] = {f"^(?:{'|'.join(others)})$": {}}
    return schema


def are_renamed(names: Sequence[Any], others: Sequence[Any]) -> bool:
    """Return whether names differ only in characters that LightGBM replaces by underscores."""
    return list(names) != list(others) and [_simple(name) for name in names] == [
        _simple(name) for name in others
    ]


def name_list(names: Iterable[str]) -> str:
    """Return the first few names, and the number of the others."""
    return join_first([repr(name) for name in names], MOST_NAMES)


def _simple(name: Any) -> str:
    return re.sub(r"\W", "_", str(name))


def _with_blanks(name: str) -> str:
    """Return a pattern of the names that may have become this one."""
    return _literal(name).replace("_", "[_ ]")


def _literal(name: str) -> str:
    """Return a pattern of a name. ``re.escape`` writes some that ECMA 262 forbids."""
    return "".join(f"\\{sign}" if sign in r"\^$.*+?()[]{}|/" else sign for sign in name)


def _first(values: Iterable[Any]) -> Any:
    return next((value for value in values if value is not None), None)

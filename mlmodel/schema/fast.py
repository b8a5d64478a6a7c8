"""A compiled JSON Schema that accepts most valid values some hundred times faster.

It never accepts a value that the full validator in :mod:`.validator` rejects. So it only compiles
keywords on which both always agree: not ``oneOf``, ``multipleOf`` only of 1, and ``format`` only
in a row's own members. The full validator checks every value not accepted here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema_rs import Draft202012Validator as Compiled

from mlmodel.schema.formats import format_of
from mlmodel.schema.refs import JsonSchema, dialect_of
from mlmodel.schema.regex import OPTIONS

#: Returns true only if all values are valid; false means that the full validator must decide.
Fits = Callable[[Iterable[Any]], bool]

#: Keywords without effect on validity.
ANNOTATIONS = frozenset(
    {
        "$comment",
        "$schema",
        "contentEncoding",
        "contentMediaType",
        "default",
        "deprecated",
        "description",
        "examples",
        "readOnly",
        "title",
        "writeOnly",
    }
)
PLAIN = frozenset(
    {
        "maxItems",
        "maxLength",
        "maxProperties",
        "minItems",
        "minLength",
        "minProperties",
        "pattern",
        "required",
        "type",
    }
)
#: Compiled bounds are doubles, while the full validator compares integers of any length.
BOUNDS = frozenset({"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"})
ONE_SCHEMA = frozenset({"additionalProperties", "items"})
LIST_OF_SCHEMAS = frozenset({"allOf", "anyOf", "prefixItems"})
NAMED_SCHEMAS = frozenset({"$defs", "patternProperties", "properties"})

LOCAL = re.compile(r"#(?:/\$defs/[A-Za-z0-9_.-]+)?")
#: Integers up to this one are exact as doubles.
EXACT = 2**53
#: Bounds added to all numbers: the full validator decides which larger ones fit a double.
#: Integer bounds are compared ten times faster than others.
NEAR = {"maximum": EXACT, "minimum": -EXACT}


class _OnlyTheJudgeError(Exception):
    """The schema has a keyword on which the two validators may differ."""


def compiled(document: JsonSchema, formats: FormatChecker) -> Fits | None:
    """Return the compiled schema; ``None`` if only the full validator can decide.

    :param document: a valid schema, of any draft.
    :param formats: the full validator's, for the members of a row that name a format.
    """
    named = _formats(document)
    try:
        if dialect_of(document) is not Draft202012Validator:
            return None
        made = Compiled(_alike(_without_formats(document)), pattern_options=OPTIONS, offline=True)
    except (_OnlyTheJudgeError, ValueError):  # ValueError: not compilable
        return None

    is_valid = made.is_valid

    def fit(values: Iterable[Any]) -> bool:
        try:
            return all(map(is_valid, values))
        except ValueError:  # not plain JSON, a lone surrogate, or nested too deep
            return False

    def fit_in_form(values: Iterable[Any]) -> bool:
        rows = list(values)
        return fit(rows) and all(
            formats.conforms(row[name], form)
            for row in rows
            for name, form in named.items()
            if isinstance(row, dict) and name in row
        )

    return fit_in_form if named else fit


def _formats(document: JsonSchema) -> dict[str, str]:
    """Return the formats of a row's own members."""
    members = document.get("properties", {}) if isinstance(document, Mapping) else {}
    return {
        name: format_of(schema)
        for name, schema in members.items()
        if isinstance(schema, Mapping) and "format" in schema
    }


def _without_formats(document: JsonSchema) -> JsonSchema:
    if not isinstance(document, Mapping) or "properties" not in document:
        return document
    members = {
        name: {key: value for key, value in schema.items() if key != "format"}
        if isinstance(schema, Mapping)
        else schema
        for name, schema in document["properties"].items()
    }
    return {**document, "properties": members}


def _alike(schema: Any) -> Any:
    """Return a schema on which both validators agree.

    :raises _OnlyTheJudgeError: if there is none.
    """
    if isinstance(schema, bool):
        return schema
    made = {
        keyword: _value(keyword, value)
        for keyword, value in schema.items()
        if keyword not in ANNOTATIONS and not keyword.startswith("x-")
    }
    if _may_be_number(made.get("type", ())):
        return {**NEAR, **made}
    if BOUNDS & made.keys():
        raise _OnlyTheJudgeError
    return made


def _may_be_number(types: Any) -> bool:
    named = {types} if isinstance(types, str) else set(types)
    return not named.isdisjoint({"integer", "number"})


def _value(keyword: str, value: Any) -> Any:
    if keyword in PLAIN:
        return value
    if keyword in ONE_SCHEMA:
        return _alike(value)
    if keyword in LIST_OF_SCHEMAS:
        return [_alike(each) for each in value]
    if keyword in NAMED_SCHEMAS:
        return {name: _alike(each) for name, each in value.items()}
    is_alike = _ALIKE.get(keyword)
    if is_alike is None or not is_alike(value):
        raise _OnlyTheJudgeError
    return int(value) if keyword in BOUNDS and value == int(value) else value


def _is_exact(value: Any) -> bool:
    """Return whether all numbers in a value are exact as doubles."""
    if isinstance(value, Mapping):
        return all(map(_is_exact, value.values()))
    if isinstance(value, list):
        return all(map(_is_exact, value))
    return not isinstance(value, int | float) or abs(value) <= EXACT


_ALIKE: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(BOUNDS, _is_exact),
    "$ref": LOCAL.fullmatch,
    "const": _is_exact,
    "enum": _is_exact,
    "multipleOf": lambda value: value == 1,
}

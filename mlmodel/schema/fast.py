"""A JSON Schema compiled: it says yes to most values that fit, some hundred times faster.

It never says yes to what the judge in :mod:`.validator` refuses. So only schemas are compiled
of which both surely think alike: alternatives that exclude each other, fractions as divisors, and
formats but those of a row's own members are the judge's alone. Whatever is not accepted goes to
the judge as well.
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

#: Tells whether all of some JSON values fit; where they do not, nothing is certain.
Fits = Callable[[Iterable[Any]], bool]

#: Keywords that say nothing of validity.
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
#: These mean a double: the judge compares whole numbers of any length.
BOUNDS = frozenset({"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"})
ONE_SCHEMA = frozenset({"additionalProperties", "items"})
LIST_OF_SCHEMAS = frozenset({"allOf", "anyOf", "prefixItems"})
NAMED_SCHEMAS = frozenset({"$defs", "patternProperties", "properties"})

LOCAL = re.compile(r"#(?:/\$defs/[A-Za-z0-9_.-]+)?")
#: Whole numbers up to here are doubles.
EXACT = 2**53
#: Limits of all numbers: those beyond are the judge's, which knows which of them fit a double.
#: Bounds that are whole are compared ten times faster than others.
NEAR = {"maximum": EXACT, "minimum": -EXACT}


class _OnlyTheJudgeError(Exception):
    """A schema has something of which the two may think otherwise."""


def compiled(document: JsonSchema, formats: FormatChecker) -> Fits | None:
    """Return the compiled schema; ``None`` if only the judge can tell.

    :param document: a valid schema of draft 2020-12.
    :param formats: the judge's, for the members of a row that name a format.
    """
    named = _formats(document)
    try:
        if dialect_of(document) is not Draft202012Validator:
            return None
        made = Compiled(_alike(_without_formats(document)), pattern_options=OPTIONS, offline=True)
    except (_OnlyTheJudgeError, ValueError):  # ValueError: it cannot be compiled
        return None

    is_valid = made.is_valid

    def fit(values: Iterable[Any]) -> bool:
        try:
            return all(map(is_valid, values))
        except ValueError:  # no plain JSON, half a surrogate pair, or nested too deep
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
    """Return a schema of which both think alike.

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
    """Tell whether a value has no number but those that doubles have."""
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

"""A compiled JSON Schema that accepts most valid values some hundred times faster.

It never accepts a value that the full validator in :mod:`.validator` rejects. So it only compiles
keywords on which both always agree: not ``oneOf``, and ``multipleOf`` only of 1. The full validator
checks every value not accepted here.

Patterns are those of ``jsonschema-rs`` in both. Formats are not: its own ``date`` accepts
``999.-12-31``, so it calls the full validator's checks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema_rs import Draft202012Validator as Compiled

from mlmodel.schema.formats import get_format
from mlmodel.schema.regex import OPTIONS
from mlmodel.schema.subschemas import JsonSchema, get_dialect

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


class _UnsupportedKeywordError(Exception):
    """The schema has a keyword on which the two validators may differ."""


def compile_schema(document: JsonSchema, formats: FormatChecker) -> Fits | None:
    """Return the compiled schema; ``None`` if only the full validator can decide.

    :param document: a valid schema, of any draft.
    :param formats: the full validator's.
    """
    checks: dict[str, Callable[..., bool]] = {
        name: partial(formats.conforms, format=name) for name in formats.checkers
    }
    try:
        if get_dialect(document) is not Draft202012Validator:
            return None
        validator = Compiled(
            _supported(document),
            pattern_options=OPTIONS,
            validate_formats=True,
            formats=checks,
            offline=True,
        )
    except (_UnsupportedKeywordError, ValueError):  # ValueError: not compilable
        return None

    is_valid = validator.is_valid

    def are_valid(values: Iterable[Any]) -> bool:
        try:
            return all(map(is_valid, values))
        except ValueError:  # not plain JSON, a lone surrogate, or nested too deep
            return False

    return are_valid


def _supported(schema: Any) -> Any:
    """Return a schema on which both validators agree.

    :raises _UnsupportedKeywordError: if there is none.
    """
    if isinstance(schema, bool):
        return schema
    keywords = {
        keyword: get_format(schema) if keyword == "format" else _value(keyword, value)
        for keyword, value in schema.items()
        if keyword not in ANNOTATIONS and not keyword.startswith("x-")
    }
    if _may_be_number(keywords.get("type", ())):
        return {**NEAR, **keywords}
    if BOUNDS & keywords.keys():
        raise _UnsupportedKeywordError
    return keywords


def _may_be_number(types: Any) -> bool:
    named = {types} if isinstance(types, str) else set(types)
    return not named.isdisjoint({"integer", "number"})


def _value(keyword: str, value: Any) -> Any:
    if keyword in PLAIN:
        return value
    if keyword in ONE_SCHEMA:
        return _supported(value)
    if keyword in LIST_OF_SCHEMAS:
        return [_supported(each) for each in value]
    if keyword in NAMED_SCHEMAS:
        return {name: _supported(each) for name, each in value.items()}
    is_agreed = _AGREED.get(keyword)
    if is_agreed is None or not is_agreed(value):
        raise _UnsupportedKeywordError
    return int(value) if keyword in BOUNDS and value == int(value) else value


def _is_exact(value: Any) -> bool:
    """Return whether all numbers in a value are exact as doubles."""
    if isinstance(value, Mapping):
        return all(map(_is_exact, value.values()))
    if isinstance(value, list):
        return all(map(_is_exact, value))
    return not isinstance(value, int | float) or abs(value) <= EXACT


_AGREED: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(BOUNDS, _is_exact),
    "$ref": LOCAL.fullmatch,
    "const": _is_exact,
    "enum": _is_exact,
    "multipleOf": lambda value: value == 1,
}

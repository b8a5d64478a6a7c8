"""Labels that pages show for schemas, names and values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from mlmodel.schema.shape import is_number

Schema = Mapping[str, Any]

#: Hints for a string's ``format``.
FORMATS = {
    "email": "an e-mail address",
    "uri": "an address such as https://example.org",
    "uuid": "a UUID",
    "date-time-local": "local time, as in the training data",
    "time": "a time such as 10:30:00Z",
    "time-local": "local time",
}
#: Labels of a schema's ``type``, or of a string's ``format``.
TYPES = {
    "array": "list",
    "boolean": "yes or no",
    "date": "date",
    "date-time": "date and time",
    "date-time-local": "local date and time",
    "integer": "whole number",
    "null": "nothing",
    "number": "number",
    "object": "object",
    "string": "text",
    "time-local": "time of day",
}
#: Whole numbers from here on get thousands separators; static/numbers.js does the same.
UNGROUPED = 10_000
#: Floats from here on are not converted to integers.
LARGEST_ROUND = 2**53
#: Smaller shares would be shown as 0.0%.
SMALLEST_SHARE = 0.0005
CONSTANTS = {"null": "None", "true": "Yes", "false": "No"}


def readable(name: str) -> str:
    """Return a name as words: ``Sepal length`` for ``sepal_length`` and ``sepalLength``."""
    words = re.sub(r"(?<=[a-z0-9])[A-Z](?=[a-z])", lambda found: f" {found[0].lower()}", name)
    words = re.sub(r"[_\s]+", " ", words).strip() or name
    return words[:1].upper() + words[1:]


def label(value: Any) -> str:
    """Return the label of a constant in a schema."""
    if isinstance(value, str) and value.strip():
        return value
    text = json.dumps(value, ensure_ascii=False)
    return CONSTANTS.get(text, text)


def kind(schema: Schema) -> str:
    """Return the label of a schema's type."""
    if schema.get("type") == "object" and not schema.get("properties"):
        inner = schema.get("additionalProperties")
        return f"object of {_plural(inner)}" if isinstance(inner, Mapping) else "object"
    if schema.get("type") == "array":
        return f"list of {_plural(schema.get('items'))}"
    named = schema.get("type")
    if not isinstance(named, str):
        return "any JSON"
    return TYPES.get(schema.get("format", ""), TYPES[named])


def bounds(schema: Schema, has_example: bool = False) -> str:
    """Return a schema's limits for a value in words: ``from 0.1 to 8``.

    :param has_example: whether the page shows an example, which replaces the pattern.
    """
    lowest, highest = schema.get("minimum"), schema.get("maximum")
    between = is_number(lowest) and is_number(highest)
    parts = [
        f"from {_span(lowest, highest)}" if between else "",
        _bound("more than {}", schema.get("exclusiveMinimum")),
        "" if between else _bound("at least {}", lowest),
        "" if between else _bound("at most {}", highest),
        _bound("less than {}", schema.get("exclusiveMaximum")),
        _usual(schema.get("x-range")),
        _bound("a multiple of {}", schema.get("multipleOf")),
        FORMATS.get(schema.get("format", ""), ""),
        _with_count("at least", schema.get("minLength") or None, "character"),
        _with_count("at most", schema.get("maxLength"), "character"),
        f"like {schema['pattern']}" if "pattern" in schema and not has_example else "",
        _with_count("at least", schema.get("minItems"), "item"),
        _with_count("at most", schema.get("maxItems"), "item"),
        "no item twice" if schema.get("uniqueItems") is True else "",
    ]
    return ", ".join(filter(None, parts))


def format_number(number: float, is_year: bool | None = None) -> str:
    """Return a number in its shortest form, for display only: 8.0 as 8, 10000 as 10,000.

    :param is_year: whether to omit commas; by default for whole numbers below 10,000 (years).
    """
    is_year = _may_be_year(number) if is_year is None else is_year
    return format(number, "" if is_year else ",").removesuffix(".0")


def format_share(share: float) -> str:
    """Return a share in per cent, with one decimal place unless it is all."""
    if 0 < share < SMALLEST_SHARE:
        return "<0.1%"
    return "100%" if share == 1 else f"{share:.1%}"


def with_short_numbers(value: Any) -> Any:
    """Return a JSON value with round floats as integers: 8.0 as 8."""
    if isinstance(value, Mapping):
        return {key: with_short_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_short_numbers(inner) for inner in value]
    is_round = isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_ROUND
    return int(value) if is_round else value


def is_of_type(value: Any, name: str) -> bool:
    """Return whether a JSON value has a JSON Schema type; an empty ``name`` matches any value."""
    match name:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer" | "number":
            whole = name == "number" or (is_number(value) and value == int(value))
            return is_number(value) and whole
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, Mapping)
    return name == ""


def _span(low: float, high: float) -> str:
    are_years = _may_be_year(low) and _may_be_year(high)
    return f"{format_number(low, are_years)} to {format_number(high, are_years)}"


def _may_be_year(number: float) -> bool:
    return abs(number) < UNGROUPED and float(number).is_integer()


def _usual(span: Any) -> str:
    """Return the usual range of values (``x-range``) in words; it is not a limit."""
    match span:
        case [int() | float() as low, int() | float() as high]:
            return f"usually {_span(low, high)}"
    return ""


def _bound(words: str, number: Any) -> str:
    return words.format(format_number(number)) if is_number(number) else ""


def _with_count(words: str, count: Any, unit: str) -> str:
    return f"{words} {count} {unit}{'' if count == 1 else 's'}" if count else ""


def _plural(schema: Any) -> str:
    inner = kind(schema) if isinstance(schema, Mapping) else "any JSON"
    return f"{inner}s" if inner in ("number", "whole number", "text", "object") else inner

"""Messages for validation errors, written for the person who sent the value."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from jsonschema.exceptions import ValidationError

from mlmodel.schema.texts.formats import get_format
from mlmodel.schema.texts.moments import date_advice, zone_advice
from mlmodel.schema.texts.numerals import number_advice

#: Maximum characters of a value, and members of a list, that a message repeats.
SHOWN_CHARACTERS = 60
SHOWN_MEMBERS = 20

TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "text",
}

#: Reasons of the standard library for rejecting JSON, in the words of other messages.
JSON_REASONS = {
    "Expecting property name enclosed in double quotes": "expected a name in double quotes",
    "Expecting value": "expected a value",
    "Expecting ',' delimiter": "expected a comma, or the end of the list or object",
    "Expecting ':' delimiter": "expected a colon after the name",
    "Extra data": "expected the end of the text",
    "Unterminated string starting at": "a text has no closing quote",
    "Invalid control character at": "a text has a line break or another control character",
}

#: Descriptions of values by JSON Schema ``format``.
FORMATS = {
    "date": "a date such as 2026-01-31",
    "date-time": "a date and time such as 2026-01-31T14:30:00Z",
    "column date": "a date such as 2026-01-31",
    "column date-time": "a date and time with an offset such as 2026-01-31T14:30:00+01:00",
    "date-time-local": "a date and time without a zone such as 2026-01-31T14:30:00",
    "duration": "a duration such as P3DT4H",
    "email": "an e-mail address",
    "ipv4": "an IPv4 address such as 192.0.2.1",
    "ipv6": "an IPv6 address such as 2001:db8::1",
    "time": "a time such as 14:30:00Z",
    "uri": "an address such as https://example.org/",
    "uuid": "a UUID such as 123e4567-e89b-12d3-a456-426614174000",
}


def json_reason(error: json.JSONDecodeError) -> str:
    """Return why a text is not JSON."""
    return JSON_REASONS.get(error.msg, error.msg)


def explain(error: ValidationError) -> Iterator[tuple[str, str]]:
    """Yield a JSON Pointer and a message for each cause of an error."""
    branch = _only_possible_branch(error)
    if branch:
        for cause in branch:
            yield from explain(cause)
        return
    yield to_pointer(error.absolute_path), _sentence(error)


def to_pointer(path: Iterable[str | int]) -> str:
    """Return the JSON Pointer of a path of member names and indices.

    Source: RFC 6901, section 3.
    """
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def to_short_json(value: Any) -> str:
    """Return a value as JSON, truncated to :data:`SHOWN_CHARACTERS`."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"


def omit_value(message: str) -> str:
    """Return a message about a value without the value."""
    expected, got, _ = message.partition(", got ")
    return expected if got or message.startswith("is ") else "violates the schema"


def _only_possible_branch(error: ValidationError) -> list[ValidationError] | None:
    """Return the errors of the only ``anyOf`` or ``oneOf`` alternative that the value can mean.

    Alternatives of another type, or with another constant in some member, are excluded.
    """
    if error.validator not in {"anyOf", "oneOf"} or not error.context:
        return None
    # Errors are in the order of the alternatives, whose index is the first step of their path.
    branches = [list(errors) for _, errors in groupby(error.context, _branch_index)]
    possible = [errors for errors in branches if not any(map(_means_another, errors))]
    return possible[0] if len(possible) == 1 else None


def _branch_index(error: ValidationError) -> Any:
    return error.relative_schema_path[0]


def _means_another(error: ValidationError) -> bool:
    wants_other_type = error.validator == "type" and not error.relative_path
    return wants_other_type or bool(error.validator == "const")


def _sentence(error: ValidationError) -> str:
    word = _SENTENCES.get(str(error.validator))
    return word(error) if word else str(error.message)[:200]


def _type(error: ValidationError) -> str:
    types = error.validator_value
    types = [types] if isinstance(types, str) else types
    advice = _advice(types, error.instance)
    return f"must be {_join_types(types)}, got {to_short_json(error.instance)}{advice}"


def join_first(texts: Iterable[str], most: int) -> str:
    """Return the first ``most`` texts in one line, and the number of the others."""
    every = list(texts)
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def _join_types(types: Iterable[str]) -> str:
    return " or ".join(TYPES.get(name, name) for name in types)


def _advice(types: Iterable[str], value: Any) -> str:
    is_text_for_number = isinstance(value, str) and not {"number", "integer"}.isdisjoint(types)
    return number_advice(value) if is_text_for_number else ""


def _enum(error: ValidationError) -> str:
    choices = error.validator_value
    listed = join_first(map(to_short_json, choices), SHOWN_MEMBERS)
    return f"must be one of {listed}, got {to_short_json(error.instance)}"


def _format(error: ValidationError) -> str:
    form = get_format(error.schema) if isinstance(error.schema, Mapping) else error.validator_value
    expected = FORMATS.get(form, f"of the format {error.validator_value!r}")
    advise = zone_advice if form in {"date-time", "column date-time"} else date_advice
    advice = advise(error.instance) if "date" in str(form) else ""
    return f"must be {expected}, got {to_short_json(error.instance)}{advice}"


def _unknown_member(error: ValidationError) -> str:
    if not error.path:  # additionalProperties is a schema, whose keywords report
        return str(error.message)[:200]
    known = list(error.schema.get("properties", ())) if isinstance(error.schema, Mapping) else []
    close = difflib.get_close_matches(str(error.path[-1]), known, n=1)
    if close:
        return f"is unknown; did you mean {close[0]!r}?"
    listed = ", ".join(known[:SHOWN_MEMBERS]) or "none"
    return f"is unknown; valid names: {listed}"


def _alternatives(error: ValidationError) -> str:
    types = _types_of_alternatives(error)
    if types:
        advice = _advice(types, error.instance)
        return f"must be {_join_types(types)}, got {to_short_json(error.instance)}{advice}"
    count = len(error.validator_value)
    return f"must match one of {count} alternatives, got {to_short_json(error.instance)}"


def _types_of_alternatives(error: ValidationError) -> list[str]:
    """Return the types of the alternatives if all of them reject the value for its type alone."""
    types_seen: dict[str, None] = {}
    for cause in error.context or ():
        if cause.validator != "type" or cause.relative_path:
            return []
        types = cause.validator_value
        types_seen |= dict.fromkeys([types] if isinstance(types, str) else types)
    return list(types_seen)


def _one_alternative(error: ValidationError) -> str:
    if error.context:
        return _alternatives(error)
    value = to_short_json(error.instance)
    return f"must match exactly one of the alternatives, got {value}, which matches several"


def _limit(
    words: str, unit: str = "", measure: Callable[[Any], Any] = to_short_json
) -> Callable[[ValidationError], str]:
    """Return a function that writes a keyword's message. ``(s)`` in a unit marks its plural."""

    def sentence(error: ValidationError) -> str:
        limit, got = error.validator_value, measure(error.instance)
        counted = unit.replace("(s)", "" if limit == 1 else "s")
        return f"must {words} {to_short_json(limit)}{counted}, got {got}"

    return sentence


_SENTENCES: Mapping[str, Callable[[ValidationError], str]] = {
    "additionalProperties": _unknown_member,
    "anyOf": _alternatives,
    "const": _limit("be"),
    "enum": _enum,
    "exclusiveMaximum": _limit("be less than"),
    "exclusiveMinimum": _limit("be more than"),
    "format": _format,
    "maximum": _limit("be at most"),
    "maxItems": _limit("have at most", " item(s)", len),
    "maxLength": _limit("be at most", " character(s) long", len),
    "maxProperties": _limit("have at most", " member(s)", len),
    "minimum": _limit("be at least"),
    "minItems": _limit("have at least", " item(s)", len),
    "minLength": _limit("be at least", " character(s) long", len),
    "minProperties": _limit("have at least", " member(s)", len),
    "multipleOf": _limit("be a multiple of"),
    "not": lambda error: f"must not be {to_short_json(error.instance)}",
    "oneOf": _one_alternative,
    "pattern": lambda error: (
        f"must match the pattern {error.validator_value}, got {to_short_json(error.instance)}"
    ),
    "required": lambda error: "is required",
    "type": _type,
    "uniqueItems": lambda error: (
        f"must not contain duplicate items, got {to_short_json(error.instance)}"
    ),
}

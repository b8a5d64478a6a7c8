"""Checks for the string formats that a schema can name.

They are those of ``jsonschema``, except for IRIs, for which it uses a package that takes seconds
to import. Three formats are added: ``date-time-local`` is a point in time without an offset
(source: OpenAPI Initiative, Format Registry); ``column date`` and ``column date-time``, for
columns with an ``x-dtype``, also accept the notations of pandas and Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, time
from functools import partial
from typing import Any
from urllib.parse import quote

from jsonschema import FormatChecker
from jsonschema.protocols import Validator
from rfc3986_validator import validate_rfc3986

from mlmodel.schema.texts.regex import is_pattern

#: Characters kept when an IRI is mapped to a URI: ASCII is valid in both or in neither.
ASCII = "".join(map(chr, range(128)))
#: IRI formats and the rules of their URIs. Draft 7 added them together with ``OF_SAME_AGE``.
IRIS = {"iri": "URI", "iri-reference": "URI_reference"}
OF_SAME_AGE = "idn-hostname"
#: Maximum length by format, in characters, for checks that are slow on long strings.
MAX_CHARACTERS = {"duration": 1_000, "regex": 10_000, "uri-template": 1_000}
#: A date, or a date and time with or without seconds and offset, separated by ``T`` or, as Python's
#: str() writes it, a space (RFC 3339 allows the space too: 5.6, note).
MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d(?:\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)?)?", re.ASCII
)
#: Offsets accepted for a column without a time zone, for which older pandas wrote ``Z``.
NO_OFFSET = frozenset({None, "Z", "z", "+00:00", "-00:00"})
MIDNIGHT = frozenset({None, "00:00"})


def get_format(schema: Mapping[str, Any]) -> str:
    """Return the name of the format check for a schema that has a ``format``."""
    form, dtype = str(schema["format"]), str(schema.get("x-dtype", ""))
    if form == "date-time" and dtype.startswith("datetime64") and "," not in dtype:
        return "date-time-local"
    return f"column {form}" if dtype and form in ("date", "date-time") else form


def with_local_times(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a row with its current format names.

    Earlier releases wrote ``date-time`` for columns without a time zone.
    """
    members = schema.get("properties")
    if not isinstance(members, Mapping):
        return schema
    converted = {
        name: {**member, "format": get_format(member)}
        if isinstance(member, Mapping)
        and member.get("format") == "date-time"
        and get_format(member) == "date-time-local"
        else member
        for name, member in members.items()
    }
    return {**schema, "properties": converted}


def build_checker(dialect: type[Validator]) -> FormatChecker:
    """Return the format checks for a dialect."""
    checker = FormatChecker(formats=())
    checker.checkers = {**dialect.FORMAT_CHECKER.checkers}
    if OF_SAME_AGE in checker.checkers:
        checker.checkers |= {
            name: (partial(_is_iri, rule), UnicodeError) for name, rule in IRIS.items()
        }
    if "regex" in checker.checkers:
        checker.checkers["regex"] = (is_pattern, ())
    checker.checkers |= {
        "date-time-local": (partial(_is_moment, _is_local), ValueError),
        "column date": (partial(_is_moment, _is_day), ValueError),
        "column date-time": (partial(_is_moment, _is_zoned), ValueError),
    }
    checker.checkers |= {
        name: (partial(_is_short, most, *checker.checkers[name]), ())
        for name, most in MAX_CHARACTERS.items()
        if name in checker.checkers
    }
    return checker


def _is_short(most: int, check: Callable[[object], bool], raises: Any, value: object) -> bool:
    """Return whether a string is within the length limit and passes its format check."""
    if not isinstance(value, str):
        return True
    try:
        return len(value) <= most and bool(check(value))
    except raises:
        return False


def _is_moment(is_one: Callable[..., bool], value: object) -> bool:
    """Return whether a string is a date, or a date and time, that a column accepts."""
    if not isinstance(value, str):
        return True
    found = MOMENT.fullmatch(value)
    if found is None:
        return False
    day, minutes, seconds, offset = found.groups()
    date.fromisoformat(day)
    if minutes:
        time.fromisoformat(f"{minutes}{(seconds or '')[:3]}")
    return is_one(minutes, seconds, offset)


def _is_local(_minutes: str | None, _seconds: str | None, offset: str | None) -> bool:
    return offset in NO_OFFSET


def _is_day(minutes: str | None, seconds: str | None, offset: str | None) -> bool:
    return minutes in MIDNIGHT and not (seconds or "").strip(":0.") and offset in NO_OFFSET


def _is_zoned(_minutes: str | None, _seconds: str | None, offset: str | None) -> bool:
    if offset is None:
        return False
    time.fromisoformat(f"00:00:00{offset.upper()}")
    return True


def _is_iri(rule: str, value: object) -> bool:
    """Return whether an IRI maps to a valid URI. Source: RFC 3987, 3.1."""
    return not isinstance(value, str) or bool(validate_rfc3986(quote(value, safe=ASCII), rule))

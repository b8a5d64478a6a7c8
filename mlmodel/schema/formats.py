"""The formats of texts that a schema can name, checked.

They are ``jsonschema``'s, but for IRIs: the package by which it checks those takes seconds to
import. Three are of our own: ``date-time-local`` is a point in time without an offset (source:
OpenAPI Initiative, Format Registry), and values of a table's column, which has an ``x-dtype``, may
be written in the ways in which pandas and Python write them.
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

from mlmodel.schema.regex import is_pattern

#: What stays as it is where an IRI becomes a URI: ASCII, which is allowed there or nowhere.
ASCII = "".join(map(chr, range(128)))
#: The formats of IRIs, which came with draft 7 as this one did, and the rules of their URIs.
IRIS = {"iri": "URI", "iri-reference": "URI_reference"}
OF_SAME_AGE = "idn-hostname"
#: Characters that a text of a format may have. The checks of some take longer for each more.
MAX_CHARACTERS = {"duration": 1_000, "regex": 10_000, "uri-template": 1_000}
#: A date, and a time of the day with its offset: with ``T`` or a blank between, as str() of Python
#: writes it (RFC 3339 allows the blank too: 5.6, note), with or without seconds.
MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d(?:\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)?)?", re.ASCII
)
#: Offsets that a column without a time zone takes: older pandas wrote ``Z`` where there is none.
NO_OFFSET = frozenset({None, "Z", "z", "+00:00", "-00:00"})
MIDNIGHT = frozenset({None, "00:00"})


def format_of(schema: Mapping[str, Any]) -> str:
    """Return the format by which a schema's texts are checked.

    :param schema: one with a ``format``.
    """
    form, dtype = str(schema["format"]), str(schema.get("x-dtype", ""))
    if form == "date-time" and dtype.startswith("datetime64") and "," not in dtype:
        return "date-time-local"
    return f"column {form}" if dtype and form in ("date", "date-time") else form


def with_local_times(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a row with the formats of today.

    Files of earlier releases call a column ``date-time`` that has no time zone.
    """
    members = schema.get("properties")
    if not isinstance(members, Mapping):
        return schema
    made = {
        name: {**member, "format": format_of(member)}
        if isinstance(member, Mapping)
        and member.get("format") == "date-time"
        and format_of(member) == "date-time-local"
        else member
        for name, member in members.items()
    }
    return {**schema, "properties": made}


def checker(dialect: type[Validator]) -> FormatChecker:
    """Return the checks of the formats that a dialect knows."""
    made = FormatChecker(formats=())
    made.checkers = {**dialect.FORMAT_CHECKER.checkers}
    if OF_SAME_AGE in made.checkers:
        made.checkers |= {
            name: (partial(_is_iri, rule), UnicodeError) for name, rule in IRIS.items()
        }
    if "regex" in made.checkers:
        made.checkers["regex"] = (is_pattern, ())
    made.checkers |= {
        "date-time-local": (partial(_is_moment, _is_local), ValueError),
        "column date": (partial(_is_moment, _is_day), ValueError),
        "column date-time": (partial(_is_moment, _is_zoned), ValueError),
    }
    made.checkers |= {
        name: (partial(_is_short, most, *made.checkers[name]), ())
        for name, most in MAX_CHARACTERS.items()
        if name in made.checkers
    }
    return made


def _is_short(most: int, check: Callable[[object], bool], raises: Any, value: object) -> bool:
    """Tell whether a text that is not too long is of a format, which its check says or raises."""
    if not isinstance(value, str):
        return True
    try:
        return len(value) <= most and bool(check(value))
    except raises:
        return False


def _is_moment(is_one: Callable[..., bool], value: object) -> bool:
    """Tell whether a text is a date, or a date and a time, that a column takes."""
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
    """Tell whether the URI that an IRI is mapped to is one. Source: RFC 3987, 3.1."""
    return not isinstance(value, str) or bool(validate_rfc3986(quote(value, safe=ASCII), rule))

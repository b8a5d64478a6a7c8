"""Parse dates as people write them: ``31.01.2026``, ``1/31/2026 2:30 PM``, ``31 Jan 2026``.

A text is parsed in every notation that has its separators. If the results differ, as for
``01/02/2026``, it is ambiguous and not parsed. Two digits are no year.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, time
from functools import lru_cache

#: The notations by their first separator. No language writes the month first with points, nor the
#: day before the month after a year (Unicode CLDR 47).
_NOTATIONS = {
    ".": ("%d.%m.%Y", "%Y.%m.%d"),
    "/": ("%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d"),
    "-": ("%d-%m-%Y", "%m-%d-%Y", "%Y-%m-%d", "%d-%b-%Y", "%d-%B-%Y"),
    " ": ("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y"),
    "": ("%Y%m%d",),
}
_DAY = re.compile(
    r"\d{1,4}([./-])(?:\d\d?|[a-z]{3,9})\1\d{1,4}|\d\d?( )[a-z]{3,9} \d{4}"
    r"|[a-z]{3,9}( )\d\d?,? \d{4}|(?:19|20)\d{6}()",
    re.ASCII | re.IGNORECASE,
)
_CLOCK = re.compile(
    r"(\d\d?:\d\d)(:\d\d)?(\.\d{1,9})?(?:\s?([ap])\.?m\.?)?", re.ASCII | re.IGNORECASE
)
_PARTS = re.compile(r"(.+?)(?:(?:,? |(?<=\d)T)(\d\d?:.*))?", re.ASCII)
_ZONED = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,9})?)? ?"
    r"(?:(Z|UTC)|([+-]\d\d)(?::?([0-5]\d))?)",
    re.ASCII,
)
#: Maximum length of a text that can be a date, in characters.
_MAX_CHARACTERS = 50


def to_iso(text: str, *, is_day: bool = False) -> str | None:
    """Return a date, and its time if it has one, in ISO 8601; ``None`` if it is ambiguous or none.

    :param is_day: only a date is expected: midnight is left out, and another time is no date.
    """
    found = _parse(text)
    if len(found) != 1:
        return None
    [(day, clock)] = found
    if is_day:
        return None if clock.strip("T0:.") else day
    return day + clock


def to_rfc3339(text: str) -> str | None:
    """Return a time with a zone, as programs write it, in RFC 3339; ``None`` for other texts."""
    found = _ZONED.fullmatch(text)
    if not found:
        return None
    day, minutes, seconds, utc, hours, rest = found.groups()
    offset = "Z" if utc else f"{hours}:{rest or '00'}"
    converted = f"{day}T{minutes}{seconds or ':00'}{offset}"
    try:
        datetime.fromisoformat(converted)
    except ValueError:
        return None
    return converted


def date_advice(text: str) -> str:
    """Return advice on how to write an ambiguous date, as the end of a sentence; or nothing."""
    moments = sorted(day + clock for day, clock in _parse(text))
    return f". Write {' or '.join(moments)}" if len(moments) > 1 else ""


def zone_advice(text: str) -> str:
    """Return advice on a date and time that is not RFC 3339, as the end of a sentence; or nothing.

    It may have no zone.
    """
    converted = to_rfc3339(text)
    if converted is not None:
        return f". Write {converted}"
    # RFC 3339 requires seconds.
    moments = sorted(
        f"{datetime.fromisoformat(day + clock).isoformat()}Z"
        for day, clock in _parse(text)
        if clock
    )
    if not moments:
        return ""
    return (
        f", which has no time zone. Write {' or '.join(moments)} for UTC, or an offset such as "
        "+01:00 instead of Z. A model whose times have no zone needs the format date-time-local"
    )


@lru_cache(maxsize=1 << 14)
def _parse(text: str) -> frozenset[tuple[str, str]]:
    """Return the possible days and clock times of a text."""
    parts = _PARTS.fullmatch(text.strip()) if len(text) <= _MAX_CHARACTERS else None
    clock = _to_clock(parts[2] or "") if parts else None
    if parts is None or clock is None:
        return frozenset()
    return frozenset((day, clock) for day in _days(parts[1]))


def _days(text: str) -> Iterator[str]:
    found = _DAY.fullmatch(text)
    if not found:
        return
    separator = next(each for each in found.groups() if each is not None)
    for notation in _NOTATIONS[separator]:
        with suppress(ValueError):
            yield datetime.strptime(text, notation).date().isoformat()


def _to_clock(text: str) -> str | None:
    """Return a clock time with the digits that it has, or ``None`` if there is no such time."""
    found = _CLOCK.fullmatch(text)
    if not found:
        return None if text else ""
    minutes, seconds, fraction, half = found.groups(default="")
    notation = "%I:%M %p" if half else "%H:%M"
    try:
        clock = datetime.strptime(f"{minutes} {half}m" if half else minutes, notation).time()
        time.fromisoformat(f"{clock:%H:%M}{seconds}")
    except ValueError:
        return None
    return f"T{clock:%H:%M}{seconds}{fraction}"

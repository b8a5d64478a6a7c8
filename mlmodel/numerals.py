"""Numbers as people write them: ``52 000``, ``1,234.5``, ``€14.90``.

A text is read twice: with a decimal point, and with a decimal comma. Where both readings give the
same number, or only one gives any, the text has one meaning. Where they differ, as of ``52.000``
and ``52,000``, it has none, unless the caller knows the decimal mark. Nor has ``2,5``: it may be
two numbers.

``static/numerals.js`` does the same in the page. ``tests/data/numerals.json`` has cases of both.
"""

from __future__ import annotations

import math
import re

POINT, COMMA = ".", ","

#: What JSON (RFC 8259, section 6) calls a number.
JSON_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)

#: Digits, one point and an exponent, as most programs read and write them.
PLAIN_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

#: A JSON number that means another one where points group digits.
GROUPED_BY_POINTS = re.compile(r"-?[1-9]\d{0,2}\.\d{3}", re.ASCII)

#: Signs of currencies. Not the cent, which changes the value.
_CURRENCY = "$£¥฿\u20a0-\u20cf"
#: Blanks that group digits: no-break, figure, thin and narrow no-break ones too.
_BLANK = " \u00a0\u2007\u2009\u202f"
#: Other signs that group digits wherever they stand.
_APOSTROPHE = "'\u2019"

#: Characters of a text that is worth advice.
_LONGEST = 60
#: A comma that may be the decimal mark of one number, or stand between two.
_LONE_COMMA = re.compile(r"\D*\d*,\d+([eE][+-]?\d+)?\D*", re.ASCII)
_WITH_UNIT = re.compile(r"(.*?\d)\s*(%|°?[^\W\d_]+[²³]?)")


def parse_number(text: str, decimal: str = "") -> int | float | None:
    """Return the number that a text means, or ``None`` if it means none, or more than one.

    :param decimal: the decimal mark, :data:`POINT` or :data:`COMMA`; empty if it is not known.
    """
    if decimal != COMMA and JSON_NUMBER.fullmatch(text):
        if decimal or not GROUPED_BY_POINTS.fullmatch(text):
            return _number(text)
        return None
    if decimal:
        return _read(text, decimal)
    with_point, with_comma = _read(text, POINT), _read(text, COMMA)
    if with_comma is None or with_point == with_comma:
        return with_point
    if with_point is not None or _LONE_COMMA.fullmatch(text):
        return None
    return with_comma


def decimal_marks(text: str) -> str:
    """Return the marks that make a number of a text: both, or one, or none.

    Both if they make the same number of it, too: ``52 000``.
    """
    return "".join(mark for mark in (POINT, COMMA) if _read(text, mark) is not None)


def number_advice(text: str) -> str:
    """Return what to write instead of a text that stands for a number, to end a sentence with.

    Empty if there is nothing to advise.
    """
    if len(text) > _LONGEST:
        return ""
    with_point, with_comma = _read(text, POINT), _read(text, COMMA)
    if with_point is not None and with_comma is not None and with_point != with_comma:
        whole, fraction = sorted((with_point, with_comma), key=lambda one: isinstance(one, float))
        return f". Write {whole}, or {unambiguous(str(fraction))} for a decimal"
    number = with_comma if with_point is None else with_point
    if with_point is None and number is not None and _LONE_COMMA.fullmatch(text):
        return "; write decimals with a dot"
    if number is not None:
        return "" if PLAIN_NUMBER.fullmatch(text.strip()) else f". Write {number}"
    return _advice_on_unit(text.strip())


def unambiguous(text: str) -> str:
    """Return a number's text with a zero more, if its three decimals could be a group."""
    return f"{text}0" if GROUPED_BY_POINTS.fullmatch(text) else text


def _advice_on_unit(text: str) -> str:
    found = _WITH_UNIT.fullmatch(text)
    number = parse_number(found[1]) if found else None
    if not found or number is None:
        return ""
    if found[2] == "%":
        return f". Write {number} or {number / 100:g}, without the per cent sign"
    return f". Write {number} without the unit"


def _pattern(mark: str, other: str) -> re.Pattern[str]:
    money = f"(?:[{_CURRENCY}][{_BLANK}]?)?"
    group = f"[{re.escape(other)}{_BLANK}{_APOSTROPHE}]"
    whole = rf"[1-9]\d{{0,2}}(?:({group})\d{{3}})(?:\3\d{{3}})*|\d+"
    # After a point there may be nothing; a comma that ends a text may be one too many.
    fraction = r"\.(\d*)" if mark == POINT else r",(\d+)"
    return re.compile(
        rf"{money}([+\-\u2212]?){money}(?:({whole})(?:{fraction})?|{re.escape(mark)}(\d+))"
        rf"([eE][+-]?\d+)?(?:[{_BLANK}]?[{_CURRENCY}])?",
        re.ASCII,
    )


_PATTERNS = {POINT: _pattern(POINT, COMMA), COMMA: _pattern(COMMA, POINT)}
_MONEY = re.compile(f"[{_CURRENCY}]")


def _read(text: str, mark: str) -> int | float | None:
    found = _PATTERNS[mark].fullmatch(text.strip())
    if not found or len(_MONEY.findall(text)) > 1:
        return None
    sign, whole, group, after, alone, exponent = found.groups()
    if group and exponent:
        return None
    digits = re.sub(r"\D", "", whole or "0", flags=re.ASCII)
    minus = "-" if sign in {"-", "\u2212"} else ""
    fraction = alone if after is None else after
    if fraction is None and not exponent:
        return _number(f"{minus}{digits}")
    return _number(f"{minus}{digits}.{fraction or '0'}{exponent or ''}")


def _number(text: str) -> int | float | None:
    number = float(text)
    if not math.isfinite(number):
        return None
    return int(text) if text.lstrip("-").isdigit() else number

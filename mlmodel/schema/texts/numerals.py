"""Parse numbers as people write them: ``52 000``, ``1,234.5``, ``€14.90``.

A text is parsed twice: with a decimal point and with a decimal comma. If both give the same
number, or only one gives a number, the text is unambiguous. If they differ, as for ``52.000`` and
``52,000``, it is ambiguous unless the caller passes the decimal mark. ``2,5`` is ambiguous too: it
may be two numbers.

``static/numerals.js`` does the same in the browser; ``tests/data/numerals.json`` tests both.
"""

from __future__ import annotations

import math
import re

POINT, COMMA = ".", ","

#: A JSON number. Source: RFC 8259, section 6.
JSON_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)

#: Digits, one point and an exponent, as most programs read and write them.
PLAIN_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

#: A JSON number with another value where points group digits.
GROUPED_BY_POINTS = re.compile(r"-?[1-9]\d{0,2}\.\d{3}", re.ASCII)

#: Currency signs, without the cent, which changes the value.
_CURRENCY = "$£¥฿\u20a0-\u20cf"
#: Spaces that group digits, including no-break, figure, thin and narrow no-break spaces.
_SPACES = " \u00a0\u2007\u2009\u202f"
#: Apostrophes, which group digits under either decimal mark.
_APOSTROPHE = "'\u2019"

#: Maximum length of a text that gets advice, in characters.
_MAX_CHARACTERS = 60
#: A comma that may be the decimal mark of one number or the separator of two.
_LONE_COMMA = re.compile(r"\D*\d*,\d+([eE][+-]?\d+)?\D*", re.ASCII)
_WITH_UNIT = re.compile(r"(.*?\d)\s*(%|°?[^\W\d_]+[²³]?)")


def parse_number(text: str, decimal: str = "") -> int | float | None:
    """Return the number in a text, or ``None`` if there is none or it is ambiguous.

    :param decimal: the decimal mark, :data:`POINT` or :data:`COMMA`; empty if unknown.
    """
    if decimal != COMMA and JSON_NUMBER.fullmatch(text):
        if decimal or not GROUPED_BY_POINTS.fullmatch(text):
            return _number(text)
        return None
    if decimal:
        return _parse(text, decimal)
    with_point, with_comma = _parse(text, POINT), _parse(text, COMMA)
    if with_comma is None or with_point == with_comma:
        return with_point
    if with_point is not None or _LONE_COMMA.fullmatch(text):
        return None
    return with_comma


def decimal_marks(text: str) -> str:
    """Return the decimal marks under which a text is a number: both, one or none.

    For ``52 000`` it returns both, although they give the same number.
    """
    return "".join(mark for mark in (POINT, COMMA) if _parse(text, mark) is not None)


def number_advice(text: str) -> str:
    """Return advice on how to write a number, as the end of a sentence; empty if there is none."""
    if len(text) > _MAX_CHARACTERS:
        return ""
    with_point, with_comma = _parse(text, POINT), _parse(text, COMMA)
    if with_point is not None and with_comma is not None and with_point != with_comma:
        whole, fraction = sorted((with_point, with_comma), key=lambda one: isinstance(one, float))
        return f". Write {whole}, or {to_unambiguous(str(fraction))} for a decimal"
    number = with_comma if with_point is None else with_point
    if with_point is None and number is not None and _LONE_COMMA.fullmatch(text):
        return "; write decimals with a dot"
    if number is not None:
        return "" if PLAIN_NUMBER.fullmatch(text.strip()) else f". Write {number}"
    return _unit_advice(text.strip())


def to_unambiguous(text: str) -> str:
    """Return a number's text, with a zero appended if its three decimals could be a group."""
    return f"{text}0" if GROUPED_BY_POINTS.fullmatch(text) else text


def _unit_advice(text: str) -> str:
    match = _WITH_UNIT.fullmatch(text)
    number = parse_number(match[1]) if match else None
    if not match or number is None:
        return ""
    if match[2] == "%":
        return f". Write {number} or {number / 100:g}, without the per cent sign"
    return f". Write {number} without the unit"


def _pattern(mark: str, other: str) -> re.Pattern[str]:
    money = f"(?:[{_CURRENCY}][{_SPACES}]?)?"
    group = f"[{re.escape(other)}{_SPACES}{_APOSTROPHE}]"
    whole = rf"[1-9]\d{{0,2}}(?:({group})\d{{3}})(?:\3\d{{3}})*|\d+"
    # A point may end a number; a comma at the end may be punctuation.
    fraction = r"\.(\d*)" if mark == POINT else r",(\d+)"
    return re.compile(
        rf"{money}([+\-\u2212]?){money}(?:({whole})(?:{fraction})?|{re.escape(mark)}(\d+))"
        rf"([eE][+-]?\d+)?(?:[{_SPACES}]?[{_CURRENCY}])?",
        re.ASCII,
    )


_PATTERNS = {POINT: _pattern(POINT, COMMA), COMMA: _pattern(COMMA, POINT)}
_MONEY = re.compile(f"[{_CURRENCY}]")


def _parse(text: str, mark: str) -> int | float | None:
    match = _PATTERNS[mark].fullmatch(text.strip())
    if not match or len(_MONEY.findall(text)) > 1:
        return None
    sign, whole, group, fraction, leading_fraction, exponent = match.groups()
    if group and exponent:
        return None
    digits = re.sub(r"\D", "", whole or "0", flags=re.ASCII)
    minus = "-" if sign in {"-", "\u2212"} else ""
    decimals = leading_fraction if fraction is None else fraction
    if decimals is None and not exponent:
        return _number(f"{minus}{digits}")
    return _number(f"{minus}{digits}.{decimals or '0'}{exponent or ''}")


def _number(text: str) -> int | float | None:
    number = float(text)
    if not math.isfinite(number):
        return None
    return int(text) if text.lstrip("-").isdigit() else number

"""Patterns in JSON Schemas, matched in a time that no text can make explode.

They are regular expressions as ECMA 262 has them, and one engine reads all of them, that of
``jsonschema-rs``: its time grows with the text and no faster, whatever the pattern. What such an
engine cannot do, to look around and to refer back, a pattern may not ask for.
"""

from __future__ import annotations

from functools import lru_cache

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from mlmodel.errors import InvalidSchema

#: How patterns are read, wherever one is.
OPTIONS = RegexOptions()

RULE = "it must be a regular expression of ECMA 262 that neither looks around nor refers back"
#: What other dialects have, and what to write instead.
INSTEAD = {
    "(?=": "it cannot look ahead: (?=",
    "(?!": "it cannot look ahead: (?!",
    "(?<=": "it cannot look behind: (?<=",
    "(?<!": "it cannot look behind: (?<!",
    r"\Z": r"the end is $, not \Z",
    r"\1": r"it cannot refer back: \1",
    "(?P=": "it cannot refer back: (?P=",
    r"\k<": r"it cannot refer back: \k<",
}


def matches(pattern: str, text: str) -> bool:
    """Tell whether a text has something in it that fits a pattern.

    :raises InvalidSchema: if it is no pattern.
    """
    return _kept(pattern).is_valid(text if text.isascii() else _in_characters(text))


def check(pattern: str) -> None:
    """Check that texts can be matched against a pattern.

    :raises InvalidSchema: if not, with what would be right.
    """
    _compiled(pattern)


def is_pattern(value: object) -> bool:
    """Tell whether a value, if it is a text, is a pattern."""
    try:
        _compiled(value if isinstance(value, str) else "")
    except InvalidSchema:
        return False
    return True


@lru_cache(maxsize=1000)
def _kept(pattern: str) -> Draft202012Validator:
    return _compiled(pattern)


def _compiled(pattern: str) -> Draft202012Validator:
    try:
        return Draft202012Validator({"pattern": pattern}, pattern_options=OPTIONS, offline=True)
    except (ValidationError, ValueError) as error:  # ValueError: half a surrogate pair
        reason = next((said for sign, said in INSTEAD.items() if sign in pattern), None)
        raise InvalidSchema(f"{pattern!r:.80} is no pattern here: {reason or RULE}") from error


def _in_characters(text: str) -> str:
    """Return a text without halves of surrogate pairs, which are no characters."""
    return text.encode("utf-8", "replace").decode()

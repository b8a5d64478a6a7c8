"""Patterns in JSON Schemas, matched in linear time.

They are regular expressions of ECMA 262 for the engine of ``jsonschema-rs``, whose time is linear
in the length of the text for every pattern. Such an engine has neither lookaround nor
backreferences, so patterns with them are rejected.
"""

from __future__ import annotations

from functools import lru_cache

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from mlmodel.errors import InvalidSchema

#: The options with which every pattern is compiled.
OPTIONS = RegexOptions()

RULE = "expected an ECMA 262 regular expression without lookaround and backreferences"
#: Unsupported syntax, and the reason or replacement for the error message.
INSTEAD = {
    "(?=": "lookahead is not supported: (?=",
    "(?!": "lookahead is not supported: (?!",
    "(?<=": "lookbehind is not supported: (?<=",
    "(?<!": "lookbehind is not supported: (?<!",
    r"\Z": r"write $ instead of \Z",
    r"\1": r"backreferences are not supported: \1",
    "(?P=": "backreferences are not supported: (?P=",
    r"\k<": r"backreferences are not supported: \k<",
}


def matches(pattern: str, text: str) -> bool:
    """Return whether a pattern matches anywhere in a text.

    :raises InvalidSchema: if the pattern is invalid or unsupported.
    """
    return _get_validator(pattern).is_valid(text if text.isascii() else _in_characters(text))


def check(pattern: str) -> None:
    """Check that a pattern is valid and supported.

    :raises InvalidSchema: if it is not, with the reason.
    """
    _build_validator(pattern)


def is_pattern(value: object) -> bool:
    """Return whether a value is a valid pattern; true for any value that is not a string."""
    try:
        _build_validator(value if isinstance(value, str) else "")
    except InvalidSchema:
        return False
    return True


@lru_cache(maxsize=1000)
def _get_validator(pattern: str) -> Draft202012Validator:
    return _build_validator(pattern)


def _build_validator(pattern: str) -> Draft202012Validator:
    try:
        return Draft202012Validator({"pattern": pattern}, pattern_options=OPTIONS, offline=True)
    except (ValidationError, ValueError) as error:  # ValueError: a lone surrogate
        reason = next((text for sign, text in INSTEAD.items() if sign in pattern), None)
        raise InvalidSchema(
            f"{pattern!r:.80} is not a supported pattern: {reason or RULE}"
        ) from error


def _in_characters(text: str) -> str:
    """Return a text with each lone surrogate, which is not a character, replaced."""
    return text.encode("utf-8", "replace").decode()

"""JSON as text: written on one line, and read strictly, as RFC 8259 defines it.

Ambiguous texts are rejected. ``orjson`` parses most texts. It is fast, and lenient where the RFC
leaves a choice: it takes the last of duplicate keys, and turns an integer beyond 64 bits into a
float. If a text may contain one of these, the strict parser reads it: the standard library's
``json`` with checks. It also writes every error message.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import orjson

from mlmodel.schema.messages import json_reason

#: Nesting that the strict parser can read, however deep the call stack is.
SURE_DEPTH = 250
#: An escape that may be a lone surrogate.
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

#: More digits than the largest double has.
LONG_NUMBER = re.compile(r"\d{309}")

#: Maps digits to 0, keeps points, and maps all other bytes to spaces.
DIGITS = bytes(48 if byte in b"0123456789" else 46 if byte in b"." else 32 for byte in range(256))
#: Then found where an integer may have more than 64 bits. Integers do not follow a point.
LONG_WHOLE = b" " + b"0" * 19
#: Distances that join digits to runs of 2, 4, 8, 16 and 19, the number of zeros above.
STEPS = (1, 2, 4, 8, 3)
#: Bytes from which numpy looks through a body faster.
LONG_BODY = 8_192

#: Maps the other white space of JSON to spaces.
SPACES = bytes.maketrans(b"\t\n\r", b"   ")

CONTAINERS = (dict, list)

#: Levels of flat rows besides the lists in their text: a row, and an empty object in it.
FLAT_DEPTH = 2


class InvalidJson(ValueError):
    """A text is not strict JSON. The message is the end of a sentence: ``is not JSON: ...``."""


def to_json(value: Any) -> str:
    """Return a value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def parse(body: bytes, max_depth: int = SURE_DEPTH) -> Any:
    """Return the value of a JSON text.

    :raises InvalidJson: if it is not UTF-8 or not JSON, has a duplicate key in an object, a
        number beyond a double, a lone surrogate, or is nested deeper than ``max_depth``.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return parse_strictly(body, max_depth)
    if _is_sure(body, value, min(max_depth, SURE_DEPTH)):
        return value
    del value  # it may be large, and there will be another
    return parse_strictly(body, max_depth)


def _is_sure(body: bytes, value: Any, max_depth: int) -> bool:
    """Return whether the strict parser surely returns the same value."""
    may_be_long, colons, lists = _scan(body) if len(body) < LONG_BODY else _scan_long(body)
    if may_be_long:
        return False
    if _are_flat(value, colons) and lists + FLAT_DEPTH <= max_depth:
        return True  # as most
    brackets = lists + body.count(b"{")
    if _is_whole(value, colons, brackets, max_depth):
        return True
    most_members = _most_members(body, colons)
    return most_members < colons and _is_whole(value, most_members, brackets, max_depth)


def _scan(body: bytes) -> tuple[bool, int, int]:
    """Return whether an integer may have more than 64 bits, and the numbers of ``:`` and ``[``."""
    return LONG_WHOLE in body.translate(DIGITS), body.count(b":"), body.count(b"[")


def _scan_long(body: bytes) -> tuple[bool, int, int]:
    """Return what :func:`_scan` does: for 100 KB, in 0.05 instead of 0.3 ms."""
    import numpy as np  # noqa: PLC0415  large; short bodies do not need it

    codes = np.frombuffer(body, np.uint8)
    runs = codes - ord("0") < len("0123456789")  # unsigned: bytes before "0" wrap around
    for step in STEPS:
        runs = runs[:-step] & runs[step:]
    colons, lists = (int(np.count_nonzero(codes == ord(each))) for each in ":[")
    return bool(runs.any()) and _scan(body)[0], colons, lists


def _are_flat(value: Any, colons: int) -> bool:
    """Return whether a value is a row or a list of rows, with all members of its text.

    :param colons: in the text. If the rows have as many members, no key is a duplicate, and an
        object in them is empty.
    """
    if type(value) is dict:
        return len(value) == colons
    return (
        type(value) is list and set(map(type, value)) == {dict} and sum(map(len, value)) == colons
    )


def _most_members(body: bytes, colons: int) -> int:
    """Return an upper bound of the members in a body, which is mostly exact."""
    # Colons within strings, such as those of a time, do not count unless one is apart from a quote.
    quoted = body.count(b'":')
    is_apart = quoted < colons and b" :" in body.translate(SPACES)
    return colons if is_apart else quoted


def _is_whole(value: Any, most_members: int, brackets: int, max_depth: int) -> bool:
    """Return whether a value has all members of its text, and is not nested too deep.

    :param most_members: an upper bound of those in the text. If the value has as many, no key
        is a duplicate.
    :param brackets: opening brackets in the text, which bound the levels.
    """
    depth = members = 0
    level = [value]
    while level := _containers(level):
        depth += 1
        brackets -= len(level)
        members += sum(map(len, [item for item in level if type(item) is dict]))
        if members == most_members and depth + brackets <= max_depth:
            return True
        level = _children(level)
    return False


def parse_strictly(body: bytes, max_depth: int) -> Any:
    """Parse a body strictly. Returns and raises the same as :func:`parse`, more slowly."""
    text, value = _decode(body, max_depth)
    if text.count("[") + text.count("{") > max_depth and _depth(value) > max_depth:
        raise _too_deep(max_depth)
    if SURROGATE.search(text):
        _check_surrogates(value)
    if LONG_NUMBER.search(text):
        _STRICT_DECODER.decode(text)
    return value


def _decode(body: bytes, max_depth: int) -> tuple[str, Any]:
    """Return a body as text, and its value, which may be nested too deep."""
    try:
        text = body.decode("utf-8")
        return text, _DECODER.decode(_without_mark(text))
    except InvalidJson:
        raise
    except UnicodeDecodeError as error:
        raise InvalidJson(f"is not UTF-8: see byte {error.start}") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InvalidJson(f"is not JSON: {json_reason(error)} ({place})") from error
    except ValueError as error:  # an integer with thousands of digits
        raise InvalidJson("has a number with too many digits") from error
    except RecursionError as error:
        raise _too_deep(max_depth) from error


def _without_mark(text: str) -> str:
    if text.startswith("\ufeff"):
        raise InvalidJson("is not JSON: it starts with a byte order mark")
    return text


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InvalidJson(f"has the key {twice!r:.80} twice in one object")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise InvalidJson(f"has a number beyond the range of a double: {text:.40}")
    return number


def _finite_integer(text: str) -> int:
    _finite(text)
    return int(text)


def _reject_constant(name: str) -> NoReturn:
    raise InvalidJson(f"is not JSON: {name} is not allowed")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_float=_finite, parse_constant=_reject_constant
)

#: Slower, because it checks integers too.
_STRICT_DECODER = json.JSONDecoder(parse_int=_finite_integer)


def _too_deep(max_depth: int) -> InvalidJson:
    return InvalidJson(f"is nested deeper than {max_depth} levels")


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := _containers(level):
        depth += 1
        level = _children(level)
    return depth


def _containers(level: list[Any]) -> list[Any]:
    return [item for item in level if type(item) in CONTAINERS]


def _children(level: list[Any]) -> list[Any]:
    return [member for item in level for member in (item.values() if type(item) is dict else item)]


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidJson("has an unpaired surrogate, which is not a character") from error

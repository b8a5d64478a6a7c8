"""JSON by the letter of RFC 8259: what two readers could take for two things is refused.

Most bodies are read by ``orjson``, which is fast, and lax in what the RFC leaves open: of a key
that comes twice it takes the last, of a whole number beyond 64 bits it makes a fraction. Where such
a thing is not ruled out, the judge reads the body: ``json``, taught to refuse, who also words
every error.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import orjson
from werkzeug.exceptions import BadRequest

#: An escape that may be half of a surrogate pair.
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

#: Digits of which there are more than in the largest double.
LONG_NUMBER = re.compile(r"\d{309}")

#: Turns digits into 0, keeps points, and makes a space of all else.
DIGITS = bytes(48 if byte in b"0123456789" else 46 if byte in b"." else 32 for byte in range(256))
#: What is then where a whole number may have more than 64 bits. None begins after a point.
LONG_WHOLE = b" " + b"0" * 19

#: Makes a space of the other white space that JSON may have.
SPACES = bytes.maketrans(b"\t\n\r", b"   ")

#: Nesting that the judge can read, however many calls he is within.
SURE_DEPTH = 250


def parse(body: bytes, max_depth: int) -> Any:
    """Return the value of a JSON text.

    :raises BadRequest: if it is not UTF-8 or not JSON, has the same key twice in an object, a
        number beyond a double, half a surrogate pair, or is nested deeper than ``max_depth``.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return judged(body, max_depth)
    if _is_sure(body, value, min(max_depth, SURE_DEPTH)):
        return value
    del value  # it may be large, and there will be another
    return judged(body, max_depth)


def _is_sure(body: bytes, value: Any, max_depth: int) -> bool:
    """Tell whether the judge would say the same; if not, he still may."""
    if LONG_WHOLE in body.translate(DIGITS):
        return False
    colons, brackets = body.count(b":"), body.count(b"{") + body.count(b"[")
    if type(value) is dict and len(value) == colons and brackets <= max_depth:
        return True  # one flat row, as most
    return _is_whole(value, _most_members(body, colons), brackets, max_depth)


def _most_members(body: bytes, colons: int) -> int:
    """Return a number that the members in a body do not exceed, and mostly are."""
    # Not those within texts, such as the ones of a time, unless one is apart from its quote.
    quoted = body.count(b'":')
    is_apart = quoted < colons and b" :" in body.translate(SPACES)
    return colons if is_apart else quoted


def _is_whole(value: Any, most_members: int, brackets: int, max_depth: int) -> bool:
    """Tell whether a value has all the members of its text, and is nested no deeper than allowed.

    :param most_members: no more are in the text. If the value has as many, no key came twice.
    :param brackets: that open in the text: no more levels than these can be below.
    """
    depth = members = 0
    level = [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        brackets -= len(level)
        members += sum(len(item) for item in level if isinstance(item, dict))
        if members == most_members and depth + brackets <= max_depth:
            return True
        level = _children(level)
    return False


def judged(body: bytes, max_depth: int) -> Any:
    """Return what :func:`parse` does, and raise what it does, slowly."""
    try:
        text = body.decode("utf-8")
        value = _DECODER.decode(_without_mark(text))
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not UTF-8: see byte {error.start}") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BadRequest(f"the body is not JSON: {error.msg} ({place})") from error
    except ValueError as error:  # an integer with thousands of digits
        raise BadRequest("the body has a number with too many digits") from error
    except RecursionError as error:
        raise _too_deep(max_depth) from error
    if text.count("[") + text.count("{") > max_depth and _depth(value) > max_depth:
        raise _too_deep(max_depth)
    if SURROGATE.search(text):
        _check_surrogates(value)
    if LONG_NUMBER.search(text):
        _STRICT_DECODER.decode(text)
    return value


def _without_mark(text: str) -> str:
    if text.startswith("\ufeff"):
        raise BadRequest("the body is not JSON: it starts with a byte order mark")
    return text


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise BadRequest(f"the body has the key {twice!r:.80} twice in one object")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise BadRequest(f"the body has a number beyond the range of a double: {text:.40}")
    return number


def _finite_integer(text: str) -> int:
    _finite(text)
    return int(text)


def _refuse_constant(name: str) -> NoReturn:
    raise BadRequest(f"the body is not JSON: it has no {name}")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_float=_finite, parse_constant=_refuse_constant
)

#: Slower: it looks at whole numbers, too.
_STRICT_DECODER = json.JSONDecoder(parse_int=_finite_integer)


def _too_deep(max_depth: int) -> BadRequest:
    return BadRequest(f"the body is nested deeper than {max_depth} levels")


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = _children(level)
    return depth


def _children(level: list[Any]) -> list[Any]:
    return [
        member for item in level for member in (item.values() if isinstance(item, dict) else item)
    ]


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadRequest("the body has half of a surrogate pair, which is no character") from error

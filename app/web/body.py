"""The body of a request: JSON by the letter of RFC 8259, or CSV."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn, TextIO

from flask import current_app, request
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from app.web.folding import unescaped
from mlmodel.schema import Schema

#: An escape that may be half of a surrogate pair.
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

#: Digits of which there are more than in the largest double.
LONG_NUMBER = re.compile(r"\d{309}")


def read_json() -> Any:
    """Return what the body of the current request says.

    :raises UnsupportedMediaType: if it does not say that it is JSON in UTF-8.
    :raises BadRequest: if it is not, or is nested too deep.
    :raises RequestEntityTooLarge: if it is larger than ``MAX_BODY_BYTES``.
    """
    return parse(_read("application/json"), current_app.config["MAX_DEPTH"])


def read_csv() -> TextIO:
    """Return the body of the current request as the text of a CSV file.

    :raises UnsupportedMediaType: if it does not say that it is CSV in UTF-8.
    :raises BadRequest: if it is not UTF-8.
    :raises RequestEntityTooLarge: if it is larger than ``MAX_BODY_BYTES``.
    """
    body = _read("text/csv")
    try:
        return io.StringIO(body.decode("utf-8-sig"), newline="")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise BadRequest(f"the file is not UTF-8: see line {line}") from error


def row_of(query: Mapping[str, str], schema: Schema) -> dict[str, Any]:
    """Return the row that a query says: each value a text, or what its JSON says if only that fits.

    :param schema: that of a row. What fits neither way stays a text, for the judge to refuse.
    """
    row: dict[str, Any] = dict(query)
    for violation in schema.violations(row):
        name = unescaped(violation.pointer.removeprefix("/"))
        if name in query:
            row[name] = _from_json(query[name])
    return row


def parse(body: bytes, max_depth: int) -> Any:
    """Return the value of a JSON text.

    :raises BadRequest: if it is not UTF-8 or not JSON, has the same key twice in an object, a
        number beyond a double, half a surrogate pair, or is nested deeper than ``max_depth``.
    """
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


def _from_json(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError, BadRequest):
        return text


def _read(media_type: str) -> bytes:
    _check_media_type(media_type)
    body = request.get_data(cache=False)
    # A body without Content-Length is only cut at the limit; reading on raises the error.
    request.stream.read(1)
    return body


def _check_media_type(media_type: str) -> None:
    if request.mimetype != media_type:
        got = request.mimetype or "none"
        raise UnsupportedMediaType(f"Content-Type must be {media_type}, got {got}")
    charset = request.mimetype_params.get("charset", "utf-8")
    if charset.lower() not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType(f"the charset must be utf-8, got {charset}")
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        raise UnsupportedMediaType(f"Content-Encoding must be identity, got {encoding}")


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
        level = [
            member
            for item in level
            for member in (item.values() if isinstance(item, dict) else item)
        ]
    return depth


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadRequest("the body has half of a surrogate pair, which is no character") from error

"""The content of a request: a JSON body, a file of rows, a form field, or a query string."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, BinaryIO
from urllib.parse import parse_qs

from flask import current_app, request
from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)
from werkzeug.http import parse_options_header

from app.serving.json_text import InvalidJson, parse
from mlmodel.bounded.compression import Budget, Codec, decompress
from mlmodel.errors import CorruptSection, TooLarge
from mlmodel.schema.shape import unescape
from mlmodel.schema.validator import Schema

#: Arrays and objects that a body may have: for each allowed row, and at least.
NESTED_OF_ROW = 10
LEAST_NESTED = 1_000_000
#: The media type of a form without files.
URL_ENCODED = "application/x-www-form-urlencoded"
JSON = "application/json"
#: Media types of files of rows. The content decides which kind a file is.
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TABLES = (
    "text/csv",
    XLSX,
    "text/tab-separated-values",
    "application/csv",
    "application/vnd.ms-excel",
    "application/gzip",
    "application/zstd",
)
#: The media type of any file, which generated clients send.
ANY_FILE = "application/octet-stream"
#: Content codings: none, and those of which zlib reads the header.
IDENTITY, ENCODINGS = "identity", ("gzip", "deflate")
UTF_8 = frozenset({"utf-8", "utf8"})


def read_json() -> Any:
    """Return the JSON value in the body of the current request.

    :raises UnsupportedMediaType: if the media type is not JSON in UTF-8.
    :raises BadRequest: if it is not valid JSON, or is nested too deep.
    :raises RequestEntityTooLarge: if it is larger than ``MAX_BODY_BYTES``, or has more arrays and
        objects than :func:`max_nested`.
    """
    content = read_expanded(JSON)
    if not is_json(request.content_type or ""):
        charset = request.mimetype_params["charset"]
        raise UnsupportedMediaType(f"the charset must be utf-8, got {charset}")
    return parse_json(content)


@lru_cache
def is_json(content_type: str) -> bool:
    """Return whether a ``Content-Type`` is that of JSON in UTF-8."""
    media_type, parameters = parse_options_header(content_type)
    return media_type.lower() == JSON and parameters.get("charset", "utf-8").lower() in UTF_8


def parse_json(content: bytes) -> Any:
    """Return the JSON value in a request's content.

    :raises BadRequest: if it is not valid JSON, or is nested too deep.
    :raises RequestEntityTooLarge: if it has more arrays and objects than :func:`max_nested`.
    """
    most = max_nested(current_app.config)
    # Counted before parsing: one takes thirty times the memory of its two brackets.
    if len(content) > most:
        count = content.count(b"{") + content.count(b"[")
        if count > most:
            raise RequestEntityTooLarge(
                f"expected at most {most:,} arrays and objects, got {count:,}"
            )
    try:
        return parse(content, current_app.config["MAX_DEPTH"])
    except InvalidJson as error:
        raise BadRequest(f"the body {error}") from error


def read_expanded(*allowed: str) -> bytes:
    """Return the body of the current request, decompressed if it is in gzip or deflate.

    :param allowed: media types; empty if the header may be missing.
    :raises UnsupportedMediaType: if it has another media type or encoding.
    :raises BadRequest: if it cannot be read to its end, or does not decompress.
    :raises RequestEntityTooLarge: if it is larger than ``MAX_BODY_BYTES``, or expands beyond it.
    """
    _check_media_type(*allowed)
    content = _read()
    if _get_encoding() == IDENTITY:
        return content
    limit = current_app.config["MAX_BODY_BYTES"]
    try:
        return decompress(Codec.ZLIB, content, Budget(limit))
    except TooLarge as error:
        raise RequestEntityTooLarge(f"the body expands to more than {limit:,} bytes") from error
    except CorruptSection as error:
        raise BadRequest("the body does not decompress") from error


def max_nested(config: Mapping[str, Any]) -> int:
    """Return how many arrays and objects a body may have. A body of fewer bytes has no more."""
    return max(LEAST_NESTED, NESTED_OF_ROW * int(config["MAX_ROWS"]))


def is_table() -> bool:
    """Return whether the body of the current request is a file of rows, where JSON is allowed too.

    :raises UnsupportedMediaType: if it is neither, or has another encoding.
    """
    _check_media_type(JSON, *TABLES)
    return request.mimetype in TABLES


def read_table() -> tuple[BinaryIO, str]:
    """Return the file of rows in the current request, and its charset; empty if unknown.

    UTF-8 counts as unknown: many clients declare it for any content.

    :raises UnsupportedMediaType: if the media type is not that of CSV or a workbook.
    :raises BadRequest: if it cannot be read to its end.
    :raises RequestEntityTooLarge: if it is larger than ``MAX_BODY_BYTES``.
    """
    content = read_expanded(*TABLES, ANY_FILE)
    charset = request.mimetype_params.get("charset", "utf-8")
    return io.BytesIO(content), "" if charset.lower() in UTF_8 else charset


def read_form_field(name: str) -> str:
    """Return the text of the only field in the form of the current request.

    :raises UnsupportedMediaType: if the form is not URL-encoded.
    :raises BadRequest: if the form has another field, or cannot be read.
    :raises RequestEntityTooLarge: if it is larger than ``MAX_BODY_BYTES``.
    """
    content = read_expanded(URL_ENCODED)
    try:
        # Not `request.form`: it has no limit of fields, and takes long for a million.
        fields = parse_qs(
            content.decode(), keep_blank_values=True, errors="strict", max_num_fields=1
        )
        return fields[name][0]
    except (ValueError, KeyError):
        raise BadRequest(f"expected a form with the field {name!r} only") from None


def to_row(query: Mapping[str, str], schema: Schema) -> dict[str, Any]:
    """Convert a query to a row: each value a string, or parsed as JSON if only that is valid.

    :param schema: of the row. A value that is valid neither way stays a string.
    """
    row: dict[str, Any] = dict(query)
    for violation in schema.violations(row):
        name = unescape(violation.pointer.removeprefix("/"))
        if name in query:
            row[name] = _from_json(query[name])
    return row


def _from_json(text: str) -> Any:
    try:
        return parse(text.encode(), current_app.config["MAX_DEPTH"])
    except (InvalidJson, UnicodeEncodeError):
        return text


def _read() -> bytes:
    with reading_to_its_end():
        body = request.get_data(cache=False)
        # A body without Content-Length is only cut at the limit; reading on raises the error.
        request.stream.read(1)
    if len(body) < (request.content_length or 0):
        raise BadRequest("the body ends before its Content-Length")
    return body


@contextmanager
def reading_to_its_end() -> Iterator[None]:
    """Convert the errors of reading the body, which differ between servers, to ``BadRequest``."""
    try:
        yield
    except HTTPException:
        raise
    # At an invalid chunk, each server raises its own error.
    except Exception as error:
        raise BadRequest("the body cannot be read to its end") from error


def _get_encoding() -> str:
    return (request.headers.get("Content-Encoding") or IDENTITY).lower()


def _check_media_type(*allowed: str) -> None:
    if request.mimetype not in allowed:
        *others, last = filter(None, allowed)
        expected = f"{', '.join(others)} or {last}" if others else last
        got = request.mimetype or "none"
        raise UnsupportedMediaType(f"Content-Type must be {expected}, got {got}")
    encoding = _get_encoding()
    if encoding not in (IDENTITY, *ENCODINGS):
        raise UnsupportedMediaType(
            f"Content-Encoding must be {' or '.join(ENCODINGS)}, got {encoding}"
        )

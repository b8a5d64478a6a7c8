"""Compression of responses, in a content coding that the client accepts.

The style sheets and scripts of :mod:`app.web.assets` are compressed, and other responses to GET.
Predictions are not: gzip takes 1 to 3 ms for 1,000 of them, which take 6 ms altogether. A proxy in
front of the server may compress them.

The length of a compressed response can reveal a secret in it to an attacker who adds text to it and
observes the length (BREACH, https://www.breachattack.com). A link can add text only by a query or
by a path that is not found, so responses to these are not compressed.

Flask-Compress 1.25 does not fit: it compresses the parts of a file (206), which clients then join
wrongly, and every response above a size. Which ones are compressed is most of this module; werkzeug
negotiates the coding.
"""

from __future__ import annotations

import gzip
from http import HTTPStatus

import zstandard
from flask import Flask, Response, request

#: Content codings, the best first. Brotli would need another package, and saves no bytes at the
#: speed of these levels.
ZSTD, GZIP, IDENTITY = "zstd", "gzip", "identity"
#: Media types of the responses that are compressed.
TYPES = frozenset({"application/json", "text/html", "text/plain"})
#: Below this size, compression saves no packet.
MIN_BYTES = 1000
GZIP_LEVEL = 6
#: For a response that is compressed each time, and for one whose compressed content is stored.
ZSTD_LEVEL, STORED_ZSTD_LEVEL = 3, 8


def init_app(app: Flask) -> None:
    """Compress responses. Call it before anything else that changes responses."""
    app.after_request(_compress)


def choose_encoding() -> str | None:
    """Return the content coding that the client prefers; ``None`` for none."""
    encoding = request.accept_encodings.best_match((ZSTD, GZIP, IDENTITY), default=IDENTITY)
    return None if encoding == IDENTITY else encoding


def compress(content: bytes, encoding: str, zstd_level: int = ZSTD_LEVEL) -> bytes:
    """Return content in a content coding."""
    if encoding == ZSTD:
        return zstandard.ZstdCompressor(level=zstd_level).compress(content)
    return gzip.compress(content, GZIP_LEVEL, mtime=0)


def _compress(response: Response) -> Response:
    is_get = request.method in {"GET", "HEAD"}
    if not is_get or response.mimetype not in TYPES or response.is_streamed:
        return response
    response.vary.add("Accept-Encoding")
    encoding = choose_encoding()
    is_added_to = bool(request.query_string) or response.status_code != HTTPStatus.OK
    if encoding and not is_added_to:
        content = response.get_data()
        if len(content) >= MIN_BYTES:
            response.set_data(compress(content, encoding))
            response.content_encoding = encoding
    return response

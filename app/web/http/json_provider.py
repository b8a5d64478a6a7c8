"""JSON as it is sent: compact, in UTF-8, its members in their order, and a line's end."""

from __future__ import annotations

import json
from typing import Any

import orjson
from flask import Response
from flask.json.provider import DefaultJSONProvider

#: What ``orjson`` has words of its own for, the standard library's writer says.
OPTIONS = (
    orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
)


def dumps(value: Any) -> bytes:
    """Return the body that says a value.

    :raises TypeError: if the value has what JSON cannot say.
    """
    try:
        return orjson.dumps(value, option=OPTIONS)
    except TypeError:  # a whole number beyond 64 bits, a key that is no text, deep nesting
        text = json.dumps(
            value,
            default=DefaultJSONProvider.default,
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":"),
        )
        return f"{text}\n".encode()


class Writer(DefaultJSONProvider):
    """What Flask writes JSON with. Texts for templates are those of Flask, which it escapes."""

    ensure_ascii = False
    sort_keys = False

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Return an answer with the JSON of a value."""
        body = dumps(self._prepare_response_obj(args, kwargs))
        return self._app.response_class(body, mimetype=self.mimetype)

"""JSON responses: compact, UTF-8, members in their order, ending with a newline."""

from __future__ import annotations

import json
from typing import Any

import orjson
from flask import Response
from flask.json.provider import DefaultJSONProvider

#: Dataclasses, dates and times are written by ``json`` as Flask does, not in orjson's own format.
OPTIONS = (
    orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
)


def dumps(value: Any) -> bytes:
    """Serialize a value to JSON.

    :raises TypeError: if the value contains a type that JSON cannot represent.
    """
    try:
        return orjson.dumps(value, option=OPTIONS)
    except TypeError:  # integer beyond 64 bits, non-string key, deep nesting, date or dataclass
        text = json.dumps(
            value,
            default=DefaultJSONProvider.default,
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":"),
        )
        return f"{text}\n".encode()


class JSONProvider(DefaultJSONProvider):
    """Flask's JSON provider. Only responses differ; templates use Flask's own, escaped JSON."""

    ensure_ascii = False
    sort_keys = False

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a response with the JSON of a value."""
        body = dumps(self._prepare_response_obj(args, kwargs))
        return self._app.response_class(body, mimetype=self.mimetype)

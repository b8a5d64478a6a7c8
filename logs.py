"""How everything is logged: each event as a line of JSON, or as text for people.

Whatever a client has sent is within its own line: line breaks and commands for terminals are
escaped, and what is long is cut.
"""

from __future__ import annotations

import json
import logging
import logging.config
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from flask import g, has_request_context, request

#: Characters of a text that is logged, and of an error's trace.
MOST_CHARACTERS = 2_000
MOST_OF_A_TRACE = 20_000
#: What an event has first, in this order.
FIRST = ("time", "level", "logger", "event")

Event = MutableMapping[str, Any]


def configure(settings: Mapping[str, Any]) -> None:
    """Log as the settings say, unless somebody has said how already."""
    if not logging.root.handlers:
        logging.config.dictConfig(as_dict(settings))


def as_dict(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return it as :mod:`logging.config` takes it, and gunicorn."""
    server = {"level": settings["LOG_LEVEL"], "handlers": [], "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": _formatter, "is_json": _is_json(settings)}},
        "handlers": {"lines": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "loggers": {"gunicorn.error": server},
        "root": {"level": settings["LOG_LEVEL"], "handlers": ["lines"]},
    }


def access(settings: Mapping[str, Any]) -> Callable[..., None] | None:
    """Return what logs a request that has ended, from its facts; ``None`` if nobody wants it."""
    if not settings["ACCESS_LOG"]:
        return None
    # Not by way of logging, which takes ten times as long for each line.
    renderer: Any = orjson.dumps if _is_json(settings) else _as_line
    lines = structlog.BytesLogger(sys.stderr.buffer)

    def log(event: Event) -> None:
        # Whoever reads the log may have gone; that is no reason to answer nobody.
        with suppress(OSError, ValueError):
            lines.msg(renderer({"time": _now(), "level": "info", "logger": "access", **event}))

    return log


def said(settings: Mapping[str, Any], text: str) -> str:
    """Return a line for what is told however little is logged."""
    if not _is_json(settings):
        return f"{text}\n"
    event = {"time": _now(), "level": "info", "logger": "modelhost", "event": text}
    return json.dumps(event) + "\n"


def _is_json(settings: Mapping[str, Any]) -> bool:
    if settings["LOG_FORMAT"] == "auto":
        return not sys.stderr.isatty()
    return bool(settings["LOG_FORMAT"] == "json")


def _formatter(is_json: bool) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            _of_request,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _in_order,
            structlog.processors.JSONRenderer() if is_json else _as_text,
        ],
    )


def _of_request(_logger: Any, _method: str, event: Event) -> Event:
    """Add whose request it is that something is logged for."""
    if has_request_context() and "request_id" in g:
        event["request_id"] = g.request_id
        model = (request.view_args or {}).get("name")
        if model is not None:
            event["model"] = model
    return event


def _in_order(_logger: Any, _method: str, event: Event) -> Event:
    first = {key: event[key] for key in FIRST if key in event}
    ordered = {"time": _now(), **first, **event}
    return {key: _cut(key, value) for key, value in ordered.items()}


def _cut(key: str, value: Any) -> Any:
    text = value if isinstance(value, str) else str(value)
    if key == "exception":
        # The end says what it was.
        return text if len(text) <= MOST_OF_A_TRACE else f"… {text[-MOST_OF_A_TRACE:]}"
    text = text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} …"
    return "".join(map(_escaped, text)) if not text.isprintable() else text


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _as_text(_logger: Any, _method: str, event: Event) -> str:
    """Return an event as people read it; the lines of a trace cannot be taken for others."""
    trace = event.pop("exception", "")
    first = " ".join([event.pop("time"), event.pop("level").upper(), event.pop("logger") + ":"])
    more = "".join(f" {key}={value}" for key, value in event.items() if key != "event")
    lines = "".join(
        f"\n    {''.join(map(_escaped, line))}" for line in trace.splitlines() if line.strip()
    )
    return f"{first} {event['event']}{more}{lines}"


def _as_line(event: Event) -> bytes:
    return _as_text(None, "", event).encode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""Logging configuration: each event is one line of JSON, or text for people.

Clients cannot forge log lines: line breaks and terminal control characters are escaped, and long
values are cut.
"""

from __future__ import annotations

import json
import logging
import logging.config
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

#: Maximum characters of a logged value, and of a traceback.
MOST_CHARACTERS = 2_000
MOST_OF_A_TRACE = 20_000
#: The first keys of an event, in this order.
FIRST = ("time", "level", "logger", "event")

Event = MutableMapping[str, Any]


def configure(settings: Mapping[str, Any]) -> None:
    """Configure logging by the settings, unless the root logger already has handlers."""
    if not logging.root.handlers:
        logging.config.dictConfig(as_dict(settings))


def as_dict(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration for :func:`logging.config.dictConfig` and gunicorn."""
    server = {"level": settings["LOG_LEVEL"], "handlers": [], "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": _formatter, "is_json": is_json(settings)}},
        "handlers": {"lines": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "loggers": {"gunicorn.error": server},
        "root": {"level": settings["LOG_LEVEL"], "handlers": ["lines"]},
    }


def access(settings: Mapping[str, Any]) -> Callable[..., None] | None:
    """Return a function that writes a request's facts to the log; ``None`` if ACCESS_LOG is off."""
    if not settings["ACCESS_LOG"]:
        return None
    # The logging module takes ten times as long for each line.
    renderer: Any = orjson.dumps if is_json(settings) else _as_line
    lines = structlog.BytesLogger(sys.stderr.buffer)

    def log(event: Event) -> None:
        # A closed log pipe must not make requests fail.
        with suppress(OSError, ValueError):
            lines.msg(renderer({"time": _now(), "level": "info", "logger": "access", **event}))

    return log


def format_line(settings: Mapping[str, Any], text: str, details: Iterable[str] = ()) -> str:
    """Format a text as a log line that is written at any log level.

    :param details: further lines, which only the text format has.
    """
    if not is_json(settings):
        return "".join(f"{_cut('', line)}\n" for line in (text, *details))
    event = {"time": _now(), "level": "info", "logger": "modelhost", "event": text}
    return json.dumps(event) + "\n"


def is_json(settings: Mapping[str, Any]) -> bool:
    """Return whether the log is JSON; otherwise, it is text."""
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
    """Add the request id and model of the current request."""
    # A process that runs jobs has no requests, and does not import Flask.
    flask = sys.modules.get("flask")
    if flask and flask.has_request_context() and "request_id" in flask.g:
        event["request_id"] = flask.g.request_id
        model = (flask.request.view_args or {}).get("name")
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
        # The end of a traceback names the error.
        return text if len(text) <= MOST_OF_A_TRACE else f"… {text[-MOST_OF_A_TRACE:]}"
    text = text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} …"
    return "".join(map(_escape, text)) if not text.isprintable() else text


def _escape(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _as_text(_logger: Any, _method: str, event: Event) -> str:
    """Format an event as text. Traceback lines are indented, so they cannot imitate events."""
    trace = event.pop("exception", "")
    first = " ".join([event.pop("time"), event.pop("level").upper(), event.pop("logger") + ":"])
    more = "".join(f" {key}={value}" for key, value in event.items() if key != "event")
    lines = "".join(
        f"\n    {''.join(map(_escape, line))}" for line in trace.splitlines() if line.strip()
    )
    return f"{first} {event['event']}{more}{lines}"


def _as_line(event: Event) -> bytes:
    return _as_text(None, "", event).encode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""Log lines: clients cannot forge them, and they contain no secrets."""

import json
import logging
import os
import sys
from contextlib import suppress

import pytest

import logs
from app.web.http.access_log import AccessLog, sanitize
from tests.new_keys import NewKey

OWN = NewKey()
MODELS = """
models:
  - class: tests.models.simple.Echo
  - class: tests.models.broken.RaisesAtPredict
    name: raises
"""
#: Client input that imitates log lines or contains terminal commands.
HOSTILE = [
    'a\n{"level": "info", "event": "forged"}',
    "a\r\nforged",
    "\x1b[2J\x1b]0;forged\x07",
    "a\x9b31mforged",
    "a\u2028forged\u202eb",
    "a\x00b\x7f",
    "a status=200 key=forged",
    "x" * 10_000,
]


class Stderr:
    """The bytes written to stderr."""

    def __init__(self, capture):
        self._capture = capture
        self._written = b""

    def getvalue(self):
        self._written += self._capture.readouterr().err
        return self._written


@pytest.fixture
def stderr(capsysbinary):
    return Stderr(capsysbinary)


@pytest.fixture
def events(stderr):
    """A function that returns the events logged as JSON."""
    return lambda: [json.loads(line) for line in stderr.getvalue().splitlines()]


@pytest.fixture
def new_client(make_app):
    """A function that creates a client: pytest captures the log records of fixtures separately."""
    settings = {"KEYS": [OWN], "ACCESS_LOG": True, "LOG_FORMAT": "json"}
    return lambda: make_app(MODELS, **settings).test_client()


@pytest.mark.parametrize("aside", [{}, {"X-Aside": "1"}], ids=["short", "normal"])
def test_request_is_logged_as_json(new_client, events, aside):
    client = new_client()
    headers = {**OWN.headers, **aside, "X-Request-ID": "mine"}

    client.post("/api/models/echo/predict", json=[{}, {}], headers=headers)

    [event] = events()
    assert event.pop("time").endswith("Z")
    assert 0 < event.pop("milliseconds") < 10_000
    assert event == {
        "level": "info",
        "logger": "access",
        "event": "request",
        "request_id": "mine",
        "method": "POST",
        "path": "/api/models/echo/predict",
        "status": 200,
        "address": "127.0.0.1",
        "model": "echo",
        "rows": 2,
        "key": OWN.id,
    }


def test_file_is_logged_without_a_model(new_client, events):
    client = new_client()

    client.get("/static/0/style.css")

    (event,) = events()
    assert "model" not in event


def test_tool_call_is_logged_with_its_model(new_client, events):
    client = new_client()
    params = {"name": "echo", "arguments": {"row": 1}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}

    client.post("/mcp", json=message, headers=OWN.headers)

    [event] = events()
    assert (event["path"], event["model"], event["rows"]) == ("/mcp", "echo", 1)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 303),
        ("GET", "/nothing", 404),
        ("GET", "/static/1/theme.js", 200),
        ("PUT", "/api/models", 405),
        ("POST", "/api/models/echo/predict", 401),
    ],
)
def test_every_response_is_logged(new_client, events, method, path, status):
    client = new_client()
    with client.open(path, method=method):
        assert [(each["path"], each["status"]) for each in events()] == [(path, status)]


def test_secrets_are_not_logged(new_client, stderr, caplog):
    client = new_client()
    headers = {"Authorization": f"Bearer {NewKey().text}", "Cookie": "secret-cookie=1"}

    client.post("/api/models/echo/predict?secret=query", data=b"secret body", headers=headers)
    client.post("/login", data={"key": OWN.text, "next": "/secret"})
    client.get("/models/echo/predict?secret=query")
    client.get("/metrics", headers={"X-API-Key": "secret"})

    told = stderr.getvalue().decode() + caplog.text
    assert told.count('"event":"request"') == 4
    assert "secret" not in told
    assert "mh_" not in told


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("form", ["json", "text"])
def test_path_cannot_forge_a_line(make_app, stderr, hostile, form):
    app = make_app(MODELS, ACCESS_LOG=True, LOG_FORMAT=form)
    headers = {"X-Request-ID": hostile.replace("\n", " ").replace("\r", " ")[:500]}

    app.test_client().get(f"/api/models/{hostile}/metadata", headers=headers)

    line = stderr.getvalue()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert line[:-1].isascii()
    assert line[:-1].decode().isprintable()
    assert len(line) < 1500
    assert b" key=" not in line


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_method_cannot_forge_a_line(hostile):
    assert sanitize(hostile).isprintable()
    assert " " not in sanitize(hostile)
    assert len(sanitize(hostile)) < 700


@pytest.fixture
def logger(stderr):
    """A function that returns an application logger with the given format."""
    handlers = []

    def make(form):
        settings = {"LOG_LEVEL": "INFO", "LOG_FORMAT": form}
        config = logs.as_dict(settings)["formatters"]["lines"]
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(config["()"](is_json=config["is_json"]))
        logger = logging.Logger("modelhost.test", logging.INFO)
        logger.addHandler(handler)
        handlers.append(handler)
        return logger

    return make


def test_event_is_logged_as_json(logger, events):
    logger("json").warning("model %r is %s", "iris", "slow")

    [event] = events()
    assert list(event) == ["time", "level", "logger", "event"]
    assert (event["level"], event["event"]) == ("warning", "model 'iris' is slow")


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("form", ["json", "text"])
def test_model_error_cannot_forge_a_line(logger, stderr, hostile, form):
    try:
        raise ValueError(hostile)
    except ValueError:
        logger(form).exception("the model said %s", hostile)

    first, *rest = stderr.getvalue().decode().split("\n")
    assert "the model said" in first
    assert all(line.startswith("    ") for line in rest[:-1])
    assert all(character.isprintable() for line in [first, *rest] for character in line)


def test_error_log_has_request_and_model(app, logger, events):
    writer = logger("json")
    app.add_url_rule("/models/<name>/bug", view_func=lambda name: writer.error("a bug") or "")

    app.test_client().get("/models/echo/bug", headers={"X-Request-ID": "mine"})

    assert [(each["request_id"], each["model"]) for each in events()] == [("mine", "echo")]


def test_long_trace_keeps_its_end(logger, events):
    try:
        raise ValueError("x" * 100_000 + "the end")
    except ValueError:
        logger("json").exception("failed")

    [event] = events()
    assert event["exception"].endswith("the end")
    assert len(event["exception"]) < 21_000


def test_access_log_can_be_disabled(make_app, stderr):
    make_app(MODELS, ACCESS_LOG=False).test_client().get("/healthz")

    assert stderr.getvalue() == b""


def test_requests_survive_broken_log_stream(make_app, monkeypatch):
    read, written = os.pipe()
    with os.fdopen(written, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        client = make_app(MODELS, ACCESS_LOG=True).test_client()
        os.close(read)

        assert client.get("/healthz").status_code == 200
        assert client.get("/healthz").status_code == 200
        monkeypatch.undo()
        with suppress(BrokenPipeError):
            stderr.close()


def test_access_log_without_writer_counts(make_app):
    AccessLog(None).record("GET", "/", "/", 200, 0.0, request_id="", address=None)

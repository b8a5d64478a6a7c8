"""Keys, logs and metrics of both servers, with several processes."""

import json
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from urllib.parse import urlencode

import pytest

from app.web.http import security_headers
from tests.new_keys import NewKey
from tests.running_server import PATIENCE, serving
from tests.waiting import wait_until

MODELS = """models:
  - class: tests.models.processes.Whereabouts
  - class: tests.models.simple.Echo
  - class: nowhere.Model
    name: broken
"""
OWN, ADMIN = NewKey(models=["echo", "whereabouts"]), NewKey("admin")
WORKERS = 2


@pytest.fixture(scope="module", params=["granian"])
def shut(request, tmp_path_factory):
    """A server with two workers that requires keys."""
    folder = tmp_path_factory.mktemp(request.param)
    settings = {"MODELHOST_KEYS": f"[{OWN}, {ADMIN}]", "MODELHOST_WARM_UP_SECONDS": 1}
    with serving(request.param, folder, MODELS, WORKERS=WORKERS, **settings) as running:
        yield running


def ask(running, path, method="GET", body=None, **headers):
    """Return status, headers (in lower case) and body of a response on its own connection."""
    connection = HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    answer = connection.getresponse()
    read = answer.read().decode()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, read


def predict(running, **headers):
    path = "/api/models/echo/predict"
    return ask(running, path, "POST", "{}", Content_Type="application/json", **headers)


def metrics(running):
    status, _, text = ask(running, "/metrics", **ADMIN.headers)
    assert status == 200
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def asked_in(running):
    """Return the process that responds; ``None`` if it has just been killed."""
    path = "/api/models/whereabouts/predict"
    try:
        _, _, body = ask(
            running, path, "POST", "{}", Content_Type="application/json", **OWN.headers
        )
    except OSError:
        return None
    return json.loads(body)["asked_in"]


def pids(running):
    with ThreadPoolExecutor(8) as pool:
        return {*pool.map(lambda _: asked_in(running), range(24))} - {None}


def test_every_process_requires_the_key(shut):
    assert {predict(shut)[0] for _ in range(12)} == {401}
    assert {predict(shut, **OWN.headers)[0] for _ in range(12)} == {200}


def test_login_is_valid_in_every_process(shut):
    typed = urlencode({"key": OWN.text, "next": "/"})
    origin = f"http://127.0.0.1:{shut.port}"
    form = {"Content_Type": "application/x-www-form-urlencoded", "Origin": origin}
    status, headers, _ = ask(shut, "/login", "POST", typed, **form)
    cookie = headers["set-cookie"].partition(";")[0]

    statuses = {ask(shut, "/models/echo/predict", Cookie=cookie)[0] for _ in range(16)}

    assert (status, statuses) == (303, {200})


@pytest.mark.parametrize("path", ["/login", "/nothing", "/api/models", "/static/1/theme.js"])
def test_server_keeps_the_applications_headers(shut, path):
    _, headers, _ = ask(shut, path, X_Request_ID="mine")

    assert {name.lower() for name in security_headers.HEADERS} <= headers.keys()
    assert headers["x-request-id"] == "mine"


@pytest.mark.parametrize(
    "spoofed",
    [
        "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https",
        "X_Forwarded_For: 6.6.6.6\r\nX_Forwarded_Proto: https",
        "X-Forwarded-SSL: on\r\nX-Forwarded-Protocol: ssl",
        "SCRIPT_NAME: /evil\r\nScript-Name: /evil",
    ],
)
def test_client_cannot_forge_its_address(shut, spoofed):
    mark = f"spoofed-{abs(hash(spoofed))}"
    typed = urlencode({"key": OWN.text})

    answer = shut.send(
        "POST /login HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        f"{spoofed}\r\nX-Request-ID: {mark}\r\nContent-Length: {len(typed)}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\n\r\n{typed}".encode()
    )

    assert "303" in answer.partition("\r\n")[0]
    assert "Secure" not in re.search("(?i)set-cookie: .*", answer)[0]
    assert "evil" not in answer
    wait_until(lambda: mark in shut.log)
    [line] = [line for line in shut.log.splitlines() if mark in line]
    assert json.loads(line)["address"] == "127.0.0.1"


def test_every_log_line_is_json(shut):
    predict(shut, **OWN.headers)

    wait_until(lambda: '"key":"' in shut.log)
    events = [json.loads(line) for line in shut.log.splitlines()]

    assert all({"time", "level", "logger", "event"} <= event.keys() for event in events)
    assert {"access", "app.serving.models.load_attempts"} <= {event["logger"] for event in events}
    assert OWN.text not in shut.log


def test_metrics_cover_all_processes(shut):
    wait_until(lambda: len(pids(shut)) == WORKERS)

    # A worker adds the end of a call to the shared metrics a moment later.
    wait_until(lambda: metrics(shut).get('modelhost_calls{model="whereabouts"}') == 0)
    states = ('model="echo",state="ready"', 'model="broken",state="failed"')
    for state in states:
        wait_until(lambda state=state: metrics(shut).get(f"modelhost_models{{{state}}}") == WORKERS)
    memory = {name for name in metrics(shut) if name.startswith("modelhost_memory_bytes")}
    assert {f'modelhost_memory_bytes{{pid="{pid}"}}' for pid in pids(shut)} <= memory


def test_metrics_drop_killed_processes(shut):
    before = pids(shut)
    os.kill(next(iter(before)), signal.SIGKILL)

    wait_until(lambda: len(pids(shut) | before) > len(before), PATIENCE)

    def is_told_again():
        return metrics(shut).get('modelhost_models{model="echo",state="ready"}') == WORKERS

    wait_until(is_told_again)

"""Malformed requests to each server get a valid response or a problem."""

import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psutil
import pytest

from tests import malformed_http
from tests.running_server import PATIENCE, serving

MODELS = """models:
  - class: tests.models.simple.Echo
    name: echo
  - class: tests.models.hostile.Asked
    name: ask
"""
SETTINGS = {
    "WORKERS": 1,
    "THREADS": 12,
    "MODELHOST_WARM_UP_SECONDS": 0,
    "MODELHOST_MAX_BODY_BYTES": 1_000_000,
    "MODELHOST_MAX_ROWS": 1000,
    "MODELHOST_CLIENT_SECONDS": 2,
}


@pytest.fixture(scope="module", params=["granian"])
def running(request, tmp_path_factory):
    with serving(request.param, tmp_path_factory.mktemp("evil"), MODELS, **SETTINGS) as running:
        yield running
    assert "Traceback" not in running.log


def answer_to(running, sent):
    """Send bytes; return status, headers in lower case, and body of the response."""
    with socket.create_connection(("127.0.0.1", running.port), PATIENCE) as connection:
        got = b""
        try:
            connection.sendall(sent)
            while more := connection.recv(65536):
                got += more
        except ConnectionError:  # rejected before everything was sent
            pass
    head, _, body = got.partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1\.[01] (\d{3}) ", head)
    return int(found[1]) if found else None, head.decode("latin-1").lower(), body


def check(running, sent, expected):
    status, head, body = answer_to(running, sent)
    expected = expected if isinstance(expected, set) else {expected}
    assert status in expected
    assert not re.search(rb"Traceback|File \"|/site-packages|/tmp/", body)
    is_page = b" /api" not in sent.partition(b"\r\n")[0] and "x-request-id" in head
    if body and status >= 400 and not is_page:
        assert "\r\ncontent-type: application/problem+json" in head
        assert json.loads(body)["status"] == status


@pytest.mark.parametrize(
    ("body", "status"), malformed_http.BODIES.values(), ids=malformed_http.BODIES
)
def test_malformed_body_is_rejected(running, body, status):
    check(running, malformed_http.post(body), status)


@pytest.mark.parametrize(
    ("sent", "status"), malformed_http.MEDIA.values(), ids=malformed_http.MEDIA
)
def test_malformed_media_type_is_rejected(running, sent, status):
    check(running, sent, status)


@pytest.mark.parametrize(
    ("sent", "status"), malformed_http.LINES.values(), ids=malformed_http.LINES
)
def test_malformed_line_is_rejected(running, sent, status):
    check(running, sent, status)


@pytest.mark.parametrize(
    ("sent", "status"), malformed_http.LENGTHS.values(), ids=malformed_http.LENGTHS
)
def test_malformed_length_is_rejected(running, sent, status):
    check(running, sent, status)


def test_pipelined_requests_keep_their_order(running):
    first = f"POST {malformed_http.ECHO} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    sent = f"{first}Content-Length: 7\r\n\r\n".encode() + b'{"a":1}'

    _, _, told = answer_to(
        running, sent + sent.replace(b"1}", b"2}") + malformed_http.post(b'{"a":3}')
    )

    assert re.findall(rb'{"a":(\d)}', b'{"a":1}' + told) == [b"1", b"1", b"2", b"3"]


def test_rejected_request_closes_the_connection(running):
    """Prevents request smuggling: a proxy may take the second request for a body."""
    lengths = "Content-Length: 2\r\nContent-Length: 60"
    sent = f"POST {malformed_http.ECHO} HTTP/1.1\r\nHost: x\r\n{lengths}\r\n\r\n{{}}".encode()

    status, _, told = answer_to(running, sent + malformed_http.request("GET /api/models"))

    assert status == 400
    assert b"HTTP/1.1" not in told


def test_memory_does_not_grow(running):
    def all_answered():
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda sent: answer_to(running, sent), malformed_http.ALL))
        return sum(each.memory_info().rss for each in processes)

    processes = psutil.Process(running.process.pid).children(recursive=True)
    all_answered()
    before = all_answered()

    after = [all_answered() for _ in range(4)][-1]

    assert (after - before) / 1_000_000 < 30


def test_stalled_clients_block_no_others(running):
    with ExitStack() as stalled:
        for sent in list(malformed_http.UNFINISHED.values()) + [b""] * 30:
            connection = socket.create_connection(("127.0.0.1", running.port), PATIENCE)
            stalled.enter_context(connection).sendall(sent)

        assert running.ask("/healthz")[0] == 200

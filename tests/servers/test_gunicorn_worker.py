"""Slow clients do not occupy threads."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from werkzeug.exceptions import RequestTimeout

from servers.gunicorn_worker import ClientTimeout, Connection
from tests import malformed_http
from tests.running_server import PATIENCE, serving

MODELS = "models: [{class: tests.models.simple.Echo, name: echo}]"
SETTINGS = {"WORKERS": 1, "THREADS": 8, "MODELHOST_WARM_UP_SECONDS": 0}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slow")
    with serving("gunicorn", folder, MODELS, MODELHOST_CLIENT_SECONDS=2, **SETTINGS) as running:
        yield running
    assert "Traceback" not in running.log


def connected(running, sent=b""):
    connection = socket.create_connection(("127.0.0.1", running.port), PATIENCE)
    connection.sendall(sent)
    return connection


@pytest.mark.parametrize("sent", malformed_http.UNFINISHED.values(), ids=malformed_http.UNFINISHED)
def test_incomplete_request_times_out(running, sent):
    started = time.monotonic()

    answer = running.send(sent)

    assert answer.startswith("HTTP/1.1 408 ")
    assert "Request timeout" in answer
    assert answer.count("HTTP/1.1") == 1
    assert 1 < time.monotonic() - started < 10


def test_slow_bytes_do_not_extend_limit(running):
    started = time.monotonic()

    with connected(running, b"GET /healthz HTTP/1.1\r\n") as connection:
        connection.settimeout(0.2)
        answer = b""
        while not answer and time.monotonic() - started < PATIENCE:
            connection.sendall(b"X")
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("what", ["nothing", "half a head", "half a body"])
def test_stalled_clients_do_not_block_server(running, what):
    sent = malformed_http.UNFINISHED.get(what, b"")

    with ExitStack() as stalled, ThreadPoolExecutor(24) as pool:
        for connection in pool.map(lambda _: connected(running, sent), range(24)):
            stalled.enter_context(connection)
        started = time.monotonic()

        assert running.ask("/healthz")[0] == 200
        assert time.monotonic() - started < 10


def test_unclosed_connections_do_not_block_server(running):
    with ExitStack() as answered:
        for _ in range(10):
            connection = answered.enter_context(
                connected(running, malformed_http.request("GET /healthz"))
            )
            connection.recv(65536)
        started = time.monotonic()

        assert running.ask("/healthz")[0] == 200
        assert time.monotonic() - started < 1


def test_response_reaches_sending_client(running):
    refused = malformed_http.request(
        "POST /api/nothing", b"Content-Length: 30000", body=b"x" * 30_000
    )

    assert running.send(refused).startswith("HTTP/1.1 404 ")


def test_silent_client_does_not_delay_stop(tmp_path):
    with serving("gunicorn", tmp_path, MODELS, **SETTINGS) as running, connected(running):
        started = time.monotonic()

        assert running.stop() == 0
        assert time.monotonic() - started < 10


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with theirs, Connection(ours, ClientTimeout(0.3, 8)) as connection:
        connection.start_request()
        yield connection, theirs


def test_received_data_is_read_immediately(pair):
    connection, theirs = pair
    theirs.sendall(b"hello")

    assert connection.recv(100) == b"hello"


def test_recv_waits_for_data(pair):
    connection, theirs = pair

    with ThreadPoolExecutor() as pool:
        read = pool.submit(connection.recv, 100)
        theirs.sendall(b"hello")

        assert read.result() == b"hello"


def test_timed_out_connection_is_closed(pair):
    connection, _ = pair

    with pytest.raises(RequestTimeout):
        connection.recv(100)

    assert connection.recv(100) == b""


def test_long_response_is_sent_completely(pair):
    connection, theirs = pair
    answer = bytes(range(256)) * 20_000

    with ThreadPoolExecutor() as pool:
        sent = pool.submit(connection.sendall, answer)
        got = b""
        while len(got) < len(answer):
            got += theirs.recv(65536)

    assert sent.result() is None
    assert got == answer


def test_unread_response_times_out(pair):
    connection, _ = pair

    with pytest.raises(BrokenPipeError):
        connection.sendall(bytes(20_000_000))


def test_unread_file_times_out(pair, tmp_path):
    connection, _ = pair
    file = tmp_path / "large"
    file.write_bytes(bytes(20_000_000))

    with file.open("rb") as stream, pytest.raises(BrokenPipeError):
        connection.sendfile(stream)


def test_timeout_is_short_under_load():
    limit = ClientTimeout(60, threads=4)

    with ExitStack() as others:
        waits = [others.enter_context(limit.waiting()) for _ in range(3)]

    assert waits == [60, 60, 1]
    with limit.waiting() as seconds:
        assert seconds == 60

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
def test_what_does_not_come_to_its_end_is_refused_in_time(running, sent):
    started = time.monotonic()

    answer = running.send(sent)

    assert answer.startswith("HTTP/1.1 408 ")
    assert "Request timeout" in answer
    assert answer.count("HTTP/1.1") == 1
    assert 1 < time.monotonic() - started < 10


def test_a_client_cannot_buy_time_byte_by_byte(running):
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
def test_more_stalled_clients_than_threads_do_not_take_the_server(running, what):
    sent = malformed_http.UNFINISHED.get(what, b"")

    with ExitStack() as stalled, ThreadPoolExecutor(24) as pool:
        for connection in pool.map(lambda _: connected(running, sent), range(24)):
            stalled.enter_context(connection)
        started = time.monotonic()

        assert running.ask("/healthz")[0] == 200
        assert time.monotonic() - started < 10


def test_clients_that_do_not_close_their_connection_keep_nobody(running):
    with ExitStack() as answered:
        for _ in range(10):
            connection = answered.enter_context(
                connected(running, malformed_http.request("GET /healthz"))
            )
            connection.recv(65536)
        started = time.monotonic()

        assert running.ask("/healthz")[0] == 200
        assert time.monotonic() - started < 1


def test_an_answer_reaches_a_client_that_still_sends(running):
    refused = malformed_http.request(
        "POST /api/nothing", b"Content-Length: 30000", body=b"x" * 30_000
    )

    assert running.send(refused).startswith("HTTP/1.1 404 ")


def test_a_client_that_says_nothing_does_not_delay_the_end(tmp_path):
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


def test_what_has_come_is_read_at_once(pair):
    connection, theirs = pair
    theirs.sendall(b"hello")

    assert connection.recv(100) == b"hello"


def test_what_comes_later_is_waited_for(pair):
    connection, theirs = pair

    with ThreadPoolExecutor() as pool:
        read = pool.submit(connection.recv, 100)
        theirs.sendall(b"hello")

        assert read.result() == b"hello"


def test_after_its_time_a_connection_is_at_its_end(pair):
    connection, _ = pair

    with pytest.raises(RequestTimeout):
        connection.recv(100)

    assert connection.recv(100) == b""


def test_all_of_a_long_answer_is_sent_to_who_takes_it(pair):
    connection, theirs = pair
    answer = bytes(range(256)) * 20_000

    with ThreadPoolExecutor() as pool:
        sent = pool.submit(connection.sendall, answer)
        got = b""
        while len(got) < len(answer):
            got += theirs.recv(65536)

    assert sent.result() is None
    assert got == answer


def test_who_takes_nothing_of_an_answer_is_left(pair):
    connection, _ = pair

    with pytest.raises(BrokenPipeError):
        connection.sendall(bytes(20_000_000))


def test_who_takes_nothing_of_a_file_is_left(pair, tmp_path):
    connection, _ = pair
    file = tmp_path / "large"
    file.write_bytes(bytes(20_000_000))

    with file.open("rb") as stream, pytest.raises(BrokenPipeError):
        connection.sendfile(stream)


def test_patience_is_shorter_while_most_threads_wait():
    limit = ClientTimeout(60, threads=4)

    with ExitStack() as others:
        waits = [others.enter_context(limit.waiting()) for _ in range(3)]

    assert waits == [60, 60, 1]
    with limit.waiting() as seconds:
        assert seconds == 60

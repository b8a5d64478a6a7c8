"""The worker that serves HTTP with granian: slow clients, and the private names that it uses."""

import inspect
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from granian import _futures, _granian
from granian.server import mp

from servers import granian_worker
from servers.granian_worker import Body, GranianWorker, Stalls
from tests.running_server import NO_LIMIT, PATIENCE, serving
from tests.waiting import wait_until

MODELS = "models: [{class: tests.models.simple.Echo, name: echo}]"
HALF_A_BODY = (
    b"POST /api/models/echo/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 9\r\n\r\n[1"
)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slow")
    settings = {"WORKERS": 1, "MODELHOST_WARM_UP_SECONDS": 0, "MODELHOST_CLIENT_SECONDS": 1}
    with serving("granian", folder, MODELS, **settings) as running:
        yield running
    assert "Traceback" not in running.log


def connected(running, sent=b""):
    connection = socket.create_connection(("127.0.0.1", running.port), PATIENCE)
    connection.sendall(sent)
    return connection


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\n", HALF_A_BODY])
def test_stalled_clients_do_not_block_server(running, sent):
    with ExitStack() as stalled, ThreadPoolExecutor(24) as pool:
        # More than MODEL_THREADS, THREADS of gthread and the threads that granian has started.
        for connection in pool.map(lambda _: connected(running, sent), range(100)):
            stalled.enter_context(connection)

        assert running.ask("/healthz")[0] == 200
        assert running.ask("/api/models/echo/predict", [1]) == (200, [1])


def test_dropped_user_is_warned_of(tmp_path):
    settings = {
        "WORKERS": 1,
        "MODELHOST_TRUSTED_PROXIES": 1,
        "MODELHOST_USER_HEADER": "Remote-User",
    }
    named = "GET /healthz HTTP/1.1\r\nHost: x\r\nRemote-User: Zoë\r\nConnection: close\r\n\r\n"
    with serving("granian", tmp_path, MODELS, **settings) as running:
        with connected(running, named.encode()) as connection:
            assert b"200 OK" in connection.recv(1000)
        wait_until(lambda: "Remote-User, which USER_HEADER names" in running.log)


def test_client_that_reads_nothing_is_disconnected(running):
    rows = b"[" + b",".join([b'"%s"' % (b"x" * 1000)] * 20_000) + b"]"
    head = f"POST /api/models/echo/predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(rows)}\r\n"

    with connected(running) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + rows)
        wait_until(lambda: not is_open(running, connection))

        received = read_all(connection)

    assert len(received) < len(rows)


def is_open(running, connection):
    """Return whether the server's side of a connection is open, as Linux lists it."""
    ends = f":{running.port:04X} 0100007F:{connection.getsockname()[1]:04X} "
    return ends in Path("/proc/net/tcp").read_text(encoding="ascii")


def read_all(connection):
    received = b""
    try:
        while more := connection.recv(1 << 20):
            received += more
    except ConnectionError:
        pass
    return received


def test_worker_with_stalled_connections_is_replaced(tmp_path):
    settings = {"WORKERS": 1, "MODELHOST_WARM_UP_SECONDS": 0, "MODELHOST_CLIENT_SECONDS": 1}
    settings |= NO_LIMIT
    with serving("granian", tmp_path, MODELS, **settings) as running, ExitStack() as stalled:
        for _ in range(granian_worker.CONNECTIONS // 2 + 20):
            stalled.enter_context(connected(running, HALF_A_BODY))

        wait_until(lambda: "replacing the worker" in running.log, PATIENCE)

        assert running.ask("/healthz")[0] == 200


@pytest.mark.parametrize(
    ("client_seconds", "heartbeats"), [(60, 5), (0, 2)], ids=["living", "stalled"]
)
def test_stopping_worker_waits_for_living_uploads(monkeypatch, client_seconds, heartbeats):
    monkeypatch.setattr(granian_worker, "HEARTBEAT_SECONDS", 0)
    worker, stalls, sent = object.__new__(GranianWorker), Stalls(), []
    worker.cfg = SimpleNamespace(graceful_timeout=PATIENCE)
    worker.client_seconds = client_seconds
    worker.notify = lambda: sent.append("heartbeat")
    # The server has one request, which waits for its body until the fifth heartbeat.
    server = SimpleNamespace(wait=lambda seconds: len(sent) == 5)
    stalls.threads.add(threading.get_ident())

    stalls.call(worker._complete_requests, [server], stalls)

    assert len(sent) == heartbeats


def test_signals_do_not_keep_worker_busy(running):
    [worker] = psutil.Process(running.process.pid).children()
    worker.send_signal(signal.SIGUSR1)
    wait_until(lambda: running.ask("/healthz")[0] == 200)
    before = sum(worker.cpu_times()[:2])

    time.sleep(3)

    # A wait that returns at once takes a whole core.
    assert sum(worker.cpu_times()[:2]) - before < 1


def test_bodies_are_counted_while_read():
    stalls = Stalls()
    counts = []

    class Stream:
        def read(self, size):
            counts.append(stalls.count(-1))
            return b"x"

    assert Body(Stream(), stalls).read() == b"x"
    assert (counts, stalls.count(-1)) == ([1], 0)


def test_private_names_of_granian_are_unchanged():
    """A new version of granian may change them: compare ``_spawn_wsgi_worker`` then."""
    source = inspect.getsource(mp.MPServer._spawn_wsgi_worker)

    parameters = source[source.index("WSGIWorker(") : source.index("serve = ")].split()
    assert parameters == [
        "WSGIWorker(",
        "worker_id,",
        "sock,",
        "ipc,",
        "runtime_threads,",
        "runtime_blocking_threads,",
        "blocking_threads,",
        "blocking_threads_idle_timeout,",
        "backpressure,",
        "http_mode,",
        "http1_settings,",
        "http2_settings,",
        "static_path,",
        "*ssl_ctx,",
        "metrics,",
        ")",
    ]
    assert list(inspect.signature(_futures._new_cbscheduler).parameters) == [
        "loop",
        "cb",
        "impl_asyncio",
    ]
    assert {"serve_str"} <= set(dir(_granian.WSGIWorker))
    assert {"set", "add_cb"} <= set(dir(_granian.WorkerSignal))

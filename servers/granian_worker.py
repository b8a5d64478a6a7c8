"""A gunicorn worker that serves HTTP with granian.

gunicorn's master preloads, forks, replaces and stops the workers. In each worker, granian's HTTP
server, written in Rust, accepts connections from the socket that all workers share, and calls the
WSGI application in a thread of its own.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from gunicorn.workers.base import Worker

from servers.granian_internals import Server

Environ = dict[str, Any]
#: Maximum open connections of one worker, idle or not; gunicorn's default. As many requests have a
#: thread of their own, started when needed: clients that stall cannot take the threads of others.
CONNECTIONS = 1000
#: Seconds between two heartbeats.
HEARTBEAT_SECONDS = 1.0
#: Signals that a worker takes from its pipe at a time, one byte each.
PIPE_BYTES = 4096
#: Seconds for which a stopping worker accepts connections that the system has queued.
BACKLOG_SECONDS = 1.0
#: The part of a WSGI environment (PEP 3333) that all requests share.
ENVIRON: Environ = {
    "GATEWAY_INTERFACE": "CGI/1.1",
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "Modelhost",
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,  # werkzeug may read a chunked body to its end
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}


class GranianWorker(Worker):
    """A worker process that serves with granian.

    granian cannot interrupt a thread that waits for the rest of a request body. A worker with more
    than half of its connections in such waits, each longer than ``client_seconds``, stops when it
    has handled all other requests, at the latest after gunicorn's ``graceful_timeout``, and the
    master replaces it. A response is then cut off if its client still reads what granian has
    already buffered.
    """

    #: Seconds that a client may take to send a body, or to read nothing of a response.
    client_seconds = 60.0

    def run(self) -> None:
        """Serve until the worker is stopped, its master is gone, or its threads are stalled."""
        stalls, is_stalled = Stalls(), False
        handle = handler(self.wsgi, stalls)
        servers = [self._start(listener.sock, handle) for listener in self.sockets]
        while self.alive and os.getppid() == self.ppid:
            self.notify()
            self._wait_for_signal()
            is_stalled = 2 * stalls.count(self.client_seconds) > CONNECTIONS
            if is_stalled:
                self.log.warning("most connections are stalled: replacing the worker")
                break
        self._accept_backlog()
        for listener in self.sockets:
            listener.close()
        for server in servers:
            server.stop()
        self._complete_requests(servers, stalls if is_stalled else None)

    def _complete_requests(self, servers: Sequence[Server], stalls: Stalls | None) -> None:
        """Wait until the accepted requests are handled, except those in ``stalls``."""
        deadline = time.monotonic() + self.cfg.graceful_timeout
        heartbeats = 0
        while not all(server.wait(HEARTBEAT_SECONDS) for server in servers):
            self.notify()
            is_rest_stalled = stalls is not None and stalls.are_all(self.client_seconds)
            heartbeats = heartbeats + 1 if is_rest_stalled else 0
            # At the first one, granian may still send a response that has just been returned.
            if heartbeats > 1 or time.monotonic() > deadline:
                break

    def _start(self, listener: socket.socket, handle: Any) -> Server:
        # Accepted connections inherit it: the system closes one whose client reads nothing.
        milliseconds = int(self.client_seconds * 1000)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        return Server(
            listener,
            handle,
            connections=CONNECTIONS,
            idle_seconds=self.cfg.keepalive,
        )

    def _wait_for_signal(self) -> None:
        """Wait for a signal, which writes to the pipe, at most until the next heartbeat."""
        readable, _, _ = select.select([self.PIPE[0]], [], [], HEARTBEAT_SECONDS)
        if readable:
            # What stays in the pipe would end every later wait at once.
            os.read(self.PIPE[0], PIPE_BYTES)

    def _accept_backlog(self) -> None:
        """Leave the server time to accept the connections that the system has queued."""
        deadline = time.monotonic() + BACKLOG_SECONDS
        listeners = [listener.sock for listener in self.sockets]
        while select.select(listeners, [], [], 0)[0] and time.monotonic() < deadline:
            time.sleep(0.001)


class Stalls:
    """The threads that handle requests, and of these, the ones that wait for request bodies.

    Thread safe: each thread has its own entries.
    """

    def __init__(self) -> None:
        self._since: dict[int, float] = {}
        self.threads: set[int] = set()
        #: Response bodies that granian has not read to their end, in threads of its own.
        self.streamed: weakref.WeakSet[_Streamed] = weakref.WeakSet()

    def are_all(self, seconds: float) -> bool:
        """Return whether all requests wait for their bodies, for more than ``seconds``."""
        return self.count(seconds) >= len(self.threads) + len(self.streamed)

    def count(self, seconds: float) -> int:
        """Return the number of threads that have waited for more than ``seconds``."""
        limit = time.monotonic() - seconds
        return sum(since < limit for since in list(self._since.values()))

    def call(self, read: Callable[..., Any], *arguments: Any) -> Any:
        """Return ``read(*arguments)``, counted as a wait."""
        thread = threading.get_ident()
        self._since[thread] = time.monotonic()
        try:
            return read(*arguments)
        finally:
            del self._since[thread]


class Body:
    """A request body, ``wsgi.input``, whose readers are counted."""

    def __init__(self, stream: Any, stalls: Stalls) -> None:
        self._stream, self._stalls = stream, stalls

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, or all of them."""
        content: bytes = self._stalls.call(self._stream.read, None if size < 0 else size)
        return content

    def readline(self, size: int = -1) -> bytes:
        """Return one line, or its first ``size`` bytes."""
        line: bytes = self._stalls.call(self._stream.readline, None if size < 0 else size)
        return line

    def readlines(self, hint: int = -1) -> list[bytes]:
        """Return all lines."""
        lines: list[bytes] = self._stalls.call(self._stream.readlines, hint)
        return lines

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line


def handler(
    application: Callable[..., Iterable[bytes]], stalls: Stalls
) -> Callable[[Any, Environ], None]:
    """Return the function that granian calls for each request.

    It replaces granian's own, which copies all environment variables of the process into each
    WSGI environment.
    """

    def handle(protocol: Any, scope: Environ) -> None:
        environ = ENVIRON | scope
        environ["wsgi.input"] = Body(environ["wsgi.input"], stalls)
        started: list[Any] = [200, []]

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> None:
            started[:] = int(status[:3]), headers

        thread = threading.get_ident()
        stalls.threads.add(thread)
        try:
            body = application(environ, start_response)
            if isinstance(body, list):
                protocol.response_bytes(*started, b"".join(body))
            else:
                protocol.response_iter(*started, _Streamed(body, stalls))
        finally:
            stalls.threads.remove(thread)

    return handle


class _Streamed:
    """A response body as granian reads it: an iterator that can be closed."""

    def __init__(self, body: Iterable[bytes], stalls: Stalls) -> None:
        self._chunks = iter(body)
        self._body = body
        self._stalls = stalls
        stalls.streamed.add(self)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        """Close the body, as PEP 3333 requires of a server."""
        self._stalls.streamed.discard(self)
        if hasattr(self._body, "close"):
            self._body.close()

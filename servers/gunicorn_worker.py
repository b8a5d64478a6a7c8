"""gunicorn's worker with threads, which no client can keep by being slow.

As gunicorn has it, a client that sends half a request keeps a thread for good, one that says
nothing keeps one for five seconds, and one that does not close its end of an answered connection
keeps the whole worker for two. And what gunicorn itself refuses, it tells in HTML.
"""

from __future__ import annotations

import errno
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from gunicorn.http import errors
from gunicorn.workers.gthread import TConn, ThreadWorker
from werkzeug.exceptions import RequestTimeout

#: Seconds for which a client is waited for at a time while many threads wait for clients.
HURRIED_SECONDS = 1.0
#: What is there, now. A bare number: the enumeration's own takes longer than the call.
AT_ONCE = int(socket.MSG_DONTWAIT)
#: Seconds, and bytes, that a client has to close its end of a connection.
LINGER_SECONDS = 2.0
LINGER_BYTES = 65_536
#: The status of what gunicorn refuses; 400 of all else that is a client's mistake.
STATUSES: dict[type[Exception], int] = {
    RequestTimeout: 408,
    errors.LimitRequestLine: 414,
    errors.ExpectationFailed: 417,
    errors.LimitRequestHeaders: 431,
}
#: What gunicorn raises where the mistake is its own, or the application's.
FAULTS = (
    errors.ConfigurationProblem,
    errors.InvalidResponseHeader,
    errors.InvalidResponseHeaderName,
)


class Patience:
    """How long threads wait for clients: less for each, if most of them do nothing else."""

    def __init__(self, seconds: float, threads: int) -> None:
        self.seconds = seconds
        self._most = max(1, threads // 2)
        self._waiting = 0
        self._lock = threading.Lock()

    @contextmanager
    def waiting(self) -> Iterator[float]:
        """Count a thread as waiting, and yield the seconds that it may."""
        with self._lock:
            self._waiting += 1
            is_hurried = self._waiting > self._most
        try:
            yield HURRIED_SECONDS if is_hurried else self.seconds
        finally:
            with self._lock:
                self._waiting -= 1


class Connection(socket.socket):
    """A connection to a client who has a time limit for each request."""

    def __init__(self, accepted: socket.socket, patience: Patience) -> None:
        super().__init__(fileno=accepted.detach())
        self._patience = patience
        self._deadline = 0.0
        self._is_late = False

    def begin(self) -> None:
        """Let the time of a request begin."""
        self._deadline = time.monotonic() + self._patience.seconds

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return what has come; wait for it within the limits.

        :raises RequestTimeout: if nothing comes. After that the connection is at its end.
        """
        try:
            return super().recv(size, flags | AT_ONCE)
        except BlockingIOError:
            if self.gettimeout() is not None:  # whoever set it knows what to do
                raise
        return self._awaited(size, flags)

    def _awaited(self, size: int, flags: int) -> bytes:
        if self._is_late:
            return b""
        try:
            with self._patience.waiting() as seconds:
                left = min(seconds, self._deadline - time.monotonic())
                self.settimeout(max(left, 0.001))
                return super().recv(size, flags)
        except TimeoutError:
            self._is_late = True
            raise RequestTimeout("the request did not come to its end in time") from None
        finally:
            self.setblocking(True)

    def sendall(self, content: Any, flags: int = 0) -> None:
        """Send all of it, unless the client takes nothing for too long."""
        try:
            sent = self.send(content, flags | AT_ONCE)
        except BlockingIOError:
            if self.gettimeout() is not None:
                raise
            sent = 0
        if sent < len(content):
            rest = memoryview(content)[sent:]
            while rest:
                rest = rest[self._taken(rest, flags) :]

    def _taken(self, content: memoryview, flags: int) -> int:
        try:
            with self._patience.waiting() as seconds:
                self.settimeout(seconds)
                return self.send(content, flags)
        except TimeoutError:
            raise BrokenPipeError(errno.EPIPE, "the client does not take its answer") from None
        finally:
            self.setblocking(True)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a file, unless the client takes nothing for too long."""
        self.settimeout(self._patience.seconds)
        try:
            return super().sendfile(file, offset, count)
        except TimeoutError:
            raise BrokenPipeError(errno.EPIPE, "the client does not take its answer") from None
        finally:
            self.setblocking(True)


class Worker(ThreadWorker):
    """Answers each request in a thread, and waits for none without an end."""

    #: Seconds that a client may take to send a request, or for nothing of an answer to be taken.
    client_seconds = 60.0

    def init_process(self) -> None:
        """Serve until the end."""
        self._patience = Patience(self.client_seconds, self.cfg.threads)
        self._lingering: deque[TConn] = deque()
        #: When connections on which nothing came are closed, of a worker that is to end.
        self._last_moment = float("inf")
        super().init_process()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Take new connections or not; at the end, first those that the system has taken for us."""
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            while self._has_accepted(listener):
                pass
            # From now on clients are refused, rather than left waiting and then cut off.
            listener.close()

    def _has_accepted(self, listener: socket.socket) -> bool:
        before = self.nr_conns
        with suppress(OSError):
            listener.setblocking(False)
            self.accept(listener)
        return bool(self.nr_conns > before)

    def enqueue_req(self, conn: TConn) -> None:
        """Give a connection on which something has come a thread; let a new one wait without."""
        if isinstance(conn.sock, Connection):
            super().enqueue_req(conn)
            return
        conn.sock = Connection(conn.sock, self._patience)
        conn.sock.setblocking(False)
        conn.set_timeout()
        self.pending_conns.append(conn)
        ready = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, ready)

    def handle(self, conn: TConn) -> Any:
        """Answer a request, within its time."""
        conn.sock.begin()
        return super().handle(conn)

    def finish_request(self, conn: TConn, fs: Any) -> None:
        """Keep a connection, or let its client close it, without waiting for that."""
        if fs.cancelled() or fs.exception() or fs.result():
            super().finish_request(conn, fs)
        else:
            self._linger(conn)

    def murder_keepalived(self, force: bool = False) -> None:
        """Close connections on which nothing came for too long."""
        super().murder_keepalived(force)
        while self._lingering and (force or self._lingering[0].timeout <= time.monotonic()):
            self._leave(self._lingering[0])

    def murder_pending(self) -> None:
        """Close new connections on which nothing came for too long; soon, if this is the end."""
        if not self.alive:
            self._last_moment = min(self._last_moment, time.monotonic() + LINGER_SECONDS)
            for conn in self.pending_conns:
                conn.timeout = min(conn.timeout, self._last_moment)
        super().murder_pending()

    def _linger(self, conn: TConn) -> None:
        """Say that all was said, and read what still comes: else the answer may be lost.

        Source: RFC 9112, section 9.6.
        """
        self._lingering.append(conn)
        conn.timeout = time.monotonic() + LINGER_SECONDS
        conn.unread_bytes = 0
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drain, conn))
        except (OSError, ValueError):
            self._leave(conn)

    def _drain(self, conn: TConn, _: Any) -> None:
        try:
            more = conn.sock.recv(LINGER_BYTES)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        conn.unread_bytes += len(more)
        if not more or conn.unread_bytes > LINGER_BYTES:
            self._leave(conn)

    def _leave(self, conn: TConn) -> None:
        with suppress(KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self._lingering.remove(conn)
        self.nr_conns -= 1
        conn.close()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Tell what is wrong with a request as a problem, as the application does."""
        if not isinstance(exc, (errors.ParseException, RequestTimeout)) or isinstance(exc, FAULTS):
            self.log.error("Error handling a request", exc_info=exc)
            status = 500
        else:
            status = next((STATUSES[kind] for kind in STATUSES if isinstance(exc, kind)), 400)
            self.log.debug("A request was refused: %s", exc)
        # What counts must not be imported before gunicorn has said where: see servers/forking.py.
        from app.web.http import raw_problem  # noqa: PLC0415

        with suppress(OSError):
            client.sendall(raw_problem.answer(status))

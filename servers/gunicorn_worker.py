"""gunicorn's threaded worker with time limits for slow clients.

In gunicorn's own worker, a client that sends half a request occupies a thread forever, one that
sends nothing occupies one for five seconds, and one that does not close its end of a finished
connection blocks the whole worker for two. gunicorn also reports rejected requests in HTML.
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

#: Seconds that a thread waits for a client at a time while many threads wait for clients.
SHORT_SECONDS = 1.0
#: Flag for non-blocking calls. An int: operations on the enum take longer than the call itself.
NONBLOCKING = int(socket.MSG_DONTWAIT)
#: Seconds, and received bytes, after which a connection is closed even if the client has not.
LINGER_SECONDS = 2.0
LINGER_BYTES = 65_536
#: The status for errors of the client; 400 for those not listed.
STATUSES: dict[type[Exception], int] = {
    RequestTimeout: 408,
    errors.LimitRequestLine: 414,
    errors.ExpectationFailed: 417,
    errors.LimitRequestHeaders: 431,
}
#: Parse exceptions that are errors of gunicorn or the application, not of the client.
SERVER_ERRORS = (
    errors.ConfigurationProblem,
    errors.InvalidResponseHeader,
    errors.InvalidResponseHeaderName,
)


class ClientTimeout:
    """The time limit of waits for clients: short while more than half of the threads wait."""

    def __init__(self, seconds: float, threads: int) -> None:
        self.seconds = seconds
        self._max_waiting = max(1, threads // 2)
        self._waiting = 0
        self._lock = threading.Lock()

    @contextmanager
    def waiting(self) -> Iterator[float]:
        """Count the calling thread as waiting, and yield its time limit in seconds."""
        with self._lock:
            self._waiting += 1
            is_short = self._waiting > self._max_waiting
        try:
            yield SHORT_SECONDS if is_short else self.seconds
        finally:
            with self._lock:
                self._waiting -= 1


class Connection(socket.socket):
    """A connection with a time limit for the client to send each request."""

    def __init__(self, accepted: socket.socket, client_timeout: ClientTimeout) -> None:
        super().__init__(fileno=accepted.detach())
        self._client_timeout = client_timeout
        self._deadline = 0.0
        self._is_late = False

    def start_request(self) -> None:
        """Start the time limit of a request."""
        self._deadline = time.monotonic() + self._client_timeout.seconds

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive data, waiting within the time limit.

        :raises RequestTimeout: if nothing arrives in time. Later calls return the end of stream.
        """
        try:
            return super().recv(size, flags | NONBLOCKING)
        except BlockingIOError:
            if self.gettimeout() is not None:  # gunicorn set a timeout and handles the error
                raise
        return self._receive_in_time(size, flags)

    def _receive_in_time(self, size: int, flags: int) -> bytes:
        if self._is_late:
            return b""
        try:
            with self._client_timeout.waiting() as seconds:
                left = min(seconds, self._deadline - time.monotonic())
                self.settimeout(max(left, 0.001))
                return super().recv(size, flags)
        except TimeoutError:
            self._is_late = True
            raise RequestTimeout("the request did not arrive within the time limit") from None
        finally:
            self.setblocking(True)

    def sendall(self, content: Any, flags: int = 0) -> None:
        """Send all content; raise BrokenPipeError if the client reads nothing within the limit."""
        try:
            sent = self.send(content, flags | NONBLOCKING)
        except BlockingIOError:
            if self.gettimeout() is not None:
                raise
            sent = 0
        if sent < len(content):
            rest = memoryview(content)[sent:]
            while rest:
                rest = rest[self._send_in_time(rest, flags) :]

    def _send_in_time(self, content: memoryview, flags: int) -> int:
        try:
            with self._client_timeout.waiting() as seconds:
                self.settimeout(seconds)
                return self.send(content, flags)
        except TimeoutError:
            raise BrokenPipeError(errno.EPIPE, "the client does not read the response") from None
        finally:
            self.setblocking(True)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a file; raise BrokenPipeError if the client reads nothing within the limit."""
        self.settimeout(self._client_timeout.seconds)
        try:
            return super().sendfile(file, offset, count)
        except TimeoutError:
            raise BrokenPipeError(errno.EPIPE, "the client does not read the response") from None
        finally:
            self.setblocking(True)


class Worker(ThreadWorker):
    """Handles each request in a thread, with a time limit for every wait on a client."""

    #: Seconds that a client may take to send a request, or to read nothing of a response.
    client_seconds = 60.0

    def init_process(self) -> None:
        """Run the worker until it stops."""
        self._client_timeout = ClientTimeout(self.client_seconds, self.cfg.threads)
        self._lingering: deque[TConn] = deque()
        #: The time at which a stopping worker closes connections that have sent nothing.
        self._close_at = float("inf")
        super().init_process()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Enable or disable new connections. When stopping, accept the listen backlog first."""
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            while self._has_accepted(listener):
                pass
            # From now on the system refuses connections, rather than accept and then reset them.
            listener.close()

    def _has_accepted(self, listener: socket.socket) -> bool:
        before = self.nr_conns
        with suppress(OSError):
            listener.setblocking(False)
            self.accept(listener)
        return bool(self.nr_conns > before)

    def enqueue_req(self, conn: TConn) -> None:
        """Queue a readable connection for a thread; poll a new one without occupying a thread."""
        if isinstance(conn.sock, Connection):
            super().enqueue_req(conn)
            return
        conn.sock = Connection(conn.sock, self._client_timeout)
        conn.sock.setblocking(False)
        conn.set_timeout()
        self.pending_conns.append(conn)
        ready = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, ready)

    def handle(self, conn: TConn) -> Any:
        """Handle a request within its time limit."""
        conn.sock.start_request()
        return super().handle(conn)

    def finish_request(self, conn: TConn, fs: Any) -> None:
        """Keep the connection alive, or let the client close it without blocking the worker."""
        if fs.cancelled() or fs.exception() or fs.result():
            super().finish_request(conn, fs)
        else:
            self._linger(conn)

    def murder_keepalived(self, force: bool = False) -> None:
        """Close idle and lingering connections whose time is over."""
        super().murder_keepalived(force)
        while self._lingering and (force or self._lingering[0].timeout <= time.monotonic()):
            self._close_lingering(self._lingering[0])

    def murder_pending(self) -> None:
        """Close new connections that have sent nothing in time; sooner when the worker stops."""
        if not self.alive:
            self._close_at = min(self._close_at, time.monotonic() + LINGER_SECONDS)
            for conn in self.pending_conns:
                conn.timeout = min(conn.timeout, self._close_at)
        super().murder_pending()

    def _linger(self, conn: TConn) -> None:
        """Close the sending side and keep reading, or a reset may destroy the response.

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
            self._close_lingering(conn)

    def _drain(self, conn: TConn, _: Any) -> None:
        try:
            more = conn.sock.recv(LINGER_BYTES)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        conn.unread_bytes += len(more)
        if not more or conn.unread_bytes > LINGER_BYTES:
            self._close_lingering(conn)

    def _close_lingering(self, conn: TConn) -> None:
        with suppress(KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self._lingering.remove(conn)
        self.nr_conns -= 1
        conn.close()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Respond to a failed request with a problem document, as the application does."""
        is_of_client = isinstance(exc, (errors.ParseException, RequestTimeout))
        if not is_of_client or isinstance(exc, SERVER_ERRORS):
            self.log.error("failed to handle a request", exc_info=exc)
            status = 500
        else:
            status = next((STATUSES[kind] for kind in STATUSES if isinstance(exc, kind)), 400)
            self.log.debug("rejected a request: %s", exc)
        # A late import: prometheus_client reads the metrics folder then, see servers/forking.py.
        from app.web.http import raw_problem  # noqa: PLC0415

        with suppress(OSError):
            client.sendall(raw_problem.build_response(status))

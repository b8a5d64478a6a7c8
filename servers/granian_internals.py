"""The names of granian that are not public: the one place that depends on them.

granian has no public way to serve an open socket in a process that another server has forked.
``tests/servers/test_granian_worker.py`` fails when these names change.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

from granian._futures import _new_cbscheduler
from granian._granian import SocketHolder, WorkerSignal, WSGIWorker
from granian.constants import HTTPModes
from granian.http import HTTP1Settings

#: Called for each request with granian's protocol object and the WSGI environment.
Handler = Callable[[Any, dict[str, Any]], None]
#: Without TLS: its switch, certificate, key, password, protocol, authorities, revocations, checks.
NO_TLS = (False, None, None, None, "tls1.3", None, [], False)
#: Rust threads that pull streamed responses; they are started when needed.
STREAMING_THREADS = 512
#: Seconds without work after which a thread ends.
THREAD_IDLE_SECONDS = 30


class Server:
    """Serves HTTP/1.1 on a listening socket, in threads of its own."""

    def __init__(
        self,
        listener: socket.socket,
        handler: Handler,
        *,
        connections: int,
        idle_seconds: float,
    ) -> None:
        """Start to accept connections.

        :param connections: maximum number of open connections, and of requests handled at the same
            time.
        :param idle_seconds: time for a client to send the headers of its next request.
        """
        # At INFO, granian logs the start and the stop of each thread.
        logging.getLogger("_granian").setLevel(logging.WARNING)
        self._signal = WorkerSignal()
        self._stopped = threading.Event()
        self._signal.add_cb(self._stopped.set)
        # granian closes the descriptor that it receives.
        holder = SocketHolder(os.dup(listener.fileno()), False, connections)
        worker = WSGIWorker(
            os.getpid(),
            (None, holder),
            None,
            1,  # one Rust thread handles the I/O of all connections
            STREAMING_THREADS,
            connections,
            THREAD_IDLE_SECONDS,
            connections,
            HTTPModes.http1,
            HTTP1Settings(header_read_timeout=int(idle_seconds * 1000)),
            None,
            None,
            *NO_TLS,
            (None, None),
        )
        loop = asyncio.new_event_loop()
        worker.serve_str(_new_cbscheduler(loop, handler), loop, self._signal)

    def stop(self) -> None:
        """Accept no more connections, close idle ones, and complete the accepted requests."""
        self._signal.set()

    def wait(self, seconds: float) -> bool:
        """Wait for the end of a stopping server; return whether it has ended in time."""
        return self._stopped.wait(seconds)

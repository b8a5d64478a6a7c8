"""Serves Modelhost with granian: ``python -m servers.granian``."""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from granian.constants import HTTPModes, Interfaces, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import MPServer

import logs
from config import InvalidSetting
from config import settings as read_settings
from servers import forking

#: Maximum open connections of one worker, idle or not; gunicorn's default.
CONNECTIONS = 1000
#: Milliseconds that an idle connection stays open, see gunicorn.conf.py.
KEEP_ALIVE_MS = 75_000
#: Seconds that a stopping worker has to finish accepted requests; gunicorn's default.
GRACE_SECONDS = 30
#: Seconds between two checks whether a worker listens.
LOOK_SECONDS = 0.02
#: The signals that stop the server and each of its workers.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Without handlers, granian's log records propagate to those of the application.
LOGGERS = {"version": 1, "disable_existing_loggers": False, "loggers": {}}

log = logging.getLogger("modelhost")


class Master(MPServer):
    """Starts the workers, and replaces each that exits."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        #: A pipe that only the master writes to: workers read its end when the master ends.
        self._lifeline = os.pipe()
        super().__init__(
            "wsgi:app",
            address=settings["HOST"],
            port=settings["PORT"],
            interface=Interfaces.WSGI,
            workers=settings["WORKERS"],
            blocking_threads=settings["THREADS"],
            # One Rust thread handles the I/O of all connections of a worker.
            runtime_mode=RuntimeModes.st,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=KEEP_ALIVE_MS),
            backpressure=CONNECTIONS,
            workers_kill_timeout=GRACE_SECONDS,
            log_level=LogLevels(settings["LOG_LEVEL"].lower()),
            log_dictconfig=LOGGERS,
            websockets=False,
        )

    @property
    def respawn_failed_workers(self) -> bool:
        """Whether to replace a worker that exited: not until one could start at all."""
        return forking.can_start()

    @respawn_failed_workers.setter
    def respawn_failed_workers(self, _: bool) -> None:
        """Ignore the value that granian sets."""

    @property
    def respawned_wrks(self) -> dict[int, float]:
        """Always empty: granian would stop if a worker dies twice within seconds."""
        return {}

    @respawned_wrks.setter
    def respawned_wrks(self, _: dict[int, float]) -> None:
        """Ignore the value that granian sets."""

    def _spawn_workers(self, *args: Any, **kwargs: Any) -> None:
        with _stop_signals_blocked():
            super()._spawn_workers(*args, **kwargs)

    def _respawn_workers(self, *args: Any, **kwargs: Any) -> None:
        with _stop_signals_blocked():
            super()._respawn_workers(*args, **kwargs)
        # granian loses a stop signal that arrives just as it starts to respawn.
        if self.interrupt_signal:
            self.main_loop_interrupt.set()

    def signal_handler_reload(self, *args: Any, **kwargs: Any) -> None:
        """Reload the models on SIGHUP, instead of replacing the workers."""
        forking.request_reload()

    def load(self, target: str) -> Any:
        """Return the application after its warm-up. Called in each worker before it listens."""
        forking.leave_terminal()
        # The worker has the master's handlers until granian sets its own. Until then, a stop
        # signal may end it at once: it has accepted no request.
        for each in STOP_SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        os.close(self._lifeline[1])
        threading.Thread(target=self._end_with_master, name="lifeline", daemon=True).start()
        app = _application()
        from app.serving.reload.warmup import warm_up  # noqa: PLC0415

        parts = app.extensions["modelhost"]
        start = parts.reloader.start_in_worker
        seconds = self._settings["WARM_UP_SECONDS"]
        warm_up(parts.predictor, seconds, start=start)
        threading.Thread(
            target=self._log_when_listening,
            args=(parts.manager.models(),),
            name="ready",
            daemon=True,
        ).start()
        return app

    def _end_with_master(self) -> None:
        """Stop this worker when the master has ended, even if killed: it would keep the port."""
        os.read(self._lifeline[0], 1)
        log.error("stopping: the master process has ended")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        os._exit(1)

    def _log_when_listening(self, models: Iterable[Any]) -> None:
        """Wait until the port is open, then log the server's URL unless another worker has."""
        place = (self._settings["HOST"], self._settings["PORT"])
        while not _is_listening(*place):
            time.sleep(LOOK_SECONDS)
        forking.log_ready(self._settings, models)


def main() -> None:
    """Serve until a signal stops the server."""
    try:
        settings = read_settings(os.environ)
    except InvalidSetting as error:
        sys.exit(f"Modelhost cannot start.\n{error}")
    logs.configure(settings)
    if _is_listening(settings["HOST"], settings["PORT"]):
        # Linux would distribute connections between the two servers.
        place = forking.address(settings)
        sys.exit(f"Modelhost cannot start.\nAnother server listens at {place}; set another PORT")
    # Forked workers share the memory of what the master has loaded.
    multiprocessing.set_start_method("fork")
    forking.prepare_forks(settings["WORKERS"])
    # Import once for all workers and replacements, after the metrics folder is set.
    importlib.import_module("app")
    if forking.are_forked():
        _application().extensions["modelhost"].reloader.start()
    logging.getLogger("_granian").addFilter(_is_relevant)
    if settings["TRUSTED_PROXIES"]:
        log.warning(
            "granian reads the header X_Forwarded_For as X-Forwarded-For: the proxy must remove it"
        )
    master = Master(settings)
    master.serve(target_loader=master.load)


@contextmanager
def _stop_signals_blocked() -> Iterator[None]:
    """Block the stop signals while workers are forked.

    A worker starts with the master's handlers, which would lose a signal. A blocked signal is
    delivered once the worker has its own handlers.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _is_listening(host: str, port: int) -> bool:
    """Return whether a server listens at an address."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _application() -> Any:
    # A late import: it imports prometheus_client and numpy, see servers/forking.py.
    from wsgi import app  # noqa: PLC0415

    return app


def _is_relevant(record: logging.LogRecord) -> bool:
    # granian warns of more threads than cores, but these threads mostly wait for models.
    return not record.getMessage().startswith("Configuration allows spawning up to")


if __name__ == "__main__":
    main()

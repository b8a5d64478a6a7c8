"""What every server does for its workers before it forks them, and after they exit.

A server with several workers loads the models once, in its master, and the forked workers share
that memory. The master must not call a model: a thread pool, such as that of OpenMP, does not
survive the fork, and a worker would wait for it forever.

This module imports neither prometheus_client nor numpy: both read the environment when they are
first imported.
"""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import select
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import logs
from app.serving.errors import Stopped
from mlmodel.bounded.safe_open import remove_own_folder
from servers import terminal

log = logging.getLogger("modelhost")

#: The variable that makes prometheus_client aggregate the metrics of several processes.
METRICS_DIR = "PROMETHEUS_MULTIPROC_DIR"
#: The variable with the folder of the shared state, see app/serving/reload/shared_state.py, and
#: the file in it that requests a reload.
STATE_DIR = "SHARED_STATE_DIR"
RELOAD_REQUEST = "reload-request"
#: A folder in memory, used if the temporary folder is full.
MEMORY = "/dev/shm"  # noqa: S108
#: Bytes that the folders need at the start; for metrics, per worker.
STATE_BYTES = 1 << 20
METRICS_BYTES = 1 << 19
#: The effect of a missing folder, for the log.
WITHOUT = {
    STATE_DIR: "processes cannot share changes of the models; to reload, restart the server",
    METRICS_DIR: "each process reports only its own metrics",
}


@dataclass
class _Master:
    """The state that the master passes on to the workers that it forks."""

    forks: bool = False
    #: A pipe that all processes share: the first worker that is ready reads its one byte.
    ready: tuple[int, int] | None = None
    #: The folders shared by all processes, by environment variable.
    folders: dict[str, str] = field(default_factory=dict)

    def share(self, variable: str, prefix: str, size_bytes: int) -> None:
        """Create a folder for all processes, where there is room; it is removed at exit."""
        if variable in self.folders:
            return
        for place in (None, MEMORY):
            try:
                folder = _folder_with_room(prefix, place, size_bytes)
            except OSError as error:
                name = place or "the temporary folder (TMPDIR)"
                log.error("cannot create %s* in %s: %s", prefix, name, error.strerror)
            else:
                self.folders[variable] = os.environ[variable] = folder
                atexit.register(remove_own_folder, folder, os.getpid())
                return
        log.error("%s", WITHOUT[variable])


_master = _Master()


def prepare_forks(count: int) -> None:
    """Prepare this process to fork ``count`` workers. Call it before importing the application."""
    _master.forks = count > 1
    if _master.ready is None:
        _master.ready = os.pipe()
        os.set_blocking(_master.ready[0], False)
        os.write(_master.ready[1], b".")
    # All workers and their replacements share one key, so that logins outlive a worker.
    os.environ.setdefault("MODELHOST_SECRET_KEY", secrets.token_hex())
    _master.share(STATE_DIR, "modelhost-state-", STATE_BYTES)
    if _master.forks:
        _master.share(METRICS_DIR, "modelhost-metrics-", METRICS_BYTES * count)


def are_forked() -> bool:
    """Return whether this process loads the models for workers that it will fork."""
    return _master.forks


def leave_terminal() -> None:
    """Leave the terminal's process group, so that Ctrl-C reaches only the master. For workers.

    The master stops its workers on Ctrl-C, and a worker that receives both signals may hang.
    """
    os.setpgrp()


def stop_loading(*_: object) -> NoReturn:
    """End a worker that loads its models. A signal handler."""
    raise Stopped


def address(settings: Mapping[str, Any]) -> str:
    """Return host and port as in a URL."""
    # An IPv6 address needs brackets, because of its colons.
    host = f"[{settings['HOST']}]" if ":" in settings["HOST"] else settings["HOST"]
    return f"{host}:{settings['PORT']}"


def log_ready(settings: Mapping[str, Any], models: Iterable[Any]) -> None:
    """Write the server's URL and the states of its models to stderr, at any log level.

    In the text format, this includes what is wrong with each model. Only the first worker that is
    ready writes it.
    """
    if _master.ready is None:
        return
    try:
        os.read(_master.ready[0], 1)
    except BlockingIOError:
        return
    models = list(models)
    counts = Counter(str(model.status) for model in models)
    states = ", ".join(f"{count} {status}" for status, count in counts.items()) or "none"
    text = f"Modelhost is ready: http://{address(settings)}/ (models: {states})"
    sys.stderr.write(logs.format_line(settings, text, terminal.describe(models)))


def can_start() -> bool:
    """Return whether a new worker may succeed where one exited before it was ready.

    It may if any worker has ever been ready, or if a model crashed the worker: a model that does
    so repeatedly is quarantined.
    """
    if _master.ready is not None and not select.select([_master.ready[0]], [], [], 0)[0]:
        return True
    from app.serving.reload.crashes import has_recent_crashes  # noqa: PLC0415

    folder = state_folder()
    return folder is not None and has_recent_crashes(folder)


def state_folder() -> Path | None:
    """Return the folder of the shared state, or ``None``."""
    folder = _master.folders.get(STATE_DIR)
    return Path(folder) if folder else None


def heartbeat_folder() -> str | None:
    """Return a folder in memory for the workers' heartbeat files; ``None`` for the default."""
    return MEMORY if os.access(MEMORY, os.W_OK) else None


def request_reload() -> None:
    """Request a reload: one worker reads ``models.yaml``; if it succeeds, the others follow."""
    folder = state_folder()
    if folder is None:
        log.error("cannot reload: %s", WITHOUT[STATE_DIR])
        return
    try:
        (folder / RELOAD_REQUEST).touch()
    except OSError as error:
        log.error("cannot request a reload: %s", error)


def remove_worker(pid: int) -> None:
    """Remove a worker that has exited from the metrics and from the shared state."""
    folder = state_folder()
    if folder is not None:
        (folder / f"{pid}.at").unlink(missing_ok=True)
    if METRICS_DIR in os.environ:
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

        with suppress(FileNotFoundError):  # a worker that reads the metrics does the same
            mark_process_dead(pid)


def _folder_with_room(prefix: str, place: str | None, size_bytes: int) -> str:
    """Create a folder that has room for ``size_bytes``.

    :raises OSError: if there is no room.
    """
    folder = tempfile.mkdtemp(prefix=prefix, dir=place)
    try:
        if hasattr(os, "posix_fallocate"):
            probe = Path(folder, "probe")
            with probe.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, size_bytes)
            probe.unlink()
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder

"""What any server does for its workers before they are forked, and after they have ended.

A server that has several workers loads the models once, in its master, and the workers that are
forked from it share their memory. Nobody may ask a model there: a pool of threads, as OpenMP
keeps one, does not survive the fork, and a worker would wait for it for good.

Nothing is imported here that counts or calculates: both look at the environment when they are
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
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import logs

log = logging.getLogger("modelhost")

#: How OpenMP and the libraries of linear algebra are told how many threads to have.
THREAD_POOLS = (
    "BLIS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
#: The variable by which prometheus_client counts for several processes together.
MANY_PROCESSES = "PROMETHEUS_MULTIPROC_DIR"
#: The variable and the file by which they follow each other's changes, see
#: app/serving/reload/shared_state.py.
WANTED_MODELS = "WANTED_MODELS_DIR"
HANG_UP = "hang-up"
#: A folder in memory, for what has no room elsewhere.
MEMORY = "/dev/shm"  # noqa: S108
#: Bytes that the folders need at the start; that of metrics for each worker.
WANTED_BYTES = 1 << 20
METRICS_BYTES = 1 << 19
#: What a process does that has no such folder.
WITHOUT = {
    WANTED_MODELS: "changes its models alone: restart the server instead of reloading",
    MANY_PROCESSES: "has metrics of its own",
}


@dataclass
class _Master:
    """What this process knows of the workers that it will fork."""

    forks: bool = False
    #: A pipe that all processes have: the first worker that is ready takes the byte in it.
    ready: tuple[int, int] | None = None
    #: The folders that all of them see, by the variables that name them.
    folders: dict[str, str] = field(default_factory=dict)

    def share(self, variable: str, prefix: str, size_bytes: int) -> None:
        """Make a folder that all processes see, as long as this one lives, where there is room."""
        if variable in self.folders:
            return
        for place in (None, MEMORY):
            try:
                folder = _folder_with_room(prefix, place, size_bytes)
            except OSError as error:
                log.error("no room for %s in %s: %s", prefix, place or "TMPDIR", error.strerror)
            else:
                self.folders[variable] = os.environ[variable] = folder
                atexit.register(_remove, folder, os.getpid())
                return
        log.error("without %s, each process %s", prefix, WITHOUT[variable])


_master = _Master()


def limit_threads(environ: MutableMapping[str, str]) -> None:
    """Let each pool of threads have one thread, unless the environment says otherwise.

    In a server, pools of several threads only fight each other for the cores. To be called
    before numpy is imported.
    """
    for variable in THREAD_POOLS:
        environ.setdefault(variable, "1")


def expect(count: int) -> None:
    """Prepare this process for as many workers. To be called before the application is imported."""
    _master.forks = count > 1
    if _master.ready is None:
        _master.ready = os.pipe()
        os.set_blocking(_master.ready[0], False)
        os.write(_master.ready[1], b".")
    # One for all workers, and for those that come after them: logins outlive a worker.
    os.environ.setdefault("MODELHOST_SECRET_KEY", secrets.token_hex())
    _master.share(WANTED_MODELS, "modelhost-wanted-", WANTED_BYTES)
    if _master.forks:
        _master.share(MANY_PROCESSES, "modelhost-metrics-", METRICS_BYTES * count)


def are_forked() -> bool:
    """Tell whether the models that this process loads are for workers that it will fork."""
    return _master.forks


def leave_terminal() -> None:
    """Let the master alone hear of Ctrl-C, and end its workers. To be called in each of them.

    A terminal sends it to a whole group of processes, and a worker that is ended twice may hang.
    """
    os.setpgrp()


def address(settings: Mapping[str, Any]) -> str:
    """Return host and port as they stand in an address."""
    # The colons of an IPv6 address are not that of the port.
    host = f"[{settings['HOST']}]" if ":" in settings["HOST"] else settings["HOST"]
    return f"{host}:{settings['PORT']}"


def say_ready(settings: Mapping[str, Any]) -> None:
    """Say where to look, however little is logged, if no other worker has said it."""
    if _master.ready is None:
        return
    try:
        os.read(_master.ready[0], 1)
    except BlockingIOError:
        return
    sys.stderr.write(logs.said(settings, f"Modelhost is ready: http://{address(settings)}/"))


def can_start() -> bool:
    """Tell whether another worker may succeed where one has ended before it was ready.

    It may if any worker has ever been ready, or if a model ended it: one that does so again and
    again is quarantined.
    """
    if _master.ready is not None and not select.select([_master.ready[0]], [], [], 0)[0]:
        return True
    from app.serving.reload.crashes import any_in  # noqa: PLC0415

    folder = wanted_folder()
    return folder is not None and any_in(folder)


def wanted_folder() -> Path | None:
    """Return the folder in which all processes see which models are wanted, if there is one."""
    folder = _master.folders.get(WANTED_MODELS)
    return Path(folder) if folder else None


def heartbeat_folder() -> str | None:
    """Return where workers can have files that need no disk; ``None`` for the default."""
    return MEMORY if os.access(MEMORY, os.W_OK) else None


def hang_up() -> None:
    """Let a worker read ``models.yaml`` again. If all is well, the others follow."""
    folder = wanted_folder()
    if folder is None:
        log.error("cannot reload: %s", WITHOUT[WANTED_MODELS])
        return
    try:
        (folder / HANG_UP).touch()
    except OSError as error:
        log.error("the processes cannot be told to reload: %s", error)


def ended(pid: int) -> None:
    """Take a worker that has ended out of what is counted, and out of those that follow."""
    folder = wanted_folder()
    if folder is not None:
        (folder / f"{pid}.at").unlink(missing_ok=True)
    if MANY_PROCESSES in os.environ:
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

        mark_process_dead(pid)


def _folder_with_room(prefix: str, place: str | None, size_bytes: int) -> str:
    """Return a new folder in which so many bytes can be written.

    :raises OSError: if there is none.
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


def _remove(folder: str, owner: int) -> None:
    # The end of a worker, which inherits what is to be done at the end, is not the server's.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)

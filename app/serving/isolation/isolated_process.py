"""The server's side of an isolated process, which runs isolated_program.py."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import pickle
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from app.serving.isolation.protocol import MAX_RESPONSE_BYTES, Bounds, decode, encode
from app.serving.process.processes import (
    APP,
    ENGINE_ONLY,
    get_public_environ,
    get_sandbox_environ,
)
from mlmodel.bounded.child_process import GRACE_SECONDS, ChildProcess, ProcessEnded

log = logging.getLogger(__name__)

PROGRAM = f"""{ENGINE_ONLY}
from app.serving.isolation.isolated_program import main
main()
"""
#: Prefix of the temporary folder of a process.
FOLDER = "modelhost-isolated-"
#: Maximum bytes of a line of a model's output; longer ones are split.
LINE_BYTES = 2000
#: Maximum lines of a process's output that are logged in a second; the others are dropped.
LINES_PER_SECOND = 500


class IsolatedProcess:
    """A process that holds isolated models. One thread at a time may call :meth:`run`.

    ``models`` are those that it has created, by key, and whether it has loaded them; ``running`` is
    the key of the model whose order it runs.

    :param title: the name of its models in the log.
    :param on_end: called from a thread when the process has closed its output.
    """

    def __init__(self, title: str, bounds: Bounds, on_end: Callable[[], None]) -> None:
        self.models: dict[int, bool] = {}
        self.running: int | None = None
        with ExitStack() as undo:
            self._folder, self._lock = _create_folder()
            undo.callback(self._remove_folder)
            #: A folder that the process may only read, and one in which it writes.
            self.files, self.own = (os.path.join(self._folder, name) for name in ("files", "own"))
            os.mkdir(self.files)
            os.mkdir(self.own)
            environ = _environ(self.own, is_sandboxed=bounds.is_sandboxed)
            self.process = ChildProcess.spawn(PROGRAM, str(APP), environ=environ, has_output=True)
            undo.callback(self.process.end)
            bounds = replace(bounds, reads=(*bounds.reads, Path(self.files)))
            with suppress(ProcessEnded):  # the first order raises it again
                self.process.send(pickle.dumps((bounds, logging.getLogger().getEffectiveLevel())))
            arguments = title, on_end
            threading.Thread(
                target=self._log_output, args=arguments, name="isolated", daemon=True
            ).start()
            undo.pop_all()

    def run(self, seconds: float, key: int, *order: Any) -> dict[str, Any]:
        """Return the result of an order, see `ModelRunner.run` in isolated_program.py.

        :param seconds: the time limit; 0 for none.
        :raises TimeoutError: after the time limit.
        :raises ProcessEnded: if the process has ended, or its response is too large or not JSON.
        """
        message = encode((key, *order))
        self.running = key
        try:
            self.process.send(message, seconds)
            response = decode(self.process.receive(seconds, most_bytes=MAX_RESPONSE_BYTES))
        except ValueError:
            raise ProcessEnded("its response is not JSON") from None
        finally:
            self.running = None
        if order[0] == "unload":
            self.models.pop(key, None)
        elif order[0] in {"create", "load"} and "done" in response:
            self.models[key] = order[0] == "load"
        return response  # type: ignore[no-any-return]

    def end(self) -> None:
        """Kill the process with its process group, and delete its folders."""
        if self.process.end():
            self._remove_folder()

    def _remove_folder(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._lock)

    def _log_output(self, title: str, on_end: Callable[[], None]) -> None:
        """Log the model's output line by line, so that it cannot forge other log lines."""
        with self.process.output as output:
            for line in read_lines(output):
                log.info("%s wrote: %s", title, line.decode(errors="replace").rstrip())
        self.process.wait(GRACE_SECONDS)
        on_end()


def read_lines(output: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of an output, but at most :data:`LINES_PER_SECOND` in one second.

    One line then replaces the dropped ones. A second begins with the first line after the last one.
    """
    end, count = 0.0, 0
    while line := output.readline(LINE_BYTES):
        now = time.monotonic()
        if now >= end:
            end, count = now + 1, 0
        count += 1
        if count <= LINES_PER_SECOND:
            yield line
        elif count == LINES_PER_SECOND + 1:
            yield b"(more than %d lines in one second: the others are dropped)" % LINES_PER_SECOND


def _environ(folder: str, *, is_sandboxed: bool) -> dict[str, str]:
    own = {"PYTHONUNBUFFERED": "1", "TMPDIR": folder}
    if not is_sandboxed:
        return get_public_environ() | own
    # It can start no processes, and joblib warns where it finds that out by itself.
    return get_sandbox_environ() | own | {"JOBLIB_MULTIPROCESSING": "0"}


def _create_folder() -> tuple[str, int]:
    """Create a temporary folder, and delete those of servers that were killed.

    :returns: the folder, and a descriptor that locks it while this server runs.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        lock = _lock(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=FOLDER))
        lock = _lock(folder)
        if lock is not None:  # otherwise another server deletes the folder, not yet locked
            return str(folder), lock


def _lock(folder: Path) -> int | None:
    """Return a descriptor that locks a folder of this user; ``None`` if it is locked or gone.

    :raises OSError: if the process has no descriptor left.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in {errno.EMFILE, errno.ENFILE}:
            raise
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_uid == os.geteuid() and folder.exists():
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None

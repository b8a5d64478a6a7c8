"""The server's side of a process of isolated models; the process itself runs worker.py."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any, NoReturn

from app.serving.isolation.protocol import Bounds, read, written

log = logging.getLogger(__name__)

APP = Path(__file__).parents[2]
#: Starts the process with the engine only. With the web application, in whose package the engine
#: is, the start would take three times as long, and twice the memory.
BEGIN = """
import sys, types
sys.modules["app"] = app = types.ModuleType("app")
app.__path__ = [sys.argv.pop()]
from app.serving.isolation.worker import main
main()
"""
#: Prefixes of environment variables that a model must not see: settings, keys, shared folders.
PRIVATE = ("MODELHOST_", "PROMETHEUS_MULTIPROC_DIR", "WANTED_MODELS_DIR")
#: Maximum bytes of a line of a model's output; longer ones are split.
LINE_BYTES = 2000


class Ended(Exception):
    """The process of the model ended during a call."""


class Child:
    """A process that holds models, see worker.py. Only one thread at a time may call it.

    :param title: the name of its models in the log.
    :param ended: called with this object, from a thread, when the process closes its output.
    """

    def __init__(self, title: str, bounds: Bounds, ended: Callable[[Child], None]) -> None:
        self._folder = tempfile.mkdtemp(prefix="modelhost-isolated-")
        #: A folder that the process may only read, and one in which it writes.
        self.files, self.own = (os.path.join(self._folder, name) for name in ("files", "own"))
        os.mkdir(self.files)
        os.mkdir(self.own)
        ours, theirs = socket.socketpair()
        held, self._lifeline = os.pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  Python, and a fixed program
                [sys.executable, "-P", "-c", BEGIN, str(theirs.fileno()), str(held), str(APP)],
                env=_environment(self.own, is_sandboxed=bounds.is_sandboxed),
                pass_fds=(theirs.fileno(), held),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        os.close(held)
        self._socket = ours
        self._orders = Connection(ours.fileno())
        self._owner = os.getpid()
        self._ending = threading.RLock()
        self._is_ended = False
        level = logging.getLogger().getEffectiveLevel()
        bounds = replace(bounds, reads=(*bounds.reads, Path(self.files)))
        setup = pickle.dumps((bounds, level))
        with suppress(OSError):  # the process has already ended; the first order raises `Ended`
            self._orders.send_bytes(setup)
        arguments = self._process.stdout, title, ended
        threading.Thread(target=self._listen, args=arguments, name="isolated", daemon=True).start()

    @property
    def is_ended(self) -> bool:
        """Whether :meth:`end` has ended the process."""
        return self._is_ended

    @property
    def has_fallen(self) -> bool:
        """Whether the process has ended without a call of :meth:`end`."""
        return not self._is_ended and self._process.poll() is not None

    @property
    def ending(self) -> str:
        """A description of how the process ended."""
        code = self._process.returncode
        if code is None or code >= 0:
            return "it exited" if code is None else f"it exited with status {code}"
        return f"killed by {signal.Signals(-code).name}"

    def wait_for(self, seconds: float) -> None:
        """Set the time limit of orders in seconds; 0 for none."""
        limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))
        with suppress(OSError):
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                self._socket.setsockopt(socket.SOL_SOCKET, option, limit)

    def obey(self, *order: Any) -> dict[str, Any]:
        """Return the result of an order, see :meth:`app.serving.isolation.worker.Inmate.obey`.

        :raises TimeoutError: after the time limit, see :meth:`wait_for`.
        :raises Ended: if the process has ended, or its response cannot be decoded.
        """
        try:
            self._orders.send_bytes(written(order))
            return read(self._orders.recv_bytes())  # type: ignore[no-any-return]
        except BlockingIOError:
            raise TimeoutError from None
        except (EOFError, OSError):
            self._fall("")
        except ValueError:
            self._fall("it answered what nobody can read; ")

    def end(self) -> None:
        """Kill the process with its process group, and delete its folders."""
        if os.getpid() != self._owner:
            return  # a forked process inherits the finalizers of its parent
        with self._ending:
            if self._is_ended:
                return
            self._is_ended = True
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            os.close(self._lifeline)
            self._socket.detach()  # the connection closes the descriptor that both share
            self._orders.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _fall(self, why: str) -> NoReturn:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        raise Ended(f"{why}{self.ending}") from None

    def _listen(self, output: IO[bytes], title: str, ended: Callable[[Child], None]) -> None:
        """Log the model's output line by line, so that it cannot forge other log lines."""
        with output:
            while line := output.readline(LINE_BYTES):
                log.info("%s wrote: %s", title, line.decode(errors="replace").rstrip())
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        ended(self)


def _environment(folder: str, *, is_sandboxed: bool) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PRIVATE)}
    paths = [path or os.getcwd() for path in sys.path]
    own = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1", "TMPDIR": folder}
    if is_sandboxed:
        # It can start no processes, and joblib warns where it finds that out by itself.
        own["JOBLIB_MULTIPROCESSING"] = "0"
    return inherited | own

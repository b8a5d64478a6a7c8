"""Build a pickle in another process first, since building it may crash.

The allow-list includes native code, which forged numbers can crash or keep busy forever. So a file
is scanned, built and its schemas are inferred in a separate process first. A process with one
thread forks itself for that; one with several uses a
:class:`~mlmodel.trust.trial.trial_server.TrialServer`, which has a single thread.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from mlmodel.bounded.child_process import threads
from mlmodel.trust import Trust, scan
from mlmodel.trust.trial import bounded_fork
from mlmodel.trust.trial.trial_server import TrialServer

#: Results kept by this process and its forks.
REMEMBERED = 200

#: Maximum bytes of a pickle that is scanned in this process, which is faster than in a fork.
SHORT_BYTES = 1 << 15


def names(content: bytes, file_bytes: int) -> scan.Names:
    """Return the names in a pickle, scanned in another process if the pickle is large.

    :param content: not compressed.
    :param file_bytes: the size of the file, which may be compressed.
    :raises BrokenModel: if that takes too much time or memory.
    """
    if len(content) <= SHORT_BYTES or not _TRIALS.is_enabled:
        return scan.names(content)
    found, opcode = _TRIALS.run("names", content, (), file_bytes)
    return scan.Names(tuple((module, name) for module, name in found), opcode)


def build_first(content: bytes, trust: Trust, file_bytes: int = 1 << 20) -> None:
    """Build a pickle in another process first, unless the same one was built before.

    Without ``os.fork``, there is no trial. Thread safe; one file is tried at a time.

    :param content: not compressed.
    :param file_bytes: the size of the file, which may be compressed.
    :raises BrokenModel: if that process crashes or exceeds its limits. Other errors are left to the
        actual build.
    """
    if _TRIALS.is_enabled:
        _TRIALS.run("schemas", content, trust, file_bytes)


def schemas(content: bytes, trust: Trust) -> Any:
    """Return the schemas that :func:`build_first` found, as JSON; ``None`` if it found none.

    :param content: not compressed.
    """
    return _TRIALS.get("schemas", content, trust)


def infer_in_fork(infer: Callable[[], Any], size_bytes: int) -> Any:
    """Return the schemas that a function infers, as JSON; ``None`` if it raises an error.

    It runs in a fork, and only in a process with one thread, which may fork workers later: a
    thread pool that the model starts would be missing in them. Otherwise the result is ``None``.

    :param size_bytes: of the model, which determines the limits.
    :raises BrokenModel: if the fork crashes or exceeds its limits.
    """
    if not (_TRIALS.is_enabled and _has_one_thread()):
        return None
    work = partial(bounded_fork.infer, infer)
    return bounded_fork.run(work, size_bytes, bounded_fork.seconds(size_bytes))


def disable() -> None:
    """Disable trials in this process: it serves one model, and may crash with it."""
    _TRIALS.is_enabled = False


def _has_one_thread() -> bool:
    """Return whether this process surely has a single thread, counting those of native code."""
    found = threads()
    return found is not None and len(found) == 1


class _Trials:
    """The results of this process, and the process that tries files for it."""

    def __init__(self) -> None:
        self.server = TrialServer()
        self.is_enabled = hasattr(os, "fork")
        self._lock = threading.Lock()
        self._results: dict[bytes, Any] = {}
        self._is_registered = False

    def run(self, work: str, content: bytes, trust: Trust, file_bytes: int) -> Any:
        """Return the result of work on a pickle, from the cache if possible.

        :raises BrokenModel: if its process crashes or exceeds its limits.
        """
        key = _key(work, content, trust)
        with self._lock:
            if key not in self._results:
                most = bounded_fork.seconds(min(len(content), bounded_fork.EXPANSION * file_bytes))
                result = self._run(work, content, trust, most)
                if len(self._results) >= REMEMBERED:
                    self._results.clear()
                self._results[key] = result
            return self._results[key]

    def get(self, work: str, content: bytes, trust: Trust) -> Any:
        """Return the cached result of the same work; ``None`` if there is none."""
        return self._results.get(_key(work, content, trust))

    def _run(self, work: str, content: bytes, trust: Trust, most: float) -> Any:
        if not self._is_registered:
            atexit.register(self.server.end)
            os.register_at_fork(after_in_child=self._reset)
            self._is_registered = True
        if work == "schemas":
            # Libraries may start threads when they are imported.
            bounded_fork.import_libraries(scan.Names(*self._names(content, most)))
        if not _has_one_thread():
            return self.server.run(work, content, trust, most)
        return bounded_fork.run(
            partial(bounded_fork.WORK[work], content, trust), len(content), most
        )

    def _names(self, content: bytes, most: float) -> Any:
        if len(content) <= SHORT_BYTES:
            return bounded_fork.names(content)
        return self.get("names", content, ()) or self._run("names", content, (), most)

    def _reset(self) -> None:
        """Reset, in a fork, the lock and the reference to the parent's server."""
        self._lock = threading.Lock()
        self.server.end()


def _key(work: str, content: bytes, trust: Trust) -> bytes:
    return hashlib.sha256(json.dumps([work, trust]).encode() + b"\n" + content).digest()


_TRIALS = _Trials()

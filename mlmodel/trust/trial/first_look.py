"""Build a pickle in another process first, since building it may crash.

The allow-list includes native code, which forged numbers can crash or keep busy forever. So a file
is scanned, built and its schemas are inferred in a separate process first. A process with one
thread forks itself for that; one with several uses a
:class:`~mlmodel.trust.trial.trial_server.Substitute`, which has a single thread.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlmodel.errors import BrokenModel
from mlmodel.trust import Trust, scan
from mlmodel.trust.trial import bounded_fork
from mlmodel.trust.trial.bounded_fork import Outcome
from mlmodel.trust.trial.trial_server import Substitute

#: Results kept by this process and its forks.
REMEMBERED = 200

#: Maximum bytes of a pickle that is scanned in this process, which is faster than in a fork.
SHORT_BYTES = 1 << 15

_TASKS = Path("/proc/self/task")
_REASONS = {
    Outcome.TOO_LARGE: "building it takes more memory than a model of its size should",
    Outcome.TOO_LONG: "building it takes more time than a model of its size should",
    Outcome.CRASHED: "building it crashes the interpreter",
}


def names(content: bytes, file_bytes: int) -> scan.Names:
    """Return the names in a pickle, scanned in another process if the pickle is large.

    :param content: not compressed.
    :param file_bytes: the size of the file, which may be compressed.
    :raises BrokenModel: if that takes too much time or memory.
    """
    if len(content) <= SHORT_BYTES or not _LOOKS.are_needed:
        return scan.names(content)
    found, others, is_whole = _LOOKS.result("names", content, (), file_bytes)
    pairs = tuple((module, name) for module, name in found)
    return scan.Names(pairs, tuple(others), bool(is_whole))


def look(content: bytes, trust: Trust, file_bytes: int = 1 << 20) -> None:
    """Build a pickle in another process first, unless the same one was built before.

    Without ``os.fork``, there is no first look. Thread-safe; one file is tried at a time.

    :param content: not compressed.
    :param file_bytes: the size of the file, which may be compressed.
    :raises BrokenModel: if that process crashes or exceeds its limits. Other errors are left to the
        actual build.
    """
    if _LOOKS.are_needed:
        _LOOKS.result("schemas", content, trust, file_bytes)


def schemas(content: bytes, trust: Trust) -> Any:
    """Return the schemas that :func:`look` found, as JSON; ``None`` if it found none.

    :param content: not compressed.
    """
    return _LOOKS.known("schemas", content, trust)


def inferred(work: Callable[[], Any], size_bytes: int) -> Any:
    """Return the JSON that work on a built model returns; ``None`` if it raises an error.

    The work runs in a fork, and only in a process with one thread, which may fork workers later: a
    thread pool that the model starts would be missing in them. Otherwise it returns ``None``.

    :raises BrokenModel: if the fork crashes or exceeds its limits.
    """
    if not (_LOOKS.are_needed and has_one_thread()):
        return None
    outcome, result = bounded_fork.run(work, size_bytes, bounded_fork.seconds(size_bytes))
    _raise(outcome)
    return result


def look_in_this_process() -> None:
    """Disable first looks in this process: it serves one model, and may crash with it."""
    _LOOKS.are_needed = False


def has_one_thread() -> bool:
    """Return whether this process surely has a single thread, counting those of native code."""
    return _TASKS.is_dir() and len(list(_TASKS.iterdir())) == 1


class _Looks:
    def __init__(self) -> None:
        self.substitute = Substitute()
        self.are_needed = hasattr(os, "fork")
        self._lock = threading.Lock()
        self._fine: dict[bytes, Any] = {}
        self._is_registered = False

    def result(self, work: str, content: bytes, trust: Trust, file_bytes: int) -> Any:
        """Return the result of work on a pickle, from the cache if possible.

        :raises BrokenModel: if its process crashes or exceeds its limits.
        """
        question = _question(work, content, trust)
        with self._lock:
            if question not in self._fine:
                most = bounded_fork.seconds(min(len(content), bounded_fork.EXPANSION * file_bytes))
                outcome, result = self._tried(work, content, trust, most)
                _raise(outcome)
                if len(self._fine) >= REMEMBERED:
                    self._fine.clear()
                self._fine[question] = result
            return self._fine[question]

    def known(self, work: str, content: bytes, trust: Trust) -> Any:
        """Return the cached result of the same work; ``None`` if there is none."""
        return self._fine.get(_question(work, content, trust))

    def _tried(self, work: str, content: bytes, trust: Trust, most: float) -> tuple[Outcome, Any]:
        if not self._is_registered:
            os.register_at_fork(after_in_child=self._start_anew)
            self._is_registered = True
        if work == "schemas":
            # Libraries may start threads when they are imported.
            bounded_fork.import_libraries(scan.Names(*self._names(content, most)))
        if not has_one_thread():
            return self.substitute.outcome(work, content, trust, most)
        if work == "names":
            return bounded_fork.run(lambda: bounded_fork.names(content), len(content), most)
        return bounded_fork.run(lambda: bounded_fork.schemas(content, trust), len(content), most)

    def _names(self, content: bytes, most: float) -> Any:
        if len(content) <= SHORT_BYTES:
            return bounded_fork.names(content)
        known = self.known("names", content, ())
        if known is None:
            outcome, known = self._tried("names", content, (), most)
            _raise(outcome)
        return known

    def _start_anew(self) -> None:
        """Reset, in a fork, the lock and the reference to the parent's substitute."""
        self._lock = threading.Lock()
        self.substitute.forget()


def _question(work: str, content: bytes, trust: Trust) -> bytes:
    return hashlib.sha256(json.dumps([work, trust]).encode() + b"\n" + content).digest()


def _raise(outcome: Outcome) -> None:
    if outcome in _REASONS:
        raise BrokenModel(_REASONS[outcome])


_LOOKS = _Looks()

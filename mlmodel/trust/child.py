"""A first look at a pickle in a process that may die of it.

What is allowed is native code as well, and numbers that nobody wrote can crash it, or keep it busy
for ever. So a file is built, and asked for its schemas, in a process of its own first. A process
that has one thread forks itself for that; one that has several asks a
:class:`~mlmodel.trust.substitute.Substitute` that has none of theirs.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path

from mlmodel.errors import BrokenModel
from mlmodel.trust import Trust, trying
from mlmodel.trust.substitute import Substitute
from mlmodel.trust.trying import Outcome

#: Pickles that were fine and are not tried again, by this process and those that it forks.
REMEMBERED = 1000

_TASKS = Path("/proc/self/task")
_REASONS = {
    Outcome.TOO_LARGE: "building it takes more memory than a model of its size should",
    Outcome.TOO_LONG: "building it takes more time than a model of its size should",
    Outcome.CRASHED: "building it crashes the interpreter",
}


def look(content: bytes, trust: Trust) -> None:
    """Build a pickle in another process first, unless one like it has been built before.

    Where processes cannot be forked, there is no first look. Any thread may call; one file is
    looked at at a time.

    :param content: not compressed.
    :raises BrokenModel: if that process dies of it. What else is wrong, building tells.
    """
    if not hasattr(os, "fork"):
        return
    outcome = _LOOKS.outcome(content, trust)
    if outcome in _REASONS:
        raise BrokenModel(_REASONS[outcome])


class _Looks:
    def __init__(self) -> None:
        self.substitute = Substitute()
        self._lock = threading.Lock()
        self._fine: set[bytes] = set()
        self._is_registered = False

    def outcome(self, content: bytes, trust: Trust) -> Outcome:
        """Return what became of a pickle, or what became of the same one before."""
        question = hashlib.sha256(json.dumps(trust).encode() + b"\n" + content).digest()
        with self._lock:
            if question in self._fine:
                return Outcome.FINE
            found = self._tried(content, trust)
            if found is Outcome.FINE:
                self._remember(question)
            return found

    def _tried(self, content: bytes, trust: Trust) -> Outcome:
        if not self._is_registered:
            os.register_at_fork(after_in_child=self._start_anew)
            self._is_registered = True
        # Libraries may start threads when they are imported.
        trying.import_libraries(content)
        if _has_one_thread():
            return trying.outcome(content, trust)
        return self.substitute.outcome(content, trust)

    def _remember(self, question: bytes) -> None:
        if len(self._fine) >= REMEMBERED:
            self._fine.clear()
        self._fine.add(question)

    def _start_anew(self) -> None:
        """Take no notice of what the process was about that has been forked."""
        self._lock = threading.Lock()
        self.substitute.forget()


def _has_one_thread() -> bool:
    """Say whether this process surely has one thread alone; those of native code count too."""
    return _TASKS.is_dir() and len(list(_TASKS.iterdir())) == 1


_LOOKS = _Looks()

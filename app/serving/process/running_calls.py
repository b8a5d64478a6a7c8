"""Record of the models whose code runs in a process, to find suspects after a crash.

Each process maps a file in the folder that all processes of a server share. The file outlives a
crash, and the next process reads it. A process that ends normally removes its file.

A file has a slot for each model: the start of its last running call (0 if none runs), the total
duration of its ended calls, its fingerprint, and its name.
"""

from __future__ import annotations

import mmap
import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.util import Finalize
from operator import itemgetter
from pathlib import Path

from app.serving.process.processes import is_alive

#: Models of a process with a slot, including the old ones of a reload. Others share one slot.
MAX_MODELS = 1000
WORD_BYTES = 8
FINGERPRINT_BYTES = 64
NAME_BYTES = 120
TIMES_BYTES = 2 * WORD_BYTES
SLOT_BYTES = TIMES_BYTES + FINGERPRINT_BYTES + NAME_BYTES
SIZE_BYTES = (MAX_MODELS + 1) * SLOT_BYTES
RUNNING = ".running"


@dataclass(frozen=True)
class Suspect:
    """A model whose code ran in a process that crashed."""

    fingerprint: str
    name: str


class CallRecord:
    """Records when the running call of each model began, and how long all took. Thread safe.

    ``times[place]`` is the start of a model's last call, in nanoseconds since the epoch, and
    ``times[place + 1]`` the total duration of its calls that have ended, in nanoseconds. Only the
    model itself writes them, under its own lock.
    """

    def __init__(self) -> None:
        self._slots = memoryview(bytearray(SIZE_BYTES))
        self.times = self._slots.cast("Q")
        self._free = deque(range(MAX_MODELS))
        self._pid = 0

    @property
    def is_open(self) -> bool:
        """Whether this process has opened its file."""
        return self._pid == os.getpid()

    def add(self) -> int:
        """Return a place for a model. Models share the last place when no other is free."""
        slot = self._free.popleft() if self._free else MAX_MODELS
        return slot * SLOT_BYTES // WORD_BYTES

    def identify(self, place: int, suspect: Suspect) -> None:
        """Record which model has a place."""
        at = place * WORD_BYTES + TIMES_BYTES
        name = suspect.name.encode()[:NAME_BYTES].ljust(NAME_BYTES, b"\0")
        fingerprint = suspect.fingerprint.encode()[:FINGERPRINT_BYTES].ljust(FINGERPRINT_BYTES)
        self._slots[at : at + FINGERPRINT_BYTES + NAME_BYTES] = fingerprint + name

    def remove(self, place: int) -> None:
        """Free a place. The garbage collector may call this at any time, so it takes no lock."""
        self.times[place] = self.times[place + 1] = 0
        slot = place * WORD_BYTES // SLOT_BYTES
        if slot < MAX_MODELS:
            self._free.append(slot)

    def open(self, folder: Path) -> None:
        """Map this process's file in a folder until the process ends.

        :raises OSError: if the file cannot be written, for example on a full disk.
        """
        if self.is_open:
            return
        file = folder / f"{os.getpid()}{RUNNING}"
        new = file.with_suffix(f"{RUNNING}.new")
        try:
            # Not only the length: memory without blocks is unwritable.
            new.write_bytes(self._slots)
            new.replace(file)  # whole: other processes read it, and also after a crash
        finally:
            new.unlink(missing_ok=True)
        with file.open("r+b") as stream:
            self._slots = memoryview(mmap.mmap(stream.fileno(), SIZE_BYTES))
        self.times = self._slots.cast("Q")
        self._pid = os.getpid()
        # Unlike a function of atexit, this does not run in processes that this one forks.
        Finalize(None, file.unlink, kwargs={"missing_ok": True}, exitpriority=0)

    @contextmanager
    def running(self, place: int) -> Iterator[None]:
        """Record that a model's code runs in the block. No other call of it may run."""
        self.times[place] = time.time_ns()
        try:
            yield
        finally:
            self.times[place] = 0


#: The record of this process.
record = CallRecord()


def take_crashes(folder: Path) -> list[list[Suspect]]:
    """Return the suspects of each crashed process, and delete the records.

    The least suspect comes first: it is the one whose calls took the longest time in total. While
    a model runs half of the time, half of the crashes that other models cause happen meanwhile.

    Only one process may call this at a time.
    """
    found = []
    for file in _find_files_of_crashes(folder):
        found.append(_read_suspects(file))
        file.unlink(missing_ok=True)
    return [suspects for suspects in found if suspects]


def has_crashes(folder: Path) -> bool:
    """Return whether :func:`take_crashes` would return any."""
    return any(map(_read_suspects, _find_files_of_crashes(folder)))


def _find_files_of_crashes(folder: Path) -> Iterator[Path]:
    for file in folder.glob(f"*{RUNNING}"):
        pid = int(file.stem)
        # A file with this PID is from an earlier process, unless this process opened it.
        if not (record.is_open if pid == os.getpid() else is_alive(pid)):
            yield file


def _read_suspects(file: Path) -> list[Suspect]:
    try:
        content = file.read_bytes()
    except OSError:  # another process has deleted it
        return []
    slots = [content[at : at + SLOT_BYTES] for at in range(0, MAX_MODELS * SLOT_BYTES, SLOT_BYTES)]
    now = time.time_ns()
    suspects = []
    for slot in slots:
        start, ended = memoryview(slot)[:TIMES_BYTES].cast("Q")
        if start:
            text = slot[TIMES_BYTES:].decode(errors="replace")
            name = text[FINGERPRINT_BYTES:].rstrip("\0")
            suspects.append((now - start + ended, Suspect(text[:FINGERPRINT_BYTES].strip(), name)))
    return [suspect for _, suspect in sorted(suspects, key=itemgetter(0), reverse=True)]

"""Which models' code runs in a process just now, for those who find that it has died.

Each process keeps two files in the folder that all processes of a server see: how many calls of
each model run, in memory that outlives it; and the models' names. Whoever comes after it reads
them. A process that ends as it should takes them away.
"""

from __future__ import annotations

import json
import mmap
import os
import threading
from array import array
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.util import Finalize
from pathlib import Path

from app.serving.processes import is_alive

#: Models of a process that are watched, the old ones of a reload too. Any others are not.
MOST = 4096
RUNNING = ".running"
NAMES = ".names"


@dataclass(frozen=True)
class Suspect:
    """A model whose code ran in a process when it died.

    ``identity`` says of which entry it is, whatever else is known; ``name`` is what it is called.
    """

    identity: str
    name: str


class Ledger:
    """Counts the calls that run. Any thread may call any method.

    ``counts`` has a number for each place; only the model that has :meth:`entered` there changes
    it, under its own lock.
    """

    def __init__(self) -> None:
        self.counts = memoryview(array("Q", bytes(8 * MOST)))
        self._suspects: dict[int, Suspect] = {}
        #: Places that nobody needs any more, until somebody wants one.
        self._left: deque[int] = deque()
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._pid = 0

    @property
    def is_open(self) -> bool:
        """Whether this process has files."""
        return self._pid == os.getpid()

    def enter(self, suspect: Suspect) -> int:
        """Return a place for a model. The last is for all who come when there is none."""
        with self._lock:
            while self._left:
                gone = self._left.popleft()
                self._suspects.pop(gone, None)
                self.counts[gone] = 0
            places = (place for place in range(MOST - 1) if place not in self._suspects)
            place = next(places, MOST - 1)
            if place < MOST - 1:
                self._suspects[place] = suspect
        self._write()
        return place

    def rename(self, place: int, suspect: Suspect) -> None:
        """Let the model of a place be known as another from now on."""
        if self._suspects.get(place) not in (None, suspect):
            self._suspects[place] = suspect
            self._write()

    def leave(self, place: int) -> None:
        """Take back a place. The garbage collector may call this in the middle of anything else."""
        self._left.append(place)

    def open(self, folder: Path) -> None:
        """Keep this process' files in a folder, as long as it lives."""
        if self.is_open:
            return
        self._lock = threading.Lock()  # whoever held it before a fork is not here
        file = folder / f"{os.getpid()}{RUNNING}"
        # Written, not made as long: memory of a file without blocks cannot be written to.
        file.write_bytes(bytes(8 * MOST))
        with file.open("r+b") as stream:
            self.counts = memoryview(mmap.mmap(stream.fileno(), 8 * MOST)).cast("Q")
        self._folder, self._pid = folder, os.getpid()
        self._write()
        # Unlike atexit, it is heeded by processes of multiprocessing, as granian's are, too.
        Finalize(None, _remove, (folder, self._pid), exitpriority=0)

    @contextmanager
    def running(self, place: int) -> Iterator[None]:
        """Say that a model's code runs as long as the block lasts. Nobody may ask it meanwhile."""
        self.counts[place] = 1
        try:
            yield
        finally:
            self.counts[place] = 0

    def _write(self) -> None:
        if self._folder is None or not self.is_open:
            return
        with self._lock:
            names = {place: [each.identity, each.name] for place, each in self._suspects.items()}
            new = self._folder / f"{self._pid}{NAMES}.new"
            with suppress(OSError):  # without room, its crashes are not counted
                new.write_text(json.dumps(names), encoding="utf-8")
                new.replace(self._folder / f"{self._pid}{NAMES}")


#: That of this process.
ledger = Ledger()


def deaths(folder: Path) -> list[list[Suspect]]:
    """Return, for each process that has died, whose code ran in it. They are told once.

    To be called by one process at a time.
    """
    found = []
    for file in _of_the_dead(folder):
        found.append(_suspects(file))
        _remove(folder, int(file.stem))
    return [suspects for suspects in found if suspects]


def are_untold(folder: Path) -> bool:
    """Tell whether models' code ran in a process that has died, and nobody was told yet."""
    return any(map(_suspects, _of_the_dead(folder)))


def _of_the_dead(folder: Path) -> Iterator[Path]:
    for file in folder.glob(f"*{RUNNING}"):
        pid = int(file.stem)
        # One that had the number of this process is another, as long as this one has no files.
        if not (ledger.is_open if pid == os.getpid() else is_alive(pid)):
            yield file


def _suspects(file: Path) -> list[Suspect]:
    try:
        names = json.loads(file.with_suffix(NAMES).read_text(encoding="utf-8"))
        counts = memoryview(file.read_bytes()).cast("Q")
        return [Suspect(*name) for place, name in names.items() if counts[int(place)]]
    except (OSError, ValueError, IndexError):  # it has died before it could write them
        return []


def _remove(folder: Path, pid: int) -> None:
    for ending in (RUNNING, NAMES):
        (folder / f"{pid}{ending}").unlink(missing_ok=True)

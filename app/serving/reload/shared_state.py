"""What all processes of a server see: which models are wanted, and how far each process is.

It is a folder. Whoever changes what is wanted holds its lock, which goes with a process that dies;
whoever reads finds all of it or none of a change.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from app.serving.catalog.fingerprint import stamp
from app.serving.errors import NoRoom
from app.serving.process.processes import is_alive
from app.serving.process.quarantine import Quarantined

#: The variable that names the folder, which the server makes before it starts its processes.
FOLDER = "WANTED_MODELS_DIR"
#: The file that the server touches when it is told to reload (SIGHUP).
HANG_UP = "hang-up"
#: Seconds between two looks at how far the others are.
LOOK_SECONDS = 0.02
#: The file that becomes what is wanted, and bytes by which that may grow in one change.
NEW = "wanted.new"
SPARE_BYTES = 1 << 18

log = logging.getLogger(__name__)

Order = Literal["load", "unload", "reload"]


@dataclass(frozen=True)
class Wanted:
    """Which models are wanted. Whatever changes that makes another generation of it."""

    generation: int = 0
    #: What stood in ``models.yaml`` when it was last read without a mistake.
    text: str | None = None
    #: The generation in which that was.
    read: int = 0
    #: By the models' labels, what was last ordered for one, and in which generation.
    orders: Mapping[str, tuple[int, Order]] = field(default_factory=dict)
    #: The mistakes for which a later ``models.yaml`` was refused.
    mistakes: tuple[str, ...] = ()
    #: The stamps of ``models.yaml`` and of the file that asks for it, as they were last seen.
    seen: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    #: When processes have crashed lately, and the fingerprints of the models that ran in them.
    crashes: tuple[tuple[float, tuple[str, ...]], ...] = ()
    #: The models in quarantine, by their fingerprints.
    aside: Mapping[str, Quarantined] = field(default_factory=dict)


class Board:
    """Shows what is wanted.

    :param folder: where; without it, to this process alone.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._given = folder
        self._own = Wanted()
        self._lock = threading.Lock()
        self._read: tuple[tuple[int, ...], Wanted] = (), Wanted()
        #: By the process that has said so: a forked one has not.
        self._reported: dict[int, int] = {}

    @property
    def is_shared(self) -> bool:
        """Whether other processes look at it."""
        return self._given is not None

    @property
    def hang_up(self) -> tuple[int, ...]:
        """The stamp of the file that asks for a reload; empty, if nobody ever has."""
        return stamp(self._folder / HANG_UP) if self._given else ()

    @property
    def folder(self) -> Path | None:
        """Where it is, if other processes look at it."""
        return Path(self._given) if self._given else None

    @contextmanager
    def changing(self, seconds: float | None = None) -> Iterator[Wanted]:
        """Return what is wanted; nobody else changes it as long as the block lasts.

        :param seconds: for how long to wait for those who change it now.
        :raises TimeoutError: if they take longer.
        """
        if self._given is None:
            with self._lock:
                yield self._own
            return
        with self._locked(seconds):
            wanted = self.read()
            self._reserve(wanted)
            yield wanted

    @contextmanager
    def _locked(self, seconds: float | None) -> Iterator[None]:
        try:
            lock = (self._folder / "lock").open("w")
        except OSError as error:
            raise NoRoom(error) from error
        with lock:
            _take(lock, seconds)
            try:
                yield
            finally:
                # Closing would not do, if a process was forked meanwhile.
                fcntl.flock(lock, fcntl.LOCK_UN)

    def _reserve(self, wanted: Wanted) -> None:
        """Allocate what the next change will need, so that it is not made in this process alone."""
        if not hasattr(os, "posix_fallocate"):
            return
        size = SPARE_BYTES + 2 * len(json.dumps(asdict(wanted)))
        try:
            with (self._folder / NEW).open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            with suppress(OSError):
                (self._folder / NEW).unlink()
            raise NoRoom(error) from error

    def read(self) -> Wanted:
        """Return what is wanted."""
        if self._given is None:
            return self._own
        file = self._folder / "wanted.json"
        now = stamp(file)
        # If somebody has swept it away, what was read last goes on.
        if now and now != self._read[0]:
            self._read = now, _wanted(json.loads(file.read_text(encoding="utf-8")))
        return self._read[1]

    def write(self, wanted: Wanted) -> None:
        """Show what is wanted, to be called while it is changed."""
        if self._given is None:
            self._own = wanted
            return
        # In place at once, and in blocks that are reserved: whoever reads it finds it whole.
        new = self._folder / NEW
        with new.open("r+b" if new.exists() else "wb") as file:
            file.write(json.dumps(asdict(wanted)).encode())
            file.truncate()
        new.replace(self._folder / "wanted.json")

    def keep(self) -> None:
        """Keep those from sweeping it away who look for temporary files that nobody uses."""
        for file in (self._folder, *self._folder.iterdir()) if self.is_shared else ():
            with suppress(OSError):
                # The time of its last change tells others whether they know it already.
                os.utime(file, ns=(time.time_ns(), file.stat().st_mtime_ns))

    def report(self, generation: int) -> None:
        """Say how far this process is, if others want to know."""
        if self.is_shared and generation != self._reported.get(os.getpid()):
            self._reported = {os.getpid(): generation}
            self._say(generation)

    def _say(self, generation: int) -> None:
        file = self._folder / f"{os.getpid()}.at"
        new = file.with_suffix(".new")
        try:
            new.write_text(str(generation), encoding="utf-8")
            new.replace(file)
        except OSError as error:
            log.error("other processes cannot see how far this one is: %s", error)

    def followers(self, generation: int) -> tuple[int, int]:
        """Return how many processes are as far, and how many there are."""
        reached = []
        if self._given is None:
            return 0, 0
        for file in self._folder.glob("*.at"):
            if is_alive(int(file.stem)):
                with suppress(OSError):
                    reached.append(int(file.read_text()))
        return sum(each >= generation for each in reached), len(reached)

    def await_followers(self, generation: int, seconds: float) -> tuple[int, int]:
        """Return the same, when all are as far or some seconds are over."""
        end = time.monotonic() + seconds
        following, count = self.followers(generation)
        while following < count and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)
            following, count = self.followers(generation)
        return following, count

    @property
    def _folder(self) -> Path:
        return Path(self._given or "")


def _wanted(said: Mapping[str, Any]) -> Wanted:
    orders = {label: tuple(order) for label, order in said["orders"].items()}
    seen = tuple(map(tuple, said["seen"]))
    aside = {identity: Quarantined(**each) for identity, each in said["aside"].items()}
    crashes = tuple((at, tuple(crash)) for at, crash in said["crashes"])
    known = {"orders": orders, "aside": aside, "crashes": crashes}
    known |= {"mistakes": tuple(said["mistakes"]), "seen": seen}
    return Wanted(**{**said, **known})


def _take(lock: IO[str], seconds: float | None) -> None:
    if seconds is None:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise TimeoutError from None
            time.sleep(LOOK_SECONDS)
        else:
            return

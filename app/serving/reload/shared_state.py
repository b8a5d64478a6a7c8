"""State that all processes of a server share: the desired state, and which of it each has applied.

It is a folder, see :class:`~app.serving.process.shared_file.SharedFile`.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from app.serving.catalog.fingerprint import stamp
from app.serving.errors import NoRoom, StateDamaged
from app.serving.models.state import Quarantined
from app.serving.process.processes import is_alive
from app.serving.process.shared_file import SharedFile

#: Environment variable with the folder, which the server creates before it starts its processes.
FOLDER = "SHARED_STATE_DIR"
#: The file that the server touches on SIGHUP to request a reload.
RELOAD_REQUEST = "reload-request"
#: Seconds between two checks of the other processes.
LOOK_SECONDS = 0.02
#: The file of the desired state, and how many bytes a change may add to it.
FILE = "desired.json"
SPARE_BYTES = 1 << 18

log = logging.getLogger(__name__)

Order = Literal["load", "unload", "reload"]
Stamps = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class DesiredState:
    """The desired state of the models. Each change of the models makes a new generation."""

    generation: int = 0
    #: The text of ``models.yaml`` when it was last read without a mistake.
    text: str | None = None
    #: The generation in which the text was read.
    text_generation: int = 0
    #: By unique name of the model, the last order for it, with its generation.
    orders: Mapping[str, tuple[int, Order]] = field(default_factory=dict)
    #: The mistakes for which a later ``models.yaml`` was rejected.
    mistakes: tuple[str, ...] = ()
    #: The stamps of ``models.yaml`` and of :data:`RELOAD_REQUEST` when the text was last read.
    stamps: Stamps = ((), ())
    #: The times of recent crashes, and the fingerprints of the models that ran in them.
    crashes: tuple[tuple[float, tuple[str, ...]], ...] = ()
    #: The models in quarantine, by fingerprint.
    quarantined: Mapping[str, Quarantined] = field(default_factory=dict)

    def with_order(self, unique_name: str, order: Order) -> DesiredState:
        """Return the next generation, with an order for a model."""
        generation = self.generation + 1
        orders = {**self.orders, unique_name: (generation, order)}
        return replace(self, generation=generation, orders=orders)

    def with_only(self, names: Collection[str], fingerprints: Collection[str]) -> DesiredState:
        """Return this state without orders for other models, or their quarantine."""
        orders = {name: order for name, order in self.orders.items() if name in names}
        quarantined = {key: entry for key, entry in self.quarantined.items() if key in fingerprints}
        return replace(self, orders=orders, quarantined=quarantined)


class SharedState:
    """The shared state: reads and writes the desired state. Thread safe.

    Reading takes no lock.

    :param folder: the folder of the state; if ``None``, this process shares it with no other.
    """

    def __init__(self, folder: str | None = None) -> None:
        #: The folder of the state; ``None`` if it is not shared.
        self.folder = Path(folder) if folder else None
        self._file = SharedFile(self.folder, FILE)
        self._read: tuple[tuple[int, ...], DesiredState] = (), DesiredState()
        #: The stamp of a damaged file, which is logged once.
        self._damaged: tuple[int, ...] = ()
        #: The last reported generation by PID, so that a forked process reports its own.
        self._reported: dict[int, int] = {}

    @property
    def reload_request(self) -> tuple[int, ...]:
        """The stamp of the file that requests a reload; empty before the first request."""
        return stamp(self.folder / RELOAD_REQUEST) if self.folder else ()

    @contextmanager
    def lock(self, seconds: float | None = None) -> Iterator[DesiredState]:
        """Return the desired state, locked against other writers during the block.

        :param seconds: how long to wait for the lock; ``None`` for no limit.
        :raises TimeoutError: if another writer holds the lock for longer.
        :raises NoRoom: if the folder has no room for the next change: this process must not apply
            it and fail to publish.
        :raises StateDamaged: if the file of the state is damaged.
        """
        with ExitStack() as locks:
            try:
                locks.enter_context(self._file.lock(seconds))
                desired = self.read()
                if self.folder and self._damaged and stamp(self.folder / FILE) == self._damaged:
                    raise StateDamaged(FILE)
                self._file.reserve(SPARE_BYTES + 2 * len(json.dumps(asdict(desired))))
            except TimeoutError:
                raise
            except OSError as error:
                raise NoRoom(error) from error
            yield desired

    def read(self) -> DesiredState:
        """Return the desired state: the last that could be read, initially an empty one."""
        if self.folder is None:
            return _from_json(self._file.read()) or DesiredState()
        now = stamp(self.folder / FILE)
        # If a cleaner of temporary files has deleted the file, the last read state stays valid.
        if now and now not in (self._read[0], self._damaged):
            desired = _from_json(self._file.read())
            if desired:
                self._read = now, desired
            else:
                self._damaged = now
                log.error(
                    "%s is damaged: the models cannot change; restart the server",
                    self.folder / FILE,
                )
        return self._read[1]

    def write(self, desired: DesiredState) -> None:
        """Publish a desired state. Call this within :meth:`lock`."""
        self._file.write(asdict(desired))

    def mark_in_use(self) -> None:
        """Mark the files as in use, so that cleaners of temporary files keep them."""
        for file in (self.folder, *self.folder.iterdir()) if self.folder else ():
            with suppress(OSError):
                # Keep the time of the last change: other processes detect changes by it.
                os.utime(file, ns=(time.time_ns(), file.stat().st_mtime_ns))

    def report(self, generation: int) -> None:
        """Publish the generation that this process has applied, if the state is shared."""
        if self.folder is None or generation == self._reported.get(os.getpid()):
            return
        self._reported = {os.getpid(): generation}
        file = self.folder / f"{os.getpid()}.at"
        new = file.with_suffix(".new")
        try:
            new.write_text(str(generation), encoding="utf-8")
            new.replace(file)
        except OSError as error:
            log.error("failed to publish that this process has applied the reload: %s", error)

    def count_followers(self, generation: int) -> tuple[int, int]:
        """Return how many processes have applied a generation, and how many there are."""
        reached = []
        for file in self.folder.glob("*.at") if self.folder else ():
            if is_alive(int(file.stem)):
                with suppress(OSError):
                    reached.append(int(file.read_text()))
        return sum(each >= generation for each in reached), len(reached)

    def await_followers(self, generation: int, wait_seconds: float) -> tuple[int, int]:
        """Return :meth:`count_followers` once all have applied it, or after ``wait_seconds``."""
        end = time.monotonic() + wait_seconds
        following, count = self.count_followers(generation)
        while following < count and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)
            following, count = self.count_followers(generation)
        return following, count


def _from_json(members: Mapping[str, Any]) -> DesiredState | None:
    """Return the state in a document; ``None`` if members are missing or have other types."""
    try:
        quarantined = {key: Quarantined(**entry) for key, entry in members["quarantined"].items()}
        return DesiredState(
            generation=members["generation"],
            text=members["text"],
            text_generation=members["text_generation"],
            orders={name: tuple(order) for name, order in members["orders"].items()},
            mistakes=tuple(members["mistakes"]),
            stamps=(tuple(members["stamps"][0]), tuple(members["stamps"][1])),
            crashes=tuple((at, tuple(crash)) for at, crash in members["crashes"]),
            quarantined=quarantined,
        )
    except (AttributeError, LookupError, TypeError, ValueError):
        return None

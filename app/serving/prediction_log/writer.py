"""Writes predictions to the log: a bounded queue, which never blocks, and a thread."""

from __future__ import annotations

import atexit
import json
import logging
import os
import sqlite3
import threading
import time
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import chain, compress, islice
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from app.serving.calls.caller import CALLER, CLI, Caller, create_request_id
from app.serving.prediction_log import month_files
from app.serving.prediction_log.policy import LogPolicy
from app.serving.process.metrics import DROPPED, WRITTEN, count_logged_rows

log = logging.getLogger(__name__)

#: Seconds after which a queued row is written at the latest.
COMMIT_SECONDS = 0.4
#: Number of rows in one commit, and of queued calls that are written without waiting.
COMMIT_ROWS = COMMIT_CALLS = 500
#: Bytes of JSON in the queue above which rows are dropped.
MAX_QUEUED_BYTES = 64_000_000
#: Number of files that a process keeps open.
MAX_OPEN_FILES = 32
#: A row of a job that two processes predict, one of which has lost its lease, is stored once.
COLUMNS = (
    *("time", "request_id", "row_index", "model", "version", "row", "prediction", "seconds"),
    *("runtime", "who", "source"),
)
INSERT = f"INSERT OR REPLACE INTO predictions ({', '.join(COLUMNS)}) VALUES "  # noqa: S608
VALUES = f"({', '.join('?' * len(COLUMNS))})"

#: Connections of a parent process. A child must not even close them, see sqlite.org/howtocorrupt.
_inherited: list[sqlite3.Connection] = []
#: Writers whose thread has started in this process.
_started: weakref.WeakSet[PredictionLog] = weakref.WeakSet()


class LoggedModel(NamedTuple):
    """The model of a prediction: its name, its unique name, its version and its runtime."""

    name: str
    unique_name: str
    version: str
    runtime: str


class _Call(NamedTuple):
    """One call: ``content`` has its rows and its predictions as JSON, to be read by ``parse``."""

    policy: LogPolicy
    model: LoggedModel
    caller: Caller
    time: float
    seconds: float
    indexes: Sequence[int]
    content: bytes
    parse: Callable[[bytes], Any]

    @property
    def places(self) -> Sequence[int]:
        """The line of each row in its file, or its index in the request."""
        lines = self.caller.lines
        return self.indexes if lines is None else [lines[index] for index in self.indexes]

    @property
    def are_sampled(self) -> Sequence[bool]:
        """Whether each row is logged."""
        policy, request_id = self.policy, self.caller.request_id
        return [policy.is_sampled(request_id, place) for place in self.places]

    def to_values(self) -> Iterable[tuple[Any, ...]]:
        """Return the values of :data:`COLUMNS` for each row that is logged."""
        policy, model, caller = self.policy, self.model, self.caller
        rows = zip(self.places, *self.parse(self.content), strict=True)
        for place, row, prediction in compress(rows, self.are_sampled):
            yield (
                self.time,
                caller.request_id,
                place,
                model.unique_name,
                model.version,
                to_stored_json(policy.strip(row)).decode(),
                to_stored_json(policy.strip(prediction)).decode(),
                self.seconds,
                model.runtime,
                caller.who,
                caller.source,
            )


class _Files:
    """The files that a process keeps open, each with its inode. For one thread at a time."""

    def __init__(self) -> None:
        self._connections: dict[Path, tuple[sqlite3.Connection, int]] = {}
        #: The files that could not be written, which is logged once.
        self._failing: set[Path] = set()

    @property
    def connections(self) -> list[sqlite3.Connection]:
        """The connections to all open files."""
        return [connection for connection, _ in self._connections.values()]

    def insert(self, path: Path, values: Sequence[tuple[Any, ...]]) -> bool:
        """Insert rows; return false if the file cannot be written."""
        try:
            connection = self._open(path)
            connection.execute("BEGIN IMMEDIATE")
            # One step for all rows: after each, sqlite3 waits for the interpreter, up to 5 ms.
            connection.execute(
                INSERT + ", ".join([VALUES] * len(values)), [*chain.from_iterable(values)]
            )
            connection.execute("COMMIT")
        except (OSError, sqlite3.Error, UnicodeError) as error:
            self._close(path)
            if path not in self._failing:
                log.error("cannot write to the prediction log %s; rows are lost: %s", path, error)
            self._failing.add(path)
            return False
        if path in self._failing:
            log.warning("the prediction log %s is written again", path)
        self._failing.discard(path)
        return True

    def _open(self, path: Path) -> sqlite3.Connection:
        """Return the connection of a file, a new one if the file was deleted meanwhile."""
        found = self._connections.get(path)
        with suppress(FileNotFoundError):
            if found is not None and path.stat().st_ino == found[1]:
                return found[0]
        for each in [*self._connections] if len(self._connections) >= MAX_OPEN_FILES else [path]:
            self._close(each)
        connection = month_files.create(path)
        self._connections[path] = connection, path.stat().st_ino
        return connection

    def _close(self, path: Path) -> None:
        found = self._connections.pop(path, None)
        if found is not None:
            with suppress(sqlite3.Error):
                found[0].close()


#: The members of a call, as :class:`_Call` has them: creating one takes as long as the rest.
_Queued = tuple[
    LogPolicy, LoggedModel, Caller, float, float, Sequence[int], bytes, Callable[[bytes], Any]
]


class PredictionLog:
    """The writer of one process. Thread safe.

    To append to the queue is atomic and needs no lock, so that ``_bytes`` is approximate. ``_lock``
    guards the start of the thread, ``_writing`` the files and the end of the queue. A forked
    process starts with an empty queue and without thread and open files: those of its parent write
    what the parent has queued.

    :param folder: of the files; created when the first row is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._queue: deque[_Queued] = deque()
        self._bytes = 0
        self._is_filled, self._is_urgent = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._files = _Files()
        #: Unique names of models whose rows could not be serialized, which is logged once.
        self._failing: set[str] = set()

    def reset_after_fork(self) -> None:
        """Forget what belongs to the parent process."""
        _inherited.extend(self._files.connections)
        self._reset()

    def add(
        self,
        policy: LogPolicy,
        model: LoggedModel,
        rows: Sequence[Any],
        predictions: Sequence[Any],
        *,
        seconds: float,
        indexes: Sequence[int] | None = None,
        end: float | None = None,
    ) -> None:
        """Queue the rows of a call. Does not wait for the disk, and raises no error.

        The rows are serialized here, all at once: the queue is bounded in bytes, and nothing can
        change the rows before they are written. The thread does everything else.

        :param seconds: the duration of the call.
        :param indexes: of the rows in the call; by default, all in order.
        :param end: of the request, in Unix seconds; by default, now.
        """
        caller = CALLER.get() or Caller(create_request_id(), None, CLI)
        if not caller.is_logged:
            return
        chosen = range(len(rows)) if indexes is None else indexes
        try:
            content, parse = _serialize(rows, predictions)
        except Exception:  # a prediction must not fail because of its log
            self._fail(model, len(rows))
            return
        call = policy, model, caller, end or time.time(), seconds, chosen, content, parse
        if self._bytes >= MAX_QUEUED_BYTES:
            count_logged_rows(model.unique_name, DROPPED, sum(_Call(*call).are_sampled))
            return
        self._queue.append(call)
        size = len(content)
        self._bytes += size
        if not self._is_filled.is_set() or len(self._queue) >= COMMIT_CALLS:
            self._wake()

    def flush(self) -> None:
        """Write all queued rows now."""
        with self._writing:
            while calls := self._take():
                self._write(calls)

    def _fail(self, model: LoggedModel, rows: int) -> None:
        if model.unique_name not in self._failing:
            log.exception("predictions of %r are not logged", model.unique_name)
        self._failing.add(model.unique_name)
        count_logged_rows(model.unique_name, DROPPED, rows)

    def _wake(self) -> None:
        """Wake the thread. If it cannot start at the system's limit, a later row tries again."""
        with self._lock:
            if self._thread is None:
                self._start()
        if self._thread is not None:
            self._is_filled.set()
            if len(self._queue) >= COMMIT_CALLS and not self._is_urgent.is_set():
                self._is_urgent.set()

    def _start(self) -> None:
        _started.add(self)
        thread = threading.Thread(target=self._run, name="prediction log", daemon=True)
        with suppress(RuntimeError):
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        while True:
            self._is_filled.wait()
            self._is_urgent.wait(COMMIT_SECONDS)
            self._is_urgent.clear()
            self._is_filled.clear()
            try:
                self.flush()
            except Exception:  # the thread must continue
                log.exception("rows of the prediction log are lost")

    def _take(self) -> list[_Call]:
        self._bytes = 0
        return [_Call(*self._queue.popleft()) for _ in range(len(self._queue))]

    def _write(self, calls: Sequence[_Call]) -> None:
        by_file: dict[Path, list[_Call]] = defaultdict(list)
        for call in calls:
            by_file[month_files.get_path(self.folder, call.model.name, call.time)].append(call)
        for path, those in by_file.items():
            values = (each for call in those for each in call.to_values())
            while some := list(islice(values, COMMIT_ROWS)):
                outcome = WRITTEN if self._files.insert(path, some) else DROPPED
                _count(some, outcome)


def _serialize(
    rows: Sequence[Any], predictions: Sequence[Any]
) -> tuple[bytes, Callable[[bytes], Any]]:
    """Return rows and predictions as JSON, and the function that reads it without a change."""
    try:
        return orjson.dumps((rows, predictions)), orjson.loads
    except TypeError:  # an integer beyond 64 bits, which orjson would read as a float
        return json.dumps((list(rows), list(predictions))).encode(), json.loads


def to_stored_json(value: Any) -> bytes:
    """Return a value as it is stored, with integers of any size."""
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer beyond 64 bits
        return json.dumps(value, ensure_ascii=False).encode()


def _count(values: Sequence[tuple[Any, ...]], outcome: str) -> None:
    place = COLUMNS.index("model")
    counts: dict[str, int] = defaultdict(int)
    for each in values:
        counts[each[place]] += 1
    for model, count in counts.items():
        count_logged_rows(model, outcome, count)


def _reset_all() -> None:
    for each in [*_started]:
        each.reset_after_fork()
    _started.clear()


def _flush_all() -> None:
    for each in [*_started]:
        each.flush()


os.register_at_fork(after_in_child=_reset_all)
atexit.register(_flush_all)

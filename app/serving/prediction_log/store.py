"""Reads the prediction log, and deletes from it."""

from __future__ import annotations

import json
import sqlite3
import time as clock
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from app.serving.calls.caller import JOB
from app.serving.prediction_log import month_files

DAY_SECONDS = 86_400
COLUMNS = (
    "id, time, request_id, row_index, model, version, row, prediction, seconds, runtime, who,"
    " source, truth, truth_time, truth_who"
)


@dataclass(frozen=True)
class Record:
    """One row of the log. Times are Unix seconds, ``seconds`` is the duration of its call."""

    time: float
    request_id: str
    #: The index of the row in its request, or its line in the file of a job or of the command line.
    index: int
    #: The unique name, such as ``credit@2``.
    model: str
    version: str
    row: Any
    prediction: Any
    seconds: float
    runtime: str
    who: str | None
    source: str
    #: The true value, and when and by whom it was given; ``None`` if it is not known.
    truth: Any = None
    truth_time: float | None = None
    truth_who: str | None = None


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which records to read: those of a period, of a model or of one of its versions."""

    #: Unix seconds; ``None`` for no limit. ``until`` itself is excluded.
    since: float | None = None
    until: float | None = None
    #: The time and the row index of the last record before those to read.
    after: tuple[float, int] | None = None
    #: The unique name of a version, such as ``credit@2``; ``None`` for all versions.
    unique_name: str | None = None
    only_with_truth: bool = False
    #: One of this number of records, spread over the period.
    every: int = 1

    def to_sql(self) -> tuple[str, list[Any]]:
        """Return the condition of a query, and its parameters."""
        conditions: list[tuple[str, Sequence[Any]]] = [
            ("time >= ?", [self.since]),
            ("time < ?", [self.until]),
            ("(time, row_index) > (?, ?)", self.after or [None]),
            ("model = ?", [self.unique_name]),
        ]
        used = [(text, values) for text, values in conditions if values[0] is not None]
        texts = [text for text, _ in used] + ["truth IS NOT NULL"] * self.only_with_truth
        where = " AND ".join(texts) or "TRUE"
        values = [value for _, each in used for value in each]
        if self.every == 1:
            return where, values
        # By their numbers in the period, since versions share a file and its ids.
        numbered = (
            "SELECT id, ROW_NUMBER() OVER (ORDER BY time, id) AS number"  # noqa: S608
            f" FROM predictions WHERE {where}"
        )
        return f"id IN (SELECT id FROM ({numbered}) WHERE number % {int(self.every)} = 0)", values  # noqa: S608

    def may_be_in(self, path: Path) -> bool:
        """Return whether a file may have such records."""
        end, start = month_files.get_end(path), month_files.get_start(path)
        return (self.since is None or end > self.since) and (
            self.until is None or start < self.until
        )


class PredictionStore:
    """The log in a folder. Any process may read and delete while others write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def models(self) -> list[str]:
        """Return the names of the models with a log."""
        paths = self.folder.glob(f"*/*{month_files.SUFFIX}")
        return sorted({path.parent.name for path in paths})

    def read(self, model: str, selection: Selection = Selection()) -> Iterator[Record]:
        """Yield records in the order of their times.

        :param model: the name without a version.
        """
        for path in self._paths(model, selection):
            with closing(month_files.open_existing(path)) as connection:
                yield from _read(connection, selection)

    @contextmanager
    def snapshot(
        self, model: str, selection: Selection
    ) -> Iterator[Callable[[], Iterator[Record]]]:
        """Yield a function that does what :meth:`read` does, with the same records each time.

        Records that are written or deleted meanwhile do not change them. The bytes of deleted ones
        remain on the disk until the context ends.
        """
        with ExitStack() as stack:
            connections = []
            for path in self._paths(model, selection):
                connections.append(stack.enter_context(closing(month_files.open_existing(path))))
                connections[-1].execute("BEGIN")
                connections[-1].execute("SELECT id FROM predictions LIMIT 1").fetchall()
            yield lambda: chain.from_iterable(_read(each, selection) for each in connections)

    def read_last(self, model: str, count: int, selection: Selection = Selection()) -> list[Record]:
        """Return the last records in the order of their times."""
        where, values = selection.to_sql()
        found: list[Record] = []
        for path in reversed(self._paths(model, selection)):
            with closing(month_files.open_existing(path)) as connection:
                query = (
                    f"SELECT {COLUMNS} FROM predictions WHERE {where}"  # noqa: S608
                    " ORDER BY time DESC, id DESC LIMIT ?"
                )
                rows = connection.execute(query, [*values, count - len(found)])
                found += map(_to_record, rows)
            if len(found) >= count:
                break
        return found[::-1]

    def count(self, model: str, selection: Selection = Selection()) -> int:
        """Return the number of records."""
        return sum(self.count_by_day(model, selection).values())

    def count_by_day(self, model: str, selection: Selection = Selection()) -> dict[int, int]:
        """Return the number of records by the day of their time, in days since 1970 in UTC."""
        where, values = selection.to_sql()
        counts: dict[int, int] = {}
        for path in self._paths(model, selection):
            with closing(month_files.open_existing(path)) as connection:
                query = (
                    f"SELECT CAST(time / {DAY_SECONDS} AS INTEGER) AS day, COUNT(*)"  # noqa: S608
                    f" FROM predictions WHERE {where} GROUP BY day ORDER BY day"
                )
                counts.update(connection.execute(query, values).fetchall())
        return counts

    def forget(self, model: str, is_forgotten: Callable[[Record], bool]) -> int:
        """Delete records, and return their number. Their bytes are overwritten.

        :raises sqlite3.OperationalError: after all files, if other processes use some of them.
        """
        deleted = 0
        failures: dict[str, list[str]] = defaultdict(list)
        for path in self._paths(model, Selection()):
            try:
                with closing(month_files.open_existing(path)) as connection:
                    rows = connection.execute(f"SELECT {COLUMNS} FROM predictions")  # noqa: S608
                    found = [(row[0], row[2]) for row in rows if is_forgotten(_to_record(row))]
                month_files.delete_rows(path, found)
                deleted += len(found)
            except sqlite3.OperationalError as error:
                failures[str(error)].append(path.name)
        if failures:
            texts = [f"{', '.join(names)}: {text}" for text, names in failures.items()]
            raise sqlite3.OperationalError("; ".join(texts))
        return deleted

    def forget_lines(self, model: str, job_id: str, first: int, last: int) -> None:
        """Delete the records of a job's lines that are repeated, in all months.

        Their bytes may remain in the write-ahead log for a while, as those of the repetition do.
        """
        for path in self._paths(model, Selection()):
            with closing(month_files.open_existing(path)) as connection:
                query = (
                    "DELETE FROM predictions"
                    " WHERE request_id = ? AND row_index BETWEEN ? AND ? AND source = ?"
                )
                connection.execute(query, [job_id, first, last, JOB])

    def delete_old(self, model: str, keep_days: int) -> None:
        """Delete records that are older than this: files of past months, then single rows."""
        limit = clock.time() - keep_days * DAY_SECONDS
        for path in month_files.find_paths(self.folder, model):
            if month_files.get_end(path) <= limit:
                month_files.delete(path)
            elif month_files.get_start(path) < limit:  # the last one with old rows
                with closing(month_files.open_existing(path)) as connection:
                    query = "SELECT id, request_id FROM predictions WHERE time < ?"
                    found = connection.execute(query, [limit]).fetchall()
                month_files.delete_rows(path, found)

    def _paths(self, model: str, selection: Selection) -> Sequence[Path]:
        return [
            path for path in month_files.find_paths(self.folder, model) if selection.may_be_in(path)
        ]


def _read(connection: sqlite3.Connection, selection: Selection) -> Iterator[Record]:
    where, values = selection.to_sql()
    query = f"SELECT {COLUMNS} FROM predictions WHERE {where} ORDER BY time, id"  # noqa: S608
    return map(_to_record, connection.execute(query, values))


def _to_record(row: Sequence[Any]) -> Record:
    record = dict(zip(Record.__dataclass_fields__, row[1:], strict=True))
    for name in ("row", "prediction", "truth"):
        if record[name] is not None:
            record[name] = from_json(record[name])
    return Record(**record)


def from_json(text: str) -> Any:
    """Return a stored value."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # an integer beyond 64 bits
        return json.loads(text)

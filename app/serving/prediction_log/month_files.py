"""The files of the log: one SQLite database per model and month, in a folder per model.

A file is in WAL mode: several processes write to it, and readers do not wait for writers. It is
only readable for the user of the server.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from app.serving.process.shared_file import locked

#: Seconds that a writer waits for another process.
WAIT_SECONDS = 10.0
SUFFIX = ".db"
#: The file in the folder of a model whose lock a process holds while it creates another one.
LOCK = ".lock"
MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
TABLE = """
CREATE TABLE IF NOT EXISTS predictions (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    request_id TEXT NOT NULL,
    row_index INTEGER NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    row TEXT NOT NULL,
    prediction TEXT NOT NULL,
    seconds REAL NOT NULL,
    runtime TEXT NOT NULL,
    who TEXT,
    source TEXT NOT NULL,
    truth TEXT,
    truth_time REAL,
    truth_who TEXT
);
CREATE INDEX IF NOT EXISTS by_time ON predictions (time);
CREATE INDEX IF NOT EXISTS by_request ON predictions (request_id, row_index);
CREATE UNIQUE INDEX IF NOT EXISTS by_job ON predictions (request_id, row_index)
    WHERE source = 'job';
"""


def get_path(folder: Path, model: str, time: float) -> Path:
    """Return the file with the predictions of a model at a time in Unix seconds."""
    return folder / model / f"{datetime.fromtimestamp(time, UTC):%Y-%m}{SUFFIX}"


def find_paths(folder: Path, model: str) -> Sequence[Path]:
    """Return the existing files of a model in the order of their months."""
    found = (folder / model).glob(f"*{SUFFIX}")
    return sorted(path for path in found if MONTH.fullmatch(path.stem))


def get_start(path: Path) -> float:
    """Return the start of a file's month in Unix seconds."""
    year, month = map(int, path.stem.split("-"))
    return datetime(year, month, 1, tzinfo=UTC).timestamp()


def get_end(path: Path) -> float:
    """Return the end of a file's month in Unix seconds."""
    year, month = map(int, path.stem.split("-"))
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp()


def create(path: Path) -> sqlite3.Connection:
    """Open a file for writing, after creating it if it does not exist.

    The connection may be used by one thread at a time.
    """
    for folder in (path.parent.parent, path.parent):  # mkdir gives parents the default mode
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Only one process may set the mode of a new file.
    with locked(path.with_name(LOCK)):
        if not path.exists():
            _create_whole(path)
    return _prepare(open_existing(path))


def _create_whole(path: Path) -> None:
    """Create a file that appears with its table: other processes read it at any time."""
    new = path.with_suffix(".new")
    delete(new)  # of a process that was killed
    os.close(os.open(new, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite ignores the mode otherwise
    _prepare(open_existing(new)).close()
    new.replace(path)


def _prepare(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Return the connection of a file that has the table, is in WAL mode, and can be written."""
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # Commits survive the death of the process; the last ones may be lost with the machine.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(TABLE)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def open_existing(path: Path) -> sqlite3.Connection:
    """Open a file that exists, in autocommit mode."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=WAIT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    # Deleted rows are overwritten with zeros.
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def delete(path: Path) -> None:
    """Delete a file with its write-ahead log."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def delete_rows(path: Path, rows: Sequence[tuple[int, str]]) -> None:
    """Delete rows, so that their bytes are neither in the file nor in its write-ahead log.

    :param rows: the id and the request id of each. SQLite gives the id of a deleted row again.
        Without any, only remove the bytes that an earlier call had to leave.
    :raises sqlite3.OperationalError: if another process reads the log for so long that the bytes
        remain in the write-ahead log.
    """
    with closing(open_existing(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("DELETE FROM predictions WHERE id = ? AND request_id = ?", rows)
        connection.execute("COMMIT")
        [is_busy, *_] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:
        raise sqlite3.OperationalError(
            "bytes of deleted rows may not be overwritten yet, since another process reads the "
            "log; repeat the deletion once that has ended"
        )

"""The database of jobs and chunks: its tables, and transactions."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateIndex, CreateTable

from app.serving.errors import JobsUnavailable

log = logging.getLogger(__name__)

#: Seconds for which a process waits while another writes to SQLite.
BUSY_SECONDS = 30.0
#: Seconds between two attempts to set the mode of a file in SQLite.
RETRY_SECONDS = 0.05
#: What SQLite reports if another process writes, and if the disk is full.
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
#: The states of a chunk.
DONE, RUNNING, WAITING = "done", "running", "waiting"

#: Increase it with each change of the columns. Tables of earlier versions are not read.
VERSION = 6

metadata = MetaData()
jobs = Table(
    f"jobs_{VERSION}",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("model", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("identity", String(64), nullable=False),
    Column("owner", Text, nullable=False, index=True),
    Column("file", Text, nullable=False),
    Column("form", String(10), nullable=False),
    Column("decimal", String(1), nullable=False),
    Column("charset", String(40), nullable=False),
    Column("caution", Boolean, nullable=False),
    Column("explained", Text),
    Column("state", String(10), nullable=False, index=True),
    Column("reason", Text, nullable=False, default=""),
    Column("size_bytes", BigInteger, nullable=False),
    Column("read_bytes", BigInteger, nullable=False, default=0),
    Column("created", Float(53), nullable=False),
    Column("started", Float(53)),
    Column("finished", Float(53)),
    Column("expires", Float(53)),
)
chunks = Table(
    f"chunks_{VERSION}",
    metadata,
    Column("job", String(40), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("rows", BigInteger, nullable=False, default=0),
    Column("state", String(10), nullable=False, default=WAITING),
    Column("process", String(200), nullable=False, default=""),
    Column("claimed", Float(53)),
    Column("lease", Float(53), nullable=False, default=0.0),
    # Claims so far, and those whose process died or raised an error.
    Column("attempts", Integer, nullable=False, default=0),
    Column("failures", Integer, nullable=False, default=0),
    Column("valid", BigInteger, nullable=False, default=0),
    Column("invalid", BigInteger, nullable=False, default=0),
    Column("finished", Float(53)),
)
# The rows of all jobs by the unique name of their model, also of removed jobs: the counters of a
# model must not decrease.
totals = Table(
    f"totals_{VERSION}",
    metadata,
    Column("label", Text, primary_key=True),
    Column("valid", BigInteger, nullable=False),
    Column("invalid", BigInteger, nullable=False),
)


class JobDatabase:
    """A database with the tables of jobs and chunks, created at the first use. Thread safe.

    :param url: of SQLAlchemy: SQLite, or PostgreSQL for processes on several machines.
    """

    def __init__(self, url: str) -> None:
        is_sqlite = url.startswith("sqlite")
        arguments = {"timeout": BUSY_SECONDS} if is_sqlite else {}
        # No pool: a connection does not survive a fork, and a job needs few of them.
        self._engine: Engine = create_engine(url, poolclass=NullPool, connect_args=arguments)
        self._is_created = False
        #: The last error, which is logged once.
        self._failure = ""
        if is_sqlite:
            event.listen(self._engine, "connect", _prepare_sqlite)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Yield a connection whose changes are committed at the end.

        :raises JobsUnavailable: if the database cannot be reached, read or written.
        """
        try:
            if not self._is_created:
                with self._engine.begin() as connection:
                    _create_tables(connection)
                self._is_created = True
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            if not _is_unavailable(error):
                raise
            if str(error.orig) != self._failure:
                log.warning("the database of jobs is not available: %s", error.orig)
            self._failure = str(error.orig)
            is_full = getattr(error.orig, "sqlite_errorcode", None) in FULL
            raise JobsUnavailable(is_disk_full=is_full) from error
        self._failure = ""


def add_to_total(connection: Connection, label: str, valid: int, invalid: int) -> None:
    """Add to the rows of a model.

    :param label: its unique name.
    """
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    query = insert(totals).values(label=label, valid=valid, invalid=invalid)
    added = {name: totals.c[name] + query.excluded[name] for name in ("valid", "invalid")}
    connection.execute(query.on_conflict_do_update(index_elements=[totals.c.label], set_=added))


def lock(connection: Connection, name: str) -> None:
    """Hold a lock until the end of the transaction, in PostgreSQL.

    SQLite needs none, because it has one writer at a time.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"modelhost {name}"))))


def _is_unavailable(error: DBAPIError) -> bool:
    # SQLite has no class of its own for a damaged file.
    is_damaged = type(error.orig) is sqlite3.DatabaseError
    is_unreachable = isinstance(error, OperationalError | InterfaceError)
    return is_damaged or is_unreachable or error.connection_invalidated


def _create_tables(connection: Connection) -> None:
    # Another process may create them meanwhile. PostgreSQL needs the lock in spite of IF NOT
    # EXISTS, which two processes can pass.
    lock(connection, "tables")
    for table in metadata.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Readers do not wait for a writer. A job that was accepted survives a crash of the machine.
    _set_write_ahead(connection)
    connection.execute("PRAGMA synchronous=FULL")


def _set_write_ahead(connection: sqlite3.Connection) -> None:
    # While another connection writes to a new file, this fails at once: SQLite applies its timeout
    # only to a connection that holds no lock yet.
    # https://www.sqlite.org/c3ref/busy_handler.html
    last = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in BUSY or time.monotonic() > last:
                raise
        time.sleep(RETRY_SECONDS)

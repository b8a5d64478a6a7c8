"""The tables of jobs and chunks, which are also the queue.

A chunk is claimed by one UPDATE that compares the number of attempts, so that only one process
succeeds. The claim is a lease: a process renews it while it works, and an expired one is claimed
again. The counts of a chunk are written in the transaction that sets it to done, and only if its
lease still holds: each row counts once, whichever process dies.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    case,
    create_engine,
    delete,
    event,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import NullPool

from app.serving.jobs.job import ACTIVE, READING, Job, JobState, Progress, build_progress

#: Seconds after which a lease expires if its process does not renew it.
LEASE_SECONDS = 60.0
#: Times that the work on one chunk may fail, or its process die, before the job fails.
MAX_FAILURES = 3
#: Seconds for which a process waits while another writes to SQLite.
BUSY_SECONDS = 30.0
#: The states of a chunk.
DONE, RUNNING, WAITING = "done", "running", "waiting"

_metadata = MetaData()
_jobs = Table(
    "jobs",
    _metadata,
    Column("id", String(40), primary_key=True),
    Column("model", String(220), nullable=False),
    Column("identity", String(64), nullable=False),
    Column("owner", String(200), nullable=False, index=True),
    Column("file", Text, nullable=False),
    Column("form", String(10), nullable=False),
    Column("decimal", String(1), nullable=False),
    Column("charset", String(40), nullable=False),
    Column("state", String(10), nullable=False, index=True),
    Column("reason", Text, nullable=False, default=""),
    Column("size_bytes", BigInteger, nullable=False),
    Column("read_bytes", BigInteger, nullable=False, default=0),
    Column("created", Float(53), nullable=False),
    Column("started", Float(53)),
    Column("finished", Float(53)),
    Column("expires", Float(53)),
)
_chunks = Table(
    "chunks",
    _metadata,
    Column("job", String(40), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("rows", BigInteger, nullable=False, default=0),
    Column("state", String(10), nullable=False, default=WAITING),
    Column("worker", String(200), nullable=False, default=""),
    Column("lease", Float(53), nullable=False, default=0.0),
    # Claims so far, and those whose process died or raised an error.
    Column("attempts", Integer, nullable=False, default=0),
    Column("failures", Integer, nullable=False, default=0),
    Column("valid", BigInteger, nullable=False, default=0),
    Column("invalid", BigInteger, nullable=False, default=0),
    Column("finished", Float(53)),
)


@dataclass(frozen=True)
class Claim:
    """The lease of one chunk of a job. ``attempt`` counts from 1."""

    job: Job
    number: int
    attempt: int
    worker: str


class JobTable:
    """The jobs and their chunks in a database. Thread safe.

    :param url: of SQLAlchemy: SQLite, or PostgreSQL for processes on several machines.
    :param keep_seconds: how long the results of a finished job are kept.
    """

    def __init__(self, url: str, keep_seconds: float) -> None:
        self._keep_seconds = keep_seconds
        is_sqlite = url.startswith("sqlite")
        arguments = {"timeout": BUSY_SECONDS} if is_sqlite else {}
        # No pool: a connection does not survive a fork, and a job needs few of them.
        self._engine: Engine = create_engine(url, poolclass=NullPool, connect_args=arguments)
        if is_sqlite:
            event.listen(self._engine, "connect", _prepare_sqlite)
        _metadata.create_all(self._engine)

    def add(self, job: Job) -> None:
        """Add a job, with the chunk that reads its file."""
        values = {name: getattr(job, name) for name in Job.__dataclass_fields__}
        with self._engine.begin() as connection:
            connection.execute(insert(_jobs).values(values))
            connection.execute(insert(_chunks).values(job=job.id, number=READING))

    def get(self, job_id: str) -> Job | None:
        """Return a job, or ``None``."""
        with self._engine.connect() as connection:
            row = connection.execute(select(_jobs).where(_jobs.c.id == job_id)).one_or_none()
        return None if row is None else _to_job(row)

    def find(self, owner: str | None = None, *, is_active: bool = False) -> list[Job]:
        """Return the jobs of an owner, the newest first; for ``None``, of all owners."""
        query = select(_jobs).order_by(_jobs.c.created.desc(), _jobs.c.id)
        if owner is not None:
            query = query.where(_jobs.c.owner == owner)
        if is_active:
            query = query.where(_jobs.c.state.in_(ACTIVE))
        with self._engine.connect() as connection:
            return [_to_job(row) for row in connection.execute(query)]

    def progress(self, job: Job) -> Progress:
        """Return how far a job is."""
        is_data = _chunks.c.number > READING
        is_recent = _chunks.c.finished >= (job.started or 0)
        done = _chunks.c.valid + _chunks.c.invalid
        query = select(
            func.coalesce(func.sum(_chunks.c.rows), 0).label("rows"),
            func.coalesce(func.sum(_chunks.c.valid), 0).label("valid"),
            func.coalesce(func.sum(_chunks.c.invalid), 0).label("invalid"),
            func.coalesce(func.sum(case((and_(is_data, is_recent), done), else_=0)), 0).label(
                "recent"
            ),
            func.coalesce(
                func.sum(
                    case((and_(~is_data, _chunks.c.state == DONE), 1), else_=0),
                ),
                0,
            ).label("is_read"),
        ).where(_chunks.c.job == job.id)
        with self._engine.connect() as connection:
            counts = connection.execute(query).mappings().one()
        return build_progress(job, dict(counts), time.time())

    def done_chunks(self, job_id: str) -> list[tuple[int, int]]:
        """Return number and attempt of the chunks of a job that are done, in the file's order."""
        query = (
            select(_chunks.c.number, _chunks.c.attempts)
            .where(_chunks.c.job == job_id, _chunks.c.state == DONE, _chunks.c.number > READING)
            .order_by(_chunks.c.number)
        )
        with self._engine.connect() as connection:
            return [(row.number, row.attempts) for row in connection.execute(query)]

    def claim(self, worker: str) -> Claim | None:
        """Return a chunk of the oldest job that has one to do, or ``None``."""
        while True:
            found = self._find_claimable()
            if found is None:
                return None
            job, chunk = found
            failures = chunk.failures + (chunk.state == RUNNING)
            if failures >= MAX_FAILURES:
                self.finish(job.id, JobState.FAILED, _failures_text(chunk.number))
            elif self._take(job.id, chunk, failures, worker):
                return Claim(job, chunk.number, chunk.attempts + 1, worker)

    def renew(self, claim: Claim) -> bool:
        """Extend a lease; return false if it is lost or the job is no longer active."""
        lease = time.time() + LEASE_SECONDS
        with self._engine.begin() as connection:
            query = update(_chunks).where(_is_held(claim), _is_active(claim.job.id))
            return connection.execute(query.values(lease=lease)).rowcount == 1

    def release(self, claim: Claim) -> None:
        """Give a chunk back."""
        with self._engine.begin() as connection:
            query = update(_chunks).where(_is_held(claim)).values(state=WAITING, worker="")
            connection.execute(query)

    def fail(self, claim: Claim) -> None:
        """Give a chunk back after an error, which is counted."""
        values = {"state": WAITING, "worker": "", "failures": _chunks.c.failures + 1}
        with self._engine.begin() as connection:
            connection.execute(update(_chunks).where(_is_held(claim)).values(values))

    def workers(self) -> list[str]:
        """Return the names of the processes that hold leases."""
        query = select(_chunks.c.worker).where(_chunks.c.state == RUNNING).distinct()
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def release_all(self, worker: str) -> None:
        """Give back the chunks of a process that has died."""
        with self._engine.begin() as connection:
            query = update(_chunks).where(_chunks.c.worker == worker, _chunks.c.state == RUNNING)
            failures = _chunks.c.failures + 1
            connection.execute(query.values(state=WAITING, worker="", failures=failures))

    def add_chunk(self, claim: Claim, number: int, rows: int, read_bytes: int) -> bool:
        """Add a chunk that was read; return false if the lease of the reading is lost.

        A chunk that an earlier attempt added is left as it is.
        """
        try:
            with self._engine.begin() as connection:
                query = update(_jobs).where(
                    _jobs.c.id == claim.job.id,
                    _jobs.c.state.in_(ACTIVE),
                    exists().where(_is_held(claim)),
                )
                if connection.execute(query.values(read_bytes=read_bytes)).rowcount != 1:
                    return False
                values = {"job": claim.job.id, "number": number, "rows": rows}
                connection.execute(insert(_chunks).values(values))
        except IntegrityError:
            pass
        return True

    def has_chunk(self, job_id: str, number: int) -> bool:
        """Return whether a chunk was added."""
        query = select(_chunks.c.number).where(_chunks.c.job == job_id, _chunks.c.number == number)
        with self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def complete(self, claim: Claim, valid: int, invalid: int) -> bool:
        """Set a chunk to done, and its job after the last; return false if the lease is lost."""
        now = time.time()
        values = {"state": DONE, "valid": valid, "invalid": invalid, "finished": now}
        open_chunk = exists().where(_chunks.c.job == claim.job.id, _chunks.c.state != DONE)
        with self._engine.begin() as connection:
            _lock_job(connection, claim.job.id)
            query = update(_chunks).where(_is_held(claim), _is_active(claim.job.id))
            if connection.execute(query.values(values)).rowcount != 1:
                return False
            connection.execute(
                update(_jobs)
                .where(_jobs.c.id == claim.job.id, _jobs.c.state.in_(ACTIVE), ~open_chunk)
                .values(state=JobState.DONE, finished=now, expires=now + self._keep_seconds)
            )
        return True

    def finish(self, job_id: str, state: JobState, reason: str) -> bool:
        """Set an active job to failed or cancelled; return false if it was not active."""
        now = time.time()
        expires = now + self._keep_seconds
        values = {"state": state, "reason": reason, "finished": now, "expires": expires}
        with self._engine.begin() as connection:
            _lock_job(connection, job_id)
            query = update(_jobs).where(_jobs.c.id == job_id, _jobs.c.state.in_(ACTIVE))
            is_changed = connection.execute(query.values(values)).rowcount == 1
            # No process may complete one of its chunks any more.
            chunks = update(_chunks).where(_chunks.c.job == job_id, _chunks.c.state == RUNNING)
            connection.execute(chunks.values(state=WAITING, worker=""))
        return is_changed

    def resume(self, job_id: str) -> bool:
        """Let a failed or cancelled job continue; return false if it is neither."""
        stopped = (JobState.FAILED, JobState.CANCELLED)
        values = {
            "state": JobState.WAITING,
            "reason": "",
            "started": None,
            "finished": None,
            "expires": None,
        }
        with self._engine.begin() as connection:
            query = update(_jobs).where(_jobs.c.id == job_id, _jobs.c.state.in_(stopped))
            if connection.execute(query.values(values)).rowcount != 1:
                return False
            chunks = update(_chunks).where(_chunks.c.job == job_id, _chunks.c.state != DONE)
            connection.execute(chunks.values(state=WAITING, worker="", failures=0))
        return True

    def remove(self, job_id: str) -> None:
        """Remove a job and its chunks."""
        with self._engine.begin() as connection:
            _lock_job(connection, job_id)
            connection.execute(delete(_chunks).where(_chunks.c.job == job_id))
            connection.execute(delete(_jobs).where(_jobs.c.id == job_id))

    def expired(self, now: float) -> Sequence[str]:
        """Return the ids of finished jobs whose time has passed."""
        query = select(_jobs.c.id).where(_jobs.c.expires < now, _jobs.c.state.not_in(ACTIVE))
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def _find_claimable(self) -> tuple[Job, Any] | None:
        """Return a chunk to do with its job, or ``None``."""
        query = (
            select(_chunks)
            .join_from(_jobs, _chunks, _jobs.c.id == _chunks.c.job)
            .where(_jobs.c.state.in_(ACTIVE), _is_free())
            .order_by(_jobs.c.created, _jobs.c.id, _chunks.c.number)
            .limit(1)
        )
        with self._engine.connect() as connection:
            chunk = connection.execute(query).one_or_none()
        job = None if chunk is None else self.get(chunk.job)
        return None if job is None else (job, chunk)

    def _take(self, job_id: str, chunk: Any, failures: int, worker: str) -> bool:
        now = time.time()
        query = update(_chunks).where(
            _chunks.c.job == job_id,
            _chunks.c.number == chunk.number,
            _chunks.c.attempts == chunk.attempts,
            _is_free(),
            _is_active(job_id),
        )
        values = {
            "state": RUNNING,
            "worker": worker,
            "lease": now + LEASE_SECONDS,
            "attempts": chunk.attempts + 1,
            "failures": failures,
        }
        start = update(_jobs).where(_jobs.c.id == job_id, _jobs.c.state == JobState.WAITING)
        with self._engine.begin() as connection:
            _lock_job(connection, job_id)
            if connection.execute(query.values(values)).rowcount != 1:
                return False
            connection.execute(start.values(state=JobState.RUNNING, started=now))
        return True


def _lock_job(connection: Connection, job_id: str) -> None:
    """Lock the row of a job before its chunks change, in PostgreSQL.

    Otherwise, two processes that complete the last two chunks do not see each other's, and neither
    finishes the job; and a process that cancels it meanwhile causes a deadlock. SQLite, which has
    one writer at a time, ignores the clause.
    """
    connection.execute(select(_jobs.c.id).where(_jobs.c.id == job_id).with_for_update())


def _is_free() -> ColumnElement[bool]:
    is_expired = and_(_chunks.c.state == RUNNING, _chunks.c.lease < time.time())
    return or_(_chunks.c.state == WAITING, is_expired)


def _is_held(claim: Claim) -> ColumnElement[bool]:
    return and_(
        _chunks.c.job == claim.job.id,
        _chunks.c.number == claim.number,
        _chunks.c.worker == claim.worker,
        _chunks.c.attempts == claim.attempt,
        _chunks.c.state == RUNNING,
    )


def _is_active(job_id: str) -> ColumnElement[bool]:
    return exists().where(_jobs.c.id == job_id, _jobs.c.state.in_(ACTIVE))


def _to_job(row: Any) -> Job:
    values = {name: getattr(row, name) for name in Job.__dataclass_fields__}
    return Job(**{**values, "state": JobState(values["state"])})


def _failures_text(number: int) -> str:
    what = f"chunk {number}" if number else "reading the file"
    return f"{MAX_FAILURES} attempts at {what} have failed; see the log of the server"


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Readers do not wait for a writer. A crash of the machine may lose the last chunks, which are
    # then computed again.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")

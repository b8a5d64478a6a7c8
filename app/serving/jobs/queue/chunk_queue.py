"""The queue of chunks.

A chunk is claimed by one UPDATE that compares the number of attempts, so that only one process
succeeds. The claim is a lease: a process renews it while it works, and an expired one is claimed
again. The counts of a chunk are written in the transaction that sets it to done, and only if its
lease still holds: each row counts once, whichever process dies.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, exists, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from app.serving.jobs.job import ACTIVE, READING, Job, JobState
from app.serving.jobs.queue.job_database import (
    DONE,
    RUNNING,
    WAITING,
    JobDatabase,
    add_to_total,
    chunks,
    jobs,
)
from app.serving.jobs.queue.job_table import JobTable, is_active, lock_job, to_job

#: Seconds after which a lease expires if its process does not renew it.
LEASE_SECONDS = 60.0
#: Times that the work on one chunk may fail, or its process die, before the job fails.
MAX_FAILURES = 3


@dataclass(frozen=True)
class Claim:
    """The lease of one chunk of a job. ``attempt`` counts from 1."""

    job: Job
    number: int
    attempt: int
    process: str


class ChunkQueue:
    """The chunks of the jobs in a table. Thread safe. Its methods raise ``JobsUnavailable``."""

    def __init__(self, database: JobDatabase, table: JobTable) -> None:
        self._database = database
        self._table = table

    def claim(self, process: str) -> Claim | None:
        """Return a chunk of the oldest job that has one to do, or ``None``."""
        while True:
            with self._database.transaction() as connection:
                found = connection.execute(_select_claimable()).one_or_none()
            if found is None:
                return None
            failures = found.failures + (found.chunk_state == RUNNING)
            if failures >= MAX_FAILURES:
                self._table.finish(found.id, JobState.FAILED, _failures_text(found.number))
            elif self._take(found, failures, process):
                return Claim(to_job(found), found.number, found.attempts + 1, process)

    def renew(self, claim: Claim) -> bool:
        """Extend a lease; return false if it is lost or the job is no longer active."""
        lease = time.time() + LEASE_SECONDS
        with self._database.transaction() as connection:
            query = update(chunks).where(_is_held(claim), is_active(claim.job.id))
            return connection.execute(query.values(lease=lease)).rowcount == 1

    def fail(self, claim: Claim) -> None:
        """Release a chunk after an error, which is counted."""
        values = {"state": WAITING, "process": "", "failures": chunks.c.failures + 1}
        with self._database.transaction() as connection:
            connection.execute(update(chunks).where(_is_held(claim)).values(values))

    def list_processes(self) -> list[str]:
        """Return the names of the processes that hold leases."""
        query = select(chunks.c.process).where(chunks.c.state == RUNNING).distinct()
        with self._database.transaction() as connection:
            return list(connection.execute(query).scalars())

    def release(self, process: str, failures: int) -> None:
        """Release the chunks of a process.

        :param failures: what this adds to the failures of each: 1 if the process has died.
        """
        query = update(chunks).where(chunks.c.process == process, chunks.c.state == RUNNING)
        values = {"state": WAITING, "process": "", "failures": chunks.c.failures + failures}
        with self._database.transaction() as connection:
            connection.execute(query.values(values))

    def add(self, claim: Claim, number: int, rows: int, read_bytes: int) -> bool:
        """Add a chunk that was read; return false if the lease of the reading is lost.

        A chunk that an earlier attempt added is left as it is.
        """
        try:
            with self._database.transaction() as connection:
                query = update(jobs).where(
                    jobs.c.id == claim.job.id,
                    jobs.c.state.in_(ACTIVE),
                    exists().where(_is_held(claim)),
                )
                if connection.execute(query.values(read_bytes=read_bytes)).rowcount != 1:
                    return False
                values = {"job": claim.job.id, "number": number, "rows": rows}
                connection.execute(insert(chunks).values(values))
                # Each attempt that adds a chunk makes progress.
                connection.execute(update(chunks).where(_is_held(claim)).values(failures=0))
        except IntegrityError:
            pass
        return True

    def get_rows(self, job_id: str, number: int) -> int | None:
        """Return the rows of a chunk that was added, or ``None``."""
        query = select(chunks.c.rows).where(chunks.c.job == job_id, chunks.c.number == number)
        with self._database.transaction() as connection:
            return connection.execute(query).scalar()

    def complete(self, claim: Claim, valid: int, invalid: int) -> bool:
        """Set a chunk to done, and its job after the last; return false if the lease is lost."""
        now = time.time()
        values = {"state": DONE, "valid": valid, "invalid": invalid, "finished": now}
        with self._database.transaction() as connection:
            lock_job(connection, claim.job.id)
            query = update(chunks).where(_is_held(claim), is_active(claim.job.id))
            if connection.execute(query.values(values)).rowcount != 1:
                return False
            self._table.finish_if_done(connection, claim.job.id)
            add_to_total(connection, claim.job.label, valid, invalid)
        return True

    def list_done(self, job_id: str) -> list[tuple[int, int]]:
        """Return number and attempt of the chunks of a job that are done, in the file's order."""
        query = (
            select(chunks.c.number, chunks.c.attempts)
            .where(chunks.c.job == job_id, chunks.c.state == DONE, chunks.c.number > READING)
            .order_by(chunks.c.number)
        )
        with self._database.transaction() as connection:
            return [(row.number, row.attempts) for row in connection.execute(query)]

    def _take(self, found: Row[Any], failures: int, process: str) -> bool:
        now = time.time()
        query = update(chunks).where(
            chunks.c.job == found.id,
            chunks.c.number == found.number,
            chunks.c.attempts == found.attempts,
            _is_free(),
            is_active(found.id),
        )
        values = {
            "state": RUNNING,
            "process": process,
            "claimed": now,
            "lease": now + LEASE_SECONDS,
            "attempts": found.attempts + 1,
            "failures": failures,
        }
        start = update(jobs).where(jobs.c.id == found.id, jobs.c.state == JobState.WAITING)
        with self._database.transaction() as connection:
            lock_job(connection, found.id)
            if connection.execute(query.values(values)).rowcount != 1:
                return False
            connection.execute(start.values(state=JobState.RUNNING, started=now))
        return True


def _select_claimable() -> Any:
    """Return the query of a chunk to do, and its job."""
    state = chunks.c.state.label("chunk_state")
    return (
        select(jobs, chunks.c.number, chunks.c.attempts, chunks.c.failures, state)
        .join_from(jobs, chunks, jobs.c.id == chunks.c.job)
        .where(jobs.c.state.in_(ACTIVE), _is_free())
        .order_by(jobs.c.created, jobs.c.id, chunks.c.number)
        .limit(1)
    )


def _is_free() -> ColumnElement[bool]:
    is_expired = and_(chunks.c.state == RUNNING, chunks.c.lease < time.time())
    return or_(chunks.c.state == WAITING, is_expired)


def _is_held(claim: Claim) -> ColumnElement[bool]:
    return and_(
        chunks.c.job == claim.job.id,
        chunks.c.number == claim.number,
        chunks.c.process == claim.process,
        chunks.c.attempts == claim.attempt,
        chunks.c.state == RUNNING,
    )


def _failures_text(number: int) -> str:
    what = f"chunk {number}" if number else "reading the file"
    return f"{MAX_FAILURES} attempts at {what} have failed; see the log of the server"

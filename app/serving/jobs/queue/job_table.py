"""The table of jobs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from app.serving.errors import JobNotFound, TooManyJobs
from app.serving.jobs.job import ACTIVE, READING, Job, JobState, Progress, build_progress
from app.serving.jobs.queue.job_database import (
    DONE,
    RUNNING,
    WAITING,
    JobDatabase,
    chunks,
    jobs,
    lock,
)

#: Chunks, the last that were done, from which the rate is computed.
RATE_CHUNKS = 50


class JobTable:
    """The jobs. Thread safe. Its methods raise :class:`JobsUnavailable` as transactions do.

    :param keep_seconds: how long the results of a finished job are kept.
    """

    def __init__(self, database: JobDatabase, keep_seconds: float) -> None:
        self._database = database
        self._keep_seconds = keep_seconds

    def add(self, job: Job, most: int) -> None:
        """Add a job, with the chunk that reads its file.

        :raises TooManyJobs: if its owner has more than ``most`` unfinished jobs with it.
        """
        values = {name: getattr(job, name) for name in Job.__dataclass_fields__}
        with self._database.transaction() as connection:
            lock(connection, f"owner {job.owner}")
            connection.execute(insert(jobs).values(values))
            if connection.execute(_count_active(job.owner)).scalar_one() > most:
                raise TooManyJobs(most)
            connection.execute(insert(chunks).values(job=job.id, number=READING))

    def get(self, job_id: str) -> Job:
        """Return a job.

        :raises JobNotFound: if there is none of that id.
        """
        with self._database.transaction() as connection:
            row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
        if row is None:
            raise JobNotFound(job_id)
        return to_job(row)

    def has(self, job_id: str) -> bool:
        """Return whether there is a job of that id."""
        with self._database.transaction() as connection:
            return bool(connection.execute(select(exists().where(jobs.c.id == job_id))).scalar())

    def find(
        self, owner: str | None = None, after: Job | None = None, limit: int | None = None
    ) -> list[Job]:
        """Return the jobs of an owner, the newest first; for ``None``, of all owners.

        :param after: a job; only those behind it are returned.
        """
        query = select(jobs).order_by(jobs.c.created.desc(), jobs.c.id).limit(limit)
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        if after is not None:
            is_same = and_(jobs.c.created == after.created, jobs.c.id > after.id)
            query = query.where(or_(jobs.c.created < after.created, is_same))
        with self._database.transaction() as connection:
            return [to_job(row) for row in connection.execute(query)]

    def count_active(self, owner: str | None = None) -> int:
        """Return the number of unfinished jobs of an owner; for ``None``, of all owners."""
        with self._database.transaction() as connection:
            return connection.execute(_count_active(owner)).scalar_one()

    def progress(self, job: Job) -> Progress:
        """Return how far a job is."""
        with self._database.transaction() as connection:
            counts = connection.execute(_sum_chunks(job.id)).mappings().one()
            work = connection.execute(_last_work(job.id)).all()
        return build_progress(job, dict(counts), [(row[0], row[1], row[2]) for row in work])

    def finish(self, job_id: str, state: JobState, reason: str) -> bool:
        """Set an active job to failed or cancelled; return false if it was not active."""
        # PostgreSQL has no text with NUL, which a message may quote from a file.
        values = self._end(state) | {"reason": reason.replace("\0", "\ufffd")}
        with self._database.transaction() as connection:
            lock_job(connection, job_id)
            query = update(jobs).where(jobs.c.id == job_id, jobs.c.state.in_(ACTIVE))
            is_changed = connection.execute(query.values(values)).rowcount == 1
            # No process may complete one of its chunks any more.
            running = update(chunks).where(chunks.c.job == job_id, chunks.c.state == RUNNING)
            connection.execute(running.values(state=WAITING, worker=""))
        return is_changed

    def finish_if_done(self, connection: Connection, job_id: str) -> None:
        """Set an active job to done if all its chunks are."""
        open_chunk = exists().where(chunks.c.job == job_id, chunks.c.state != DONE)
        query = update(jobs).where(jobs.c.id == job_id, jobs.c.state.in_(ACTIVE), ~open_chunk)
        connection.execute(query.values(self._end(JobState.DONE)))

    def resume(self, job_id: str, most: int) -> bool:
        """Let a failed or cancelled job continue; return false if it is neither.

        :raises TooManyJobs: if its owner has more than ``most`` unfinished jobs with it.
        """
        stopped = (JobState.FAILED, JobState.CANCELLED)
        ends = dict.fromkeys(("started", "finished", "expires"))
        with self._database.transaction() as connection:
            owner = connection.execute(select(jobs.c.owner).where(jobs.c.id == job_id)).scalar()
            lock(connection, f"owner {owner}")
            query = update(jobs).where(jobs.c.id == job_id, jobs.c.state.in_(stopped))
            values = {"state": JobState.WAITING, "reason": "", **ends}
            if connection.execute(query.values(values)).rowcount != 1:
                return False
            if connection.execute(_count_active(owner)).scalar_one() > most:
                raise TooManyJobs(most)
            rest = update(chunks).where(chunks.c.job == job_id, chunks.c.state != DONE)
            connection.execute(rest.values(state=WAITING, worker="", failures=0))
        return True

    def remove(self, job_id: str) -> None:
        """Remove a job and its chunks."""
        with self._database.transaction() as connection:
            lock_job(connection, job_id)
            connection.execute(delete(chunks).where(chunks.c.job == job_id))
            connection.execute(delete(jobs).where(jobs.c.id == job_id))

    def list_expired(self, now: float) -> Sequence[str]:
        """Return the ids of finished jobs whose time has passed."""
        query = select(jobs.c.id).where(jobs.c.expires < now, jobs.c.state.not_in(ACTIVE))
        with self._database.transaction() as connection:
            return list(connection.execute(query).scalars())

    def _end(self, state: JobState) -> dict[str, Any]:
        now = time.time()
        return {"state": state, "finished": now, "expires": now + self._keep_seconds}


def lock_job(connection: Connection, job_id: str) -> None:
    """Lock the row of a job before its chunks change, in PostgreSQL.

    Otherwise, two processes that complete the last two chunks do not see each other's, and neither
    finishes the job; and a process that cancels it meanwhile causes a deadlock. SQLite, which has
    one writer at a time, ignores the clause.
    """
    connection.execute(select(jobs.c.id).where(jobs.c.id == job_id).with_for_update())


def is_active(job_id: str) -> ColumnElement[bool]:
    """Return the condition that a job is unfinished."""
    return exists().where(jobs.c.id == job_id, jobs.c.state.in_(ACTIVE))


def to_job(row: Any) -> Job:
    """Return the job in a row of the table."""
    values = {name: getattr(row, name) for name in Job.__dataclass_fields__}
    return Job(**{**values, "state": JobState(values["state"])})


def _count_active(owner: str | None) -> Select[int]:
    query = select(func.count()).select_from(jobs).where(jobs.c.state.in_(ACTIVE))
    return query if owner is None else query.where(jobs.c.owner == owner)


def _sum_chunks(job_id: str) -> Select[Any]:
    is_read = and_(chunks.c.number == READING, chunks.c.state == DONE)
    columns = {
        "rows": chunks.c.rows,
        "valid": chunks.c.valid,
        "invalid": chunks.c.invalid,
        "is_read": case((is_read, 1), else_=0),
    }
    sums = [func.coalesce(func.sum(each), 0).label(name) for name, each in columns.items()]
    return select(*sums).where(chunks.c.job == job_id)


def _last_work(job_id: str) -> Select[Any]:
    rows = chunks.c.valid + chunks.c.invalid
    return (
        select(chunks.c.claimed, chunks.c.finished, rows)
        .where(chunks.c.job == job_id, chunks.c.number > READING, chunks.c.state == DONE)
        .order_by(chunks.c.finished.desc())
        .limit(RATE_CHUNKS)
    )

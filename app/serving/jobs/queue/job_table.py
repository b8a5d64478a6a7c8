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
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from app.serving.errors import JobNotFound, TooManyJobs
from app.serving.jobs.job import (
    ACTIVE,
    READING,
    STOPPED,
    Job,
    JobState,
)
from app.serving.jobs.queue.job_database import (
    DONE,
    RUNNING,
    WAITING,
    JobDatabase,
    chunks,
    jobs,
    lock,
)


class JobTable:
    """The jobs. Thread safe. Its methods raise :class:`.JobsUnavailable` as transactions do.

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

        :raises JobNotFound: if no job has that id, or its results have expired.
        """
        query = select(jobs).where(jobs.c.id == job_id, is_kept())
        with self._database.transaction() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise JobNotFound(job_id)
        return to_job(row)

    def has(self, job_id: str) -> bool:
        """Return whether there is a job of that id."""
        with self._database.transaction() as connection:
            return bool(connection.execute(select(exists().where(jobs.c.id == job_id))).scalar())

    def find(
        self,
        owner: str | None = None,
        after: tuple[float, str] | None = None,
        limit: int | None = None,
    ) -> list[Job]:
        """Return the jobs of an owner, the newest first; for ``None``, of all owners.

        :param after: the time and the id of a job; only those behind it are returned.
        """
        newest_first = (jobs.c.created.desc(), jobs.c.id)
        query = select(jobs).where(is_kept()).order_by(*newest_first).limit(limit)
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        if after is not None:
            created, job_id = after
            is_same = and_(jobs.c.created == created, jobs.c.id > job_id)
            query = query.where(or_(jobs.c.created < created, is_same))
        with self._database.transaction() as connection:
            return [to_job(row) for row in connection.execute(query)]

    def list_active(self) -> list[Job]:
        """Return the unfinished jobs of all owners."""
        query = select(jobs).where(jobs.c.state.in_(ACTIVE))
        with self._database.transaction() as connection:
            return list(map(to_job, connection.execute(query)))

    def count_active(self, owner: str | None = None) -> int:
        """Return the number of unfinished jobs of an owner; for ``None``, of all owners."""
        with self._database.transaction() as connection:
            return connection.execute(_count_active(owner)).scalar_one()

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
            connection.execute(running.values(state=WAITING, process=""))
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
        ends = dict.fromkeys(("started", "finished", "expires"))
        with self._database.transaction() as connection:
            owner = connection.execute(select(jobs.c.owner).where(jobs.c.id == job_id)).scalar()
            lock(connection, f"owner {owner}")
            query = update(jobs).where(jobs.c.id == job_id, jobs.c.state.in_(STOPPED))
            values = {"state": JobState.WAITING, "reason": "", **ends}
            if connection.execute(query.values(values)).rowcount != 1:
                return False
            if connection.execute(_count_active(owner)).scalar_one() > most:
                raise TooManyJobs(most)
            rest = update(chunks).where(chunks.c.job == job_id, chunks.c.state != DONE)
            connection.execute(rest.values(state=WAITING, process="", failures=0))
        return True

    def remove(self, job_id: str) -> bool:
        """Remove a finished job and its chunks; return false if it is not finished."""
        with self._database.transaction() as connection:
            lock_job(connection, job_id)
            query = delete(jobs).where(jobs.c.id == job_id, jobs.c.state.not_in(ACTIVE))
            if connection.execute(query).rowcount != 1:
                return False
            connection.execute(delete(chunks).where(chunks.c.job == job_id))
        return True

    def list_done(self, job_id: str | None = None) -> Sequence[str]:
        """Return the ids of the jobs that are done; at most the given one, if there is one."""
        query = select(jobs.c.id).where(jobs.c.state == JobState.DONE)
        if job_id is not None:
            query = query.where(jobs.c.id == job_id)
        with self._database.transaction() as connection:
            return list(connection.execute(query).scalars())

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


def is_kept() -> ColumnElement[bool]:
    """Return the condition that the results of a job have not expired."""
    return or_(jobs.c.expires.is_(None), jobs.c.expires >= time.time())

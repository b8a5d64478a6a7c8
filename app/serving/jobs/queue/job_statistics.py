"""Counts of the jobs in the table, and the progress of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, and_, case, func, select

from app.serving.jobs.job import READING, Job, JobCount, Progress, Work, build_progress
from app.serving.jobs.queue.job_counts import Counts
from app.serving.jobs.queue.job_database import DONE, JobDatabase, chunks, jobs, totals
from app.serving.jobs.queue.job_table import is_kept

#: Number of completed chunks, the latest, from which the rate is computed.
RATE_CHUNKS = 50


class JobStatistics:
    """Reads the figures of jobs. Thread safe. Its methods raise ``JobsUnavailable``."""

    def __init__(self, database: JobDatabase) -> None:
        self._database = database

    def count(self) -> Counts:
        """Return the number of jobs, and the rows of each model so far, also of removed jobs."""
        groups = (jobs.c.model, jobs.c.label, jobs.c.owner, jobs.c.state)
        query = select(*groups, func.count(), func.min(jobs.c.created)).where(is_kept())
        with self._database.transaction() as connection:
            counts = [JobCount(*row) for row in connection.execute(query.group_by(*groups))]
            found = connection.execute(select(totals))
            return Counts(counts, {label: (valid, invalid) for label, valid, invalid in found})

    def list_progress(self, listed: Sequence[Job]) -> list[Progress]:
        """Return the progress of each job."""
        ids = [job.id for job in listed]
        counts: dict[str, Mapping[str, Any]] = {}
        work: dict[str, list[Work]] = defaultdict(list)
        with self._database.transaction() as connection:
            for sums in connection.execute(_sum_chunks(ids)).mappings():
                counts[sums["job"]] = dict(sums)
            for job_id, claimed, finished, rows in connection.execute(_last_work(ids)):
                work[job_id].append((claimed, finished, rows))
        return [build_progress(job, counts.get(job.id, {}), work[job.id]) for job in listed]


def _sum_chunks(ids: Sequence[str]) -> Select[Any]:
    is_read = and_(chunks.c.number == READING, chunks.c.state == DONE)
    columns = {
        "rows": chunks.c.rows,
        "valid": chunks.c.valid,
        "invalid": chunks.c.invalid,
        "is_read": case((is_read, 1), else_=0),
    }
    sums = [func.coalesce(func.sum(each), 0).label(name) for name, each in columns.items()]
    return select(chunks.c.job, *sums).where(chunks.c.job.in_(ids)).group_by(chunks.c.job)


def _last_work(ids: Sequence[str]) -> Select[Any]:
    """Return the query of the latest completed chunks of each job."""
    columns = (chunks.c.job, chunks.c.claimed, chunks.c.finished)
    rows = (chunks.c.valid + chunks.c.invalid).label("rows")
    last = func.row_number().over(partition_by=chunks.c.job, order_by=chunks.c.finished.desc())
    done = (
        select(*columns, rows, last.label("place"))
        .where(chunks.c.job.in_(ids), chunks.c.number > READING, chunks.c.state == DONE)
        .subquery()
    )
    return select(*list(done.c)[:-1]).where(done.c.place <= RATE_CHUNKS)

"""The jobs of a server: what its API, pages and commands call."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from app.serving import periodic
from app.serving.errors import JobConflict
from app.serving.jobs import WAKE
from app.serving.jobs.job import STOPPED, Job, JobState
from app.serving.jobs.job_files import JobFiles
from app.serving.jobs.queue.job_counts import CountReader, Counts
from app.serving.tables import tables

if TYPE_CHECKING:
    from app.serving.jobs.queue.chunk_queue import ChunkQueue
    from app.serving.jobs.queue.job_database import JobDatabase
    from app.serving.jobs.queue.job_statistics import JobStatistics
    from app.serving.jobs.queue.job_table import JobTable

log = logging.getLogger(__name__)

#: Seconds between two removals of expired jobs in one process.
REMOVAL_SECONDS = 3600.0
#: The database of a folder, unless JOBS_DATABASE names another.
DATABASE = "jobs.sqlite"
SECONDS_OF_A_DAY = 86_400.0
#: File extensions, and their formats. JSON is not one: such a file is read at once.
FORMATS = {ending: form for ending, form in tables.FORMATS.items() if form != "json"}


@dataclass(frozen=True)
class JobLimits:
    """Limits of jobs; see the settings ``JOBS_...``."""

    max_bytes: int
    max_depth: int
    free_bytes: int
    per_key: int
    keep_seconds: float

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Return the limits in the settings."""
        return cls(
            max_bytes=settings["JOBS_MAX_BYTES"],
            max_depth=settings["MAX_DEPTH"],
            free_bytes=settings["JOBS_FREE_BYTES"],
            per_key=settings["JOBS_PER_KEY"],
            keep_seconds=settings["JOBS_KEEP_DAYS"] * SECONDS_OF_A_DAY,
        )


class Jobs:
    """Finds, stops, resumes and removes jobs. Thread safe.

    To create one, call :func:`.submission.create_job`.

    Nothing is read or created before the first use, so that a server without jobs needs nothing.

    :param database: a URL of SQLAlchemy; empty for SQLite in the folder.
    """

    def __init__(self, folder: Path, database: str, limits: JobLimits) -> None:
        self.folder = folder
        self._url = database
        self.limits = limits

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        """Return the jobs of a folder with the limits of the settings."""
        return cls(folder, settings["JOBS_DATABASE"], JobLimits.from_settings(settings))

    @property
    def is_used(self) -> bool:
        """Whether there has been a job."""
        return (self.folder / WAKE).exists()

    @cached_property
    def files(self) -> JobFiles:
        """The files of the jobs.

        :raises OSError: if the folder cannot be created.
        """
        return JobFiles(self.folder, self.limits.free_bytes)

    # SQLAlchemy takes 0.2 seconds and 20 MB, which only servers with jobs spend.
    @cached_property
    def _database(self) -> JobDatabase:
        from app.serving.jobs.queue.job_database import JobDatabase  # noqa: PLC0415

        return JobDatabase(self._url or f"sqlite:///{self.files.folder / DATABASE}")

    @cached_property
    def table(self) -> JobTable:
        """The table of the jobs."""
        from app.serving.jobs.queue.job_table import JobTable  # noqa: PLC0415

        return JobTable(self._database, self.limits.keep_seconds)

    @cached_property
    def queue(self) -> ChunkQueue:
        """The queue of the chunks of all jobs."""
        from app.serving.jobs.queue.chunk_queue import ChunkQueue  # noqa: PLC0415

        return ChunkQueue(self._database, self.table)

    @cached_property
    def statistics(self) -> JobStatistics:
        """The counts and the progress of the jobs."""
        from app.serving.jobs.queue.job_statistics import JobStatistics  # noqa: PLC0415

        return JobStatistics(self._database)

    @cached_property
    def counts(self) -> CountReader:
        """Reads the counts of all jobs."""
        return CountReader(self._count)

    def _count(self) -> Counts | None:
        return self.statistics.count() if self.is_used else None

    def cancel(self, job: Job) -> Job:
        """Cancel a job that is not finished, and return it.

        :raises JobConflict: if it is finished.
        """
        if not self.table.finish(job.id, JobState.CANCELLED, ""):
            state = self.table.get(job.id).state
            raise JobConflict(f"the job is {state}: only an unfinished job can be cancelled")
        return self.table.get(job.id)

    def remove(self, job: Job) -> None:
        """Remove a job that is finished, and its files.

        :raises JobConflict: if it is not finished.
        """
        if not self.table.remove(job.id):
            raise JobConflict("the job is not finished: cancel it before you remove it")
        self.files.remove(job.id)

    def resume(self, job: Job) -> Job:
        """Let a failed or cancelled job continue with the chunks that are not done.

        :raises JobConflict: if it is neither.
        :raises TooManyJobs: if the owner has too many unfinished jobs.
        :raises InsufficientStorage: if the disk has no room for it and the unfinished jobs.
        """
        if job.state in STOPPED:
            self.files.check_room(0, [*self.table.list_active(), job])
        if not self.table.resume(job.id, self.limits.per_key):
            raise JobConflict(
                f"the job is {job.state}: only a failed or cancelled job can be resumed"
            )
        self.wake()
        return self.table.get(job.id)

    def wake(self) -> None:
        """Let a server start its job processes."""
        (self.files.folder / WAKE).touch()


def remove_inputs(jobs: Jobs, job_id: str | None = None) -> None:
    """Remove what finished jobs no longer need: everything except results and invalid rows.

    :param job_id: of the only job to look at; by default, all of them.
    """
    for done in jobs.table.list_done(job_id):
        try:
            if jobs.files.source(done).exists():
                jobs.files.remove_others(done, jobs.queue.list_done(done))
        except OSError as error:  # it is tried again with the expired jobs
            log.warning("the input of job %s is not fully removed: %s", done, error)


def remove_expired(jobs: Jobs) -> None:
    """Remove expired jobs, the inputs of those that are done, and interrupted uploads."""
    remove_inputs(jobs)  # a process may have died before it did
    for job_id in jobs.table.list_expired(time.time()):
        if jobs.table.remove(job_id):  # it may have been resumed
            jobs.files.remove(job_id)
    jobs.files.remove_orphans(jobs.table.has)


def start_removal(jobs: Jobs) -> None:
    """Remove expired jobs now and every hour, in a thread, as soon as there has been a job."""

    def run() -> None:
        if jobs.is_used:
            remove_expired(jobs)

    periodic.start("remove expired jobs", run, REMOVAL_SECONDS)

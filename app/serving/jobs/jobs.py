"""The jobs of a server: what its API, pages and commands call."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from app.serving import periodic
from app.serving.errors import FileTooLarge, JobConflict, TooManyJobs
from app.serving.explaining.added_columns import check_columns
from app.serving.jobs import WAKE
from app.serving.jobs.job import STOPPED, Job, JobState
from app.serving.jobs.job_files import JobFiles
from app.serving.jobs.queue.job_counts import CountReader, Counts
from app.serving.json_text import to_json
from app.serving.models.hosted import HostedModel
from app.serving.tables import tables
from mlmodel.files.packaged import PackagedModel

if TYPE_CHECKING:
    from app.serving.jobs.queue.chunk_queue import ChunkQueue
    from app.serving.jobs.queue.job_database import JobDatabase
    from app.serving.jobs.queue.job_table import JobTable

log = logging.getLogger(__name__)

#: Seconds between two removals of expired jobs in one process.
REMOVAL_SECONDS = 3600.0
#: The database of a folder, unless JOBS_DATABASE names another.
DATABASE = "jobs.sqlite"
SECONDS_OF_A_DAY = 86_400.0
#: Characters of a file's name that are kept, and those that databases reject or terminals run.
MAX_NAME = 200
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
#: File extensions, and their formats. A JSON document is none, because it is read at once.
FORMATS = {ending: form for ending, form in tables.FORMATS.items() if form != "json"}


@dataclass(frozen=True)
class JobLimits:
    """Limits of jobs; see the settings ``JOBS_...``."""

    max_bytes: int
    max_depth: int
    free_bytes: int
    per_key: int
    keep_seconds: float


class Jobs:
    """Creates, finds, stops and reads jobs. Thread safe.

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
        limits = JobLimits(
            max_bytes=settings["JOBS_MAX_BYTES"],
            max_depth=settings["MAX_DEPTH"],
            free_bytes=settings["JOBS_FREE_BYTES"],
            per_key=settings["JOBS_PER_KEY"],
            keep_seconds=settings["JOBS_KEEP_DAYS"] * SECONDS_OF_A_DAY,
        )
        return cls(folder, settings["JOBS_DATABASE"], limits)

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
        """The queue of their chunks."""
        from app.serving.jobs.queue.chunk_queue import ChunkQueue  # noqa: PLC0415

        return ChunkQueue(self._database, self.table)

    @cached_property
    def counts(self) -> CountReader:
        """Reads the counts of all jobs."""
        return CountReader(self._count)

    def _count(self) -> Counts | None:
        return self.table.count() if self.is_used else None

    def submit(
        self,
        model: HostedModel,
        pieces: Iterator[bytes],
        form: str,
        *,
        owner: str = "",
        file: str = "",
        decimal: str = "",
        charset: str = "",
        caution: bool = False,
        explained: str | None = None,
    ) -> Job:
        """Create a job for a file.

        :param pieces: the content of the file.
        :param form: one of the values of :data:`FORMATS`.
        :param owner: the id of the API key.
        :param file: its name, to be shown.
        :param caution: whether the result has a column of cautions.
        :param explained: the output whose reasons are columns of the result, see
            :func:`build_extend`.
        :raises NoProfile: if the model has no cautions.
        :raises CannotExplain: if it has no reasons, or needs an output.
        :raises TooManyJobs: if the owner has too many unfinished jobs.
        :raises FileTooLarge: if the file is larger than the limit.
        :raises InsufficientStorage: if the disk has no room.
        :raises InvalidInput: if its beginning shows that no row can be read.
        :raises UnreadableFile: if its encoding is another.
        """
        check_columns(model, explained, is_cautious=caution)
        if self.table.count_active(owner) >= self.limits.per_key:
            raise TooManyJobs(self.limits.per_key)
        job_id = secrets.token_hex(10)
        self.files.create(job_id)
        try:
            size = self.files.save(job_id, self._limit(pieces), self.table.list_active())
            self.files.check_beginning(job_id, form, model.input_schema or True, charset)
            job = Job(
                id=job_id,
                model=model.public_name,
                label=model.label,
                identity=get_identity(model),
                owner=owner,
                file=UNPRINTABLE.sub("\ufffd", file)[:MAX_NAME],
                form=form,
                decimal=decimal,
                charset=charset,
                caution=caution,
                explained=explained,
                state=JobState.WAITING,
                reason="",
                size_bytes=size,
                read_bytes=0,
                created=time.time(),
                started=None,
                finished=None,
                expires=None,
            )
            # Others may have been created during the upload.
            self.files.check_room(0, [*self.table.list_active(), job])
            self.table.add(job, self.limits.per_key)
        except BaseException:
            self.files.remove(job_id)
            raise
        self._wake()
        return job

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
        self._wake()
        return self.table.get(job.id)

    def result(self, job: Job, form: str) -> Iterator[bytes]:
        """Return the predictions of a finished job as a file.

        :param form: one of the keys of :data:`job_results.WRITERS`.
        :raises JobConflict: if the job is not done.
        """
        from app.serving.jobs import job_results  # noqa: PLC0415

        if job.state is not JobState.DONE:
            raise JobConflict(f"the job is {job.state}: it has no result yet")
        chunks = self.queue.list_done(job.id)
        return job_results.WRITERS[form]([self.files.part(job.id, *each) for each in chunks])

    def problems(self, job: Job, form: str) -> Iterator[bytes]:
        """Return the invalid rows that were found so far as a file.

        :param form: ``csv``, to correct and send again, or ``ndjson``.
        """
        from app.serving.jobs import job_results  # noqa: PLC0415

        chunks = self.queue.list_done(job.id)
        bad = [self.files.bad(job.id, *each) for each in chunks]
        if form == "ndjson":
            return job_results.write_problems_ndjson(bad)
        parts = [self.files.part(job.id, *each) for each in chunks[:1]]
        sheet = job_results.read_sheet_of(parts[0]) if parts else None
        return job_results.write_problems(bad, sheet)

    def _limit(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        size = 0
        for piece in pieces:
            size += len(piece)
            if size > self.limits.max_bytes:
                raise FileTooLarge(self.limits.max_bytes)
            yield piece

    def _wake(self) -> None:
        (self.files.folder / WAKE).touch()


def remove_inputs(jobs: Jobs, job_id: str | None = None) -> None:
    """Remove what jobs no longer need once they are done: all but results and invalid rows.

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


def get_identity(model: HostedModel) -> str:
    """Return a hash of a model's file, or of its class and settings, and of its schema."""
    spec = model.spec
    loaded = model.lifecycle.model
    if spec.file is None:
        remote = spec.remote and (spec.remote.url, spec.remote.model)
        code = (spec.class_path, dict(spec.settings), spec.decorators)
        source = f"{code!r} {remote!r} {model.version}"
    elif isinstance(loaded, PackagedModel):
        source = loaded.sha256
    else:
        digest = model.file_fingerprint or spec.file_fingerprint()
        source = digest.digest if digest else ""
    return hashlib.sha256(f"{source} {to_json(spec.input_schema)}".encode()).hexdigest()

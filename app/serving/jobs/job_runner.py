"""The process that runs jobs: claims chunks, predicts them, and renews its leases meanwhile."""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from app.serving.calls.caller import CALLER, JOB, Caller
from app.serving.errors import (
    InsufficientStorage,
    JobsUnavailable,
    ServingError,
    UnreadableFile,
)
from app.serving.explaining.added_columns import build_extend
from app.serving.jobs.chunks.chunk_prediction import predict_chunk, write_outcome
from app.serving.jobs.chunks.chunk_rows import Chunk, divide, read_chunks
from app.serving.jobs.chunks.chunk_tables import LINE, read_table, write_table
from app.serving.jobs.job import READING, Job, JobState
from app.serving.jobs.job_files import JobFiles
from app.serving.jobs.jobs import Jobs, remove_expired, remove_inputs
from app.serving.jobs.queue.chunk_queue import ChunkQueue, Claim
from app.serving.models.hosted import HostedModel
from app.serving.models.predictor import Predictor
from app.serving.prediction_log.store import PredictionStore
from app.serving.process.memory import return_memory
from mlmodel.errors import FlmError, InvalidInput, TooLarge
from mlmodel.schema.subschemas import JsonSchema

log = logging.getLogger(__name__)

#: Seconds between two renewals of a lease, and between two looks for work.
RENEW_SECONDS = 5.0
LOOK_SECONDS = 0.5
#: The longest pause in seconds before the database of jobs is tried again.
LONGEST_PAUSE = 30.0
#: Maximum rows of a chunk whose predictions are explained, which takes seconds.
EXPLAINED_ROWS = 200
#: Seconds between two removals of expired jobs.
SWEEP_SECONDS = 60.0
#: Seconds after which a process restarts whose job was stopped while the model does not return.
STUCK_SECONDS = 30.0
#: The folder with a lock file for each process. A lock that is free belongs to a dead process.
LOCKS = "processes"


class StopJob(Exception):
    """The job cannot continue; the message is the reason."""


class LeaseLost(Exception):
    """The job was stopped, or another process has the chunk."""


class ModelSource(Protocol):
    """What loads the models of jobs."""

    predictor: Predictor

    def get_model(self, public_name: str, identity: str) -> HostedModel:
        """Return a loaded model with the given identity.

        :raises StopJob: if the model is not available, or has another identity.
        """


class JobRunner:
    """Runs jobs, one chunk at a time.

    :param restart: ends the process, which another one replaces.
    """

    def __init__(self, jobs: Jobs, models: ModelSource, restart: Callable[[], object]) -> None:
        self._jobs = jobs
        self._table, self._queue, self._files = jobs.table, jobs.queue, jobs.files
        self._models = models
        self._restart = restart
        self.name = f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._swept = 0.0
        self._was_interrupted = False

    def run(self, idle_seconds: float) -> None:
        """Run jobs until none has been active for some time.

        ``Stopped``, which a signal raises, releases the chunk of this process. That is no failure.

        :param idle_seconds: that time; ``math.inf`` to wait for jobs forever.
        """
        with _lock(self._files, self.name):
            try:
                self._run_until_idle(idle_seconds)
            finally:
                with suppress(JobsUnavailable):
                    self._queue.release(self.name, failures=0)

    def _run_until_idle(self, idle_seconds: float) -> None:
        idle_since, pause = time.monotonic(), LOOK_SECONDS
        while True:
            try:
                is_active = self._work()
                pause = LOOK_SECONDS
            except JobsUnavailable:
                log.warning("the database of jobs is tried again in %g s", pause)
                is_active, self._was_interrupted = True, True
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            if is_active:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since >= idle_seconds:
                return
            else:
                time.sleep(LOOK_SECONDS)

    def _work(self) -> bool:
        """Run a chunk if there is one; return whether any job is active."""
        if self._was_interrupted:
            self._queue.release(self.name, failures=0)
            self._was_interrupted = False
        self._sweep()
        if self.run_chunk():
            return True
        if not self._table.count_active():
            return False
        time.sleep(LOOK_SECONDS)  # another process has the last chunks
        return True

    def run_chunk(self) -> bool:
        """Run one chunk, and return true; return false if there is none to do."""
        _release_dead(self._queue, self._files)
        claim = self._queue.claim(self.name)
        if claim is None:
            return False
        try:
            with _Lease(self._queue, claim, self._restart) as lease:
                self._run(claim, lease)
        except LeaseLost:
            log.info("job %s: chunk %d was released", claim.job.id, claim.number)
        except StopJob as error:
            self._stop(claim.job, str(error))
        except JobsUnavailable:
            raise
        except (InsufficientStorage, UnreadableFile, FlmError, ServingError) as error:
            self._stop(claim.job, str(error))
        except Exception:
            if self._queue.renew(claim):
                # Another attempt may succeed; their number is limited.
                log.exception("job %s: chunk %d failed", claim.job.id, claim.number)
                self._queue.fail(claim)
            else:  # the job was cancelled, and its files may have been removed
                log.info("job %s: chunk %d was released", claim.job.id, claim.number)
        return True

    def _run(self, claim: Claim, lease: _Lease) -> None:
        model = self._models.get_model(claim.job.model, claim.job.identity)
        if claim.number == READING:
            _read_file(self._jobs, claim, model.input_schema or True, lease)
            self._queue.complete(claim, 0, 0)
        else:
            self._predict(claim, model, lease)
        remove_inputs(self._jobs, claim.job.id)

    def _predict(self, claim: Claim, model: HostedModel, lease: _Lease) -> None:
        job, number = claim.job, claim.number
        table = read_table(self._files.rows(job.id, number))
        if claim.attempt > 1:
            _forget(self._models.predictor, model.name, job.id, table)
        CALLER.set(Caller(job.id, job.owner or None, JOB))
        predictor = self._models.predictor
        extend = build_extend(
            predictor, model, job.explained, is_cautious=job.caution, proceed=lease.check
        )
        outcome = predict_chunk(predictor, model, table, lease.check, extend)
        with (
            self._files.writing(self._files.part(job.id, number, claim.attempt)) as part,
            self._files.writing(self._files.bad(job.id, number, claim.attempt)) as bad,
        ):
            write_outcome(table, outcome, part, bad, self._files.check_room)
        valid, invalid = len(outcome.places), len(outcome.invalid)
        del table, outcome
        # The columns of wide files are in cycles, and the collector seldom runs on its own.
        return_memory()
        if not self._queue.complete(claim, valid, invalid):
            raise LeaseLost

    def _stop(self, job: Job, reason: str) -> None:
        log.warning("job %s of model %r stopped: %s", job.id, job.model, reason)
        self._table.finish(job.id, JobState.FAILED, reason)

    def _sweep(self) -> None:
        """Remove the jobs whose results have expired."""
        if time.monotonic() - self._swept < SWEEP_SECONDS:
            return
        self._swept = time.monotonic()
        remove_expired(self._jobs)


def _read_file(jobs: Jobs, claim: Claim, schema: JsonSchema, lease: _Lease) -> None:
    """Divide the file of a job into chunks, and add them to the queue."""
    job, files, limits = claim.job, jobs.files, jobs.limits
    source = files.source(job.id)
    if not source.exists():
        raise StopJob("the file of the job is missing")

    # A job without room for all of it must not take that of others.
    files.check_room(0, [job])

    def proceed(size_bytes: int) -> None:
        lease.check()
        files.check_room(size_bytes)

    with (
        source.open("rb") as stream,
        closing(
            read_chunks(
                stream,
                job.form,
                schema,
                job.decimal,
                job.charset,
                max_depth=limits.max_depth,
                max_bytes=limits.max_bytes,
                folder=source.parent,
                proceed=proceed,
            )
        ) as chunks,
    ):
        found = _or_stop(chunks)
        if job.explained is not None:
            found = divide(found, EXPLAINED_ROWS)
        for number, chunk in enumerate(found, start=1):
            lease.check()
            _add_rows(jobs, job.id, number, chunk.table)
            if not jobs.queue.add(claim, number, len(chunk.table), chunk.read_bytes):
                raise LeaseLost
            return_memory()


def _or_stop(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Yield the chunks of a file.

    :raises StopJob: if the file cannot be read, naming the rows before the damage.
    """
    rows = 0
    try:
        for chunk in chunks:
            yield chunk
            rows += len(chunk.table)
    except (UnreadableFile, InvalidInput, TooLarge) as error:
        before = "No row was predicted"
        if rows:
            before = f"{rows:,} rows were read before, but a failed job has no result"
        raise StopJob(f"{error}. {before}: send the corrected file as a new job") from error


def _add_rows(jobs: Jobs, job_id: str, number: int, table: pa.Table) -> None:
    """Write the rows of a chunk, unless an earlier attempt at reading did."""
    rows = jobs.queue.get_rows(job_id, number)
    if rows is None:
        jobs.files.check_room(table.nbytes)
        with jobs.files.writing(jobs.files.rows(job_id, number)) as path:
            write_table(table, path, "lz4")
    elif rows != len(table):
        raise StopJob(
            "another version of Modelhost has read the beginning of the file in other chunks: "
            "create a new job"
        )


def _forget(predictor: Predictor, model: str, job_id: str, table: pa.Table) -> None:
    """Delete what an earlier attempt at a chunk has logged; the log must not fail a job."""
    lines = pc.min_max(table.column(LINE))
    try:
        store = PredictionStore(predictor.prediction_log.folder)
        store.forget_lines(model, job_id, lines["min"].as_py(), lines["max"].as_py())
    except (OSError, sqlite3.Error) as error:
        log.error("rows of job %s may be in the prediction log twice: %s", job_id, error)


class _Lease:
    """Renews the lease of a claim in a thread. Use it in a ``with`` statement."""

    def __init__(self, queue: ChunkQueue, claim: Claim, restart: Callable[[], object]) -> None:
        self._queue, self._claim, self._restart = queue, claim, restart
        self._is_over, self._is_lost = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> _Lease:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def check(self) -> None:
        """Check that the work may continue.

        :raises LeaseLost: if it may not.
        """
        if self._is_lost.is_set():
            raise LeaseLost

    def _renew(self) -> None:
        while not self._is_over.wait(RENEW_SECONDS):
            try:
                is_held = self._queue.renew(self._claim)
            except JobsUnavailable:  # it may be available again before the lease expires
                continue
            if not is_held:
                self._is_lost.set()
                if not self._is_over.wait(STUCK_SECONDS):
                    log.error("the model of a stopped job does not return: the process restarts")
                    self._restart()
                return


@contextmanager
def _lock(files: JobFiles, name: str) -> Iterator[None]:
    """Hold the lock file of a process."""
    folder = files.folder / LOCKS
    folder.mkdir(exist_ok=True)
    path = folder / name
    with path.open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _release_dead(queue: ChunkQueue, files: JobFiles) -> None:
    """Release the chunks of processes of this host that have died, before their leases expire.

    On a shared folder, a lock may hold only within its host: the lock of a live process of another
    host can be free.
    """
    for name in queue.list_processes():
        if name.rsplit("-", 2)[0] != platform.node():
            continue
        path = files.folder / LOCKS / name
        with suppress(OSError), path.open("rb") as stream:  # OSError: it is locked
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            log.warning("the process %s has died: its chunk is computed again", name)
            queue.release(name, failures=1)
            path.unlink(missing_ok=True)

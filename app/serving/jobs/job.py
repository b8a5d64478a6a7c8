"""A job, as clients see it, and its states."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

#: The number of the chunk whose work is to read the file, which creates the others.
READING = 0


class JobState(StrEnum):
    """The state of a job.

    waiting ──first chunk claimed──> running ──last chunk done──> done
       │                                │──error, full disk────> failed ────resume──> waiting
       └──────────cancel────────────────┴──────────────────────> cancelled ─resume──> waiting
    """

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE = (JobState.WAITING, JobState.RUNNING)
STOPPED = (JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True)
class Job:
    """A file whose rows a model predicts.

    ``model`` is its public name, and ``label`` its unique name. ``identity`` is that of the
    model's bytes at the start, see :func:`.get_identity`. ``owner`` is the id of the API key that
    created the job; empty without one. ``caution`` adds a column of the cautions about each row,
    ``explained`` columns of the reasons for an output; see :func:`.build_extend`.
    Times are seconds since 1970.
    """

    id: str
    model: str
    label: str
    identity: str
    owner: str
    file: str
    form: str
    decimal: str
    charset: str
    caution: bool
    explained: str | None
    size_bytes: int
    state: JobState = JobState.WAITING
    reason: str = ""
    read_bytes: int = 0
    created: float = field(default_factory=time.time)
    started: float | None = None
    finished: float | None = None
    expires: float | None = None


@dataclass(frozen=True)
class JobCount:
    """The jobs of an owner and a model in a state, and when the oldest of them was created.

    See :class:`Job` for the first three.
    """

    model: str
    label: str
    owner: str
    state: str
    jobs: int
    oldest: float


@dataclass(frozen=True)
class Progress:
    """How far a job is. ``rows`` are those read so far, ``expected`` those of the whole file.

    ``rate`` are the rows per second while processes work on the job.
    """

    rows: int
    valid: int
    invalid: int
    is_read: bool
    expected: int | None
    rate: float | None

    @property
    def done(self) -> int:
        """Rows that were predicted or rejected."""
        return self.valid + self.invalid

    @property
    def share(self) -> float:
        """The share of the rows that are done, from 0 to 1."""
        if self.is_read and self.done == self.rows:
            return 1.0
        return min(self.done / self.expected, 1.0) if self.expected else 0.0

    @property
    def seconds_left(self) -> float | None:
        """An estimate of the time until the last row is done."""
        if not self.rate or not self.expected:
            return None
        return max(self.expected - self.done, 0) / self.rate


def to_facts(job: Job, progress: Progress) -> dict[str, Any]:
    """Return a job as the API and the command line describe it."""
    return {
        "id": job.id,
        "model": job.model,
        "file": job.file,
        "format": job.form,
        "state": job.state,
        "reason": job.reason,
        "size_bytes": job.size_bytes,
        "caution": job.caution,
        "explain": job.explained is not None,
        "rows": {
            "read": progress.rows,
            "valid": progress.valid,
            "invalid": progress.invalid,
            "expected": progress.expected,
        },
        "progress": progress.share,
        "rows_per_second": progress.rate,
        "seconds_left": progress.seconds_left if job.state is JobState.RUNNING else None,
        "created": job.created,
        "started": job.started,
        "finished": job.finished,
        "expires": job.expires,
    }


#: The work on a chunk: when it was claimed, when it was done, and its rows.
Work = tuple[float, float, int]


def build_progress(job: Job, counts: Mapping[str, Any], work: Sequence[Work]) -> Progress:
    """Return the progress of a job.

    :param counts: sums over its chunks: ``rows``, ``valid``, ``invalid``, ``is_read``; none if it
        was removed meanwhile.
    :param work: on its last chunks that were done.
    """
    rows, is_read = int(counts.get("rows", 0)), bool(counts.get("is_read"))
    expected: int | None = rows if is_read else None
    if not is_read and job.read_bytes and rows:
        expected = max(rows, round(rows * job.size_bytes / job.read_bytes))
    return Progress(
        rows=rows,
        valid=int(counts.get("valid", 0)),
        invalid=int(counts.get("invalid", 0)),
        is_read=is_read,
        expected=expected,
        rate=get_rate(work),
    )


def get_rate(work: Sequence[Work]) -> float | None:
    """Return the rows per second, without the time in which no process worked on the job."""
    seconds = end = 0.0
    for claimed, done, _ in sorted(work):
        seconds += max(done - max(claimed, end), 0)
        end = max(end, done)
    return sum(rows for *_, rows in work) / seconds if seconds else None

"""The files that clients download from jobs: results, and invalid rows."""

from __future__ import annotations

from collections.abc import Iterator

from app.serving.errors import JobConflict
from app.serving.jobs.job import Job, JobState
from app.serving.jobs.jobs import Jobs


def get_result(jobs: Jobs, job: Job, form: str) -> Iterator[bytes]:
    """Return the predictions of a finished job as a file.

    :param form: one of the keys of :data:`.job_results.WRITERS`.
    :raises JobConflict: if the job is not done.
    """
    from app.serving.jobs import job_results  # noqa: PLC0415  pyarrow, which most servers need not

    if job.state is not JobState.DONE:
        raise JobConflict(f"the job is {job.state}: it has no result yet")
    chunks = jobs.queue.list_done(job.id)
    return job_results.WRITERS[form]([jobs.files.part(job.id, *each) for each in chunks])


def get_problems(jobs: Jobs, job: Job, form: str) -> Iterator[bytes]:
    """Return the invalid rows that were found so far as a file.

    :param form: ``csv``, to correct and send again, or ``ndjson``.
    """
    from app.serving.jobs import job_results  # noqa: PLC0415

    chunks = jobs.queue.list_done(job.id)
    bad = [jobs.files.bad(job.id, *each) for each in chunks]
    if form == "ndjson":
        return job_results.write_problems_ndjson(bad)
    parts = [jobs.files.part(job.id, *each) for each in chunks[:1]]
    sheet = job_results.read_sheet_of(parts[0]) if parts else None
    return job_results.write_problems(bad, sheet)

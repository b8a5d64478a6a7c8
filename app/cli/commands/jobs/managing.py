"""The group ``jobs``: create, list, stop and read jobs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import click

import config
from app.cli.hosting import Hosting, pass_hosting
from app.cli.terminal import (
    as_json_option,
    caution_option,
    command,
    decimal_option,
    explain_option,
    explain_output_option,
    file_option,
    get_format,
    write_facts,
    write_file,
    write_json,
    write_message,
    write_table,
)
from app.serving.jobs import downloads, job_results
from app.serving.jobs.job import Job, Progress, to_facts
from app.serving.jobs.jobs import FORMATS, Jobs
from app.serving.jobs.submission import create_job

#: Bytes of a file that are read at once.
PIECE_BYTES = 1 << 20
job_argument = click.argument("job_id", metavar="JOB")


@command("submit")
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@decimal_option
@explain_option
@explain_output_option
@caution_option
@as_json_option
@pass_hosting
def submit(  # noqa: PLR0917  click calls it, by name
    hosting: Hosting,
    name: str,
    file: Path,
    decimal: str | None,
    is_explained: bool,
    explained: str | None,
    is_cautious: bool,
    as_json: bool,
) -> None:
    """Create a job that predicts the rows of FILE with the model NAME.

    A server with the same JOBS_FOLDER runs it, or `modelhost work`.
    """
    form = get_format(file, "FILE", FORMATS, is_input=True)
    model = hosting.load_model(name)
    with file.open("rb") as stream:
        job = create_job(
            _jobs(hosting),
            model,
            _pieces(stream),
            form,
            size_bytes=file.stat().st_size,
            file=file.name,
            decimal=decimal or "",
            caution=is_cautious,
            explained=explained or ("" if is_explained else None),
        )
    _write(hosting, job, as_json)


@command("list")
@as_json_option
@pass_hosting
def list_jobs(hosting: Hosting, as_json: bool) -> None:
    """List the jobs, the newest first."""
    jobs = _jobs(hosting)
    found = jobs.table.find()
    progress = jobs.statistics.list_progress(found)
    if as_json:
        write_json({"jobs": list(map(to_facts, found, progress))})
        return
    listed = list(map(_describe, found, progress))
    if not listed:
        write_message("There are no jobs.")
    write_table(listed)


@command("show")
@job_argument
@as_json_option
@pass_hosting
def show(hosting: Hosting, job_id: str, as_json: bool) -> None:
    """Show the state of JOB and its progress."""
    _write(hosting, _jobs(hosting).table.get(job_id), as_json)


@command("cancel")
@job_argument
@as_json_option
@pass_hosting
def cancel(hosting: Hosting, job_id: str, as_json: bool) -> None:
    """Cancel JOB. It can be resumed."""
    jobs = _jobs(hosting)
    _write(hosting, jobs.cancel(jobs.table.get(job_id)), as_json)


@command("resume")
@job_argument
@as_json_option
@pass_hosting
def resume(hosting: Hosting, job_id: str, as_json: bool) -> None:
    """Continue JOB, which failed or was cancelled, with the rows that are not done."""
    jobs = _jobs(hosting)
    _write(hosting, jobs.resume(jobs.table.get(job_id)), as_json)


@command("remove")
@job_argument
@pass_hosting
def remove(hosting: Hosting, job_id: str) -> None:
    """Remove JOB, which is finished, and its results."""
    jobs = _jobs(hosting)
    jobs.remove(jobs.table.get(job_id))
    write_message(f"Removed the job {job_id}")


@command("result")
@job_argument
@file_option(
    "--output",
    required=True,
    help="A .csv, .json, .ndjson or .parquet file for the valid rows and their predictions.",
)
@pass_hosting
def result(hosting: Hosting, job_id: str, output: Path) -> None:
    """Write the result of JOB to a file."""
    form = get_format(output, "--output", job_results.FORMATS)
    jobs = _jobs(hosting)
    write_file(downloads.get_result(jobs, jobs.table.get(job_id), form), output)


@command("problems")
@job_argument
@file_option(
    "--output",
    required=True,
    help="A .csv file to correct and send again, or a .ndjson file.",
)
@pass_hosting
def problems(hosting: Hosting, job_id: str, output: Path) -> None:
    """Write the invalid rows of JOB, with line, field and reason, to a file."""
    form = get_format(output, "--output", job_results.PROBLEM_FORMATS)
    jobs = _jobs(hosting)
    write_file(downloads.get_problems(jobs, jobs.table.get(job_id), form), output)


def _jobs(hosting: Hosting) -> Jobs:
    return Jobs.from_settings(hosting.settings, config.get_folder(hosting.settings, "JOBS_FOLDER"))


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(PIECE_BYTES):
        yield piece


def _write(hosting: Hosting, job: Job, as_json: bool) -> None:
    [progress] = _jobs(hosting).statistics.list_progress([job])
    if as_json:
        write_json(to_facts(job, progress))
        return
    write_facts(_describe(job, progress).items())


def _describe(job: Job, progress: Progress) -> dict[str, Any]:
    return {
        "id": job.id,
        "model": job.model,
        "file": job.file,
        "state": str(job.state),
        "progress": f"{progress.share:.1%}",
        "rows": progress.expected,
        "valid": progress.valid,
        "invalid": progress.invalid,
        "rows per second": progress.rate and round(progress.rate),
        "seconds left": None
        if job.finished
        else progress.seconds_left and round(progress.seconds_left),
        "created": _format_time(job.created),
        "expires": job.expires and _format_time(job.expires),
        # Last, because it may be long, and shorter cells are padded.
        "reason": job.reason,
    }


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")

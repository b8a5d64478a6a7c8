"""Jobs over HTTP: files of any number of rows, predicted in the background."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from flask import Blueprint, Response, current_app, g, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import (
    BadRequest,
    Forbidden,
    UnsupportedMediaType,
)

from app.serving.errors import JobNotFound
from app.serving.jobs import downloads
from app.serving.jobs.job import Job, JobCount, Progress, to_facts
from app.serving.jobs.jobs import Jobs
from app.serving.jobs.submission import create_job
from app.serving.tables import encodings, tables
from app.web.api import prediction
from app.web.api.bodies.request_body import ANY_FILE, TABLES, UTF_8, reading_to_its_end
from app.web.api.schemas import JobDocument, JobList
from app.web.http import access
from app.web.http.access.keys import Scope
from app.web.http.extension import modelhost
from app.web.http.query import check_query, read_choice, read_count, read_flag

blueprint = Blueprint("jobs", __name__, url_prefix="/api")

#: Media types of files of rows, and their format. The content decides between CSV, workbooks and
#: Parquet if the type is not precise.
FORMS: Mapping[str, str] = {
    **dict.fromkeys((*TABLES, ANY_FILE), "csv"),
    **dict.fromkeys(("application/vnd.apache.parquet", "application/x-parquet"), tables.PARQUET),
    **dict.fromkeys(("application/x-ndjson", "application/jsonl", "application/ndjson"), "ndjson"),
}
#: Content codings that a body may have. It is stored as it is, since the content shows which one.
ENCODINGS = ("identity", "gzip", "zstd")
#: Formats of results with their media type; the first is the default.
RESULTS = {
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
PROBLEMS = {name: RESULTS[name] for name in ("csv", "ndjson")}
#: Jobs of one response, by default and at most.
PAGE_JOBS, MOST_JOBS = 50, 200
#: A place in the list of jobs: the time and the id of a job.
PLACE = re.compile(r"([0-9]{1,12}(?:[.][0-9]{1,9})?),([0-9a-f]{20})")
#: Bytes of a body that are read at once.
PIECE_BYTES = 1 << 20


@blueprint.post("/models/<name>/versions/<version>/jobs")
@blueprint.post("/models/<name>/jobs")
def submit(name: str, version: str | None = None) -> ResponseReturnValue:
    """Create a job.
    ---
    post:
      summary: Create a job
      description: >-
        Predicts the rows of a file in the background. The body is the file: CSV, an .xlsx
        workbook or Parquet, whose content decides which it is, or NDJSON with `Content-Type:
        application/x-ndjson`; the media types of the others, such as `text/csv`, are accepted too.
        It may have up to `JOBS_MAX_BYTES`, and any number of rows. Valid rows are predicted even if
        others are invalid. A file whose beginning shows that no row can be read, such as one
        without a header, is rejected at once; so is a short compressed file that is cut off. The
        body may be compressed with gzip or zstd, with or without `Content-Encoding`;
        `JOBS_MAX_BYTES` limits what it expands to.
      operationId: createJob
      parameters:
        - {name: file, in: query, description: The name of the file., schema: {type: string}}
        - name: decimal
          in: query
          description: The decimal mark of a CSV file, if its numbers are ambiguous.
          schema: {enum: [".", ","]}
        - name: caution
          in: query
          description: >-
            Whether the result has a column `caution`: the values of the row outside the data that
            the model was trained on.
          schema: {type: boolean, default: false}
        - name: explain
          in: query
          description: >-
            Whether the result has the columns `why_1`, `why_2` and `why_3`: the three largest
            effects on each prediction, see `/api/models/{name}/explain`. It takes as long as
            thousands of predictions for each row.
          schema: {type: boolean, default: false}
        - name: output
          in: query
          description: >-
            The value of the predictions to explain, by its JSON Pointer or its name; implies
            `explain`. By default, the main one.
          schema: {type: string}
      requestBody:
        required: true
        content:
          application/octet-stream: {schema: {type: string, format: binary}}
      responses:
        202:
          description: The job, which is waiting.
          headers:
            Location: {description: The path of the job., schema: {type: string}}
          content: {application/json: {schema: JobDocument}}
        400: InvalidQuery
        403: Forbidden
        422: CannotExplain
        429: TooManyJobs
        503: JobsUnavailable
        507: InsufficientStorage
    """
    if not current_app.config["JOBS_MAX_BYTES"]:
        raise Forbidden("this server accepts no jobs: JOBS_MAX_BYTES is 0")
    check_query("file", "decimal", "caution", "explain", "output")
    decimal, caution = read_choice("decimal", ("", ".", ",")), read_flag("caution")
    model = modelhost().manager.get_loaded(prediction.to_public_name(name, version))
    model.acquire()
    model.release()
    form = FORMS.get(request.mimetype)
    if form is None:
        got = request.mimetype or "none"
        raise UnsupportedMediaType(f"Content-Type must be one of {', '.join(FORMS)}, got {got}")
    encoding = request.headers.get("Content-Encoding") or ENCODINGS[0]
    if encoding.lower() not in ENCODINGS:
        raise UnsupportedMediaType(f"Content-Encoding must be gzip or zstd, got {encoding}")
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    codec = encodings.get_codec(charset)
    job = create_job(
        _jobs(),
        model,
        _pieces(),
        form,
        size_bytes=request.content_length or 0,
        owner=g.key.id if g.key else "",
        file=request.args.get("file", ""),
        decimal=decimal,
        charset="" if charset in UTF_8 else codec.removesuffix("-sig"),
        caution=caution,
        explained=_read_explained(),
    )
    location = {"Location": url_for("jobs.get", job_id=job.id)}
    return jsonify(JobDocument().dump(to_document(job))), 202, location


@blueprint.get("/jobs")
def index() -> ResponseReturnValue:
    """List the jobs.
    ---
    get:
      summary: List the jobs
      description: >-
        The jobs of the API key, the newest first; of all keys for an admin key. `next` is the path
        of the jobs that follow. A response may have fewer than `limit` jobs even if others follow.
      operationId: listJobs
      parameters:
        - name: limit
          in: query
          description: The maximum number of jobs.
          schema: {type: integer, minimum: 1, maximum: 200, default: 50}
        - name: after
          in: query
          description: The place in the list, as `next` has it.
          schema: {type: string, pattern: "^[0-9]{1,12}([.][0-9]{1,9})?,[0-9a-f]{20}$"}
      responses:
        200:
          description: The jobs.
          content: {application/json: {schema: JobList}}
        400: InvalidBody
        503: JobsUnavailable
    """
    check_query("limit", "after")
    limit = read_count("limit", PAGE_JOBS, MOST_JOBS)
    found = _jobs().table.find(_owner(), _read_place(), limit + 1)
    shown = [job for job in found[:limit] if access.can_see(job.model)]
    following = None
    if len(found) > limit:
        last = found[limit - 1]
        following = url_for("jobs.index", limit=limit, after=f"{last.created!r},{last.id}")
    return jsonify(JobList().dump({"jobs": to_documents(shown), "next": following}))


@blueprint.get("/jobs/<job_id>")
def get(job_id: str) -> ResponseReturnValue:
    """Describe a job.
    ---
    get:
      summary: Describe a job
      operationId: getJob
      responses:
        200:
          description: The job.
          content: {application/json: {schema: JobDocument}}
    """
    check_query()
    return jsonify(JobDocument().dump(to_document(find_job(job_id))))


@blueprint.get("/jobs/<job_id>/result")
def result(job_id: str) -> ResponseReturnValue:
    """Return the valid rows of a job with their predictions.
    ---
    get:
      summary: Download the result of a job
      description: >-
        The valid rows in the order of the file: their line, the columns of the file, and those of
        the prediction.
      operationId: getJobResult
      parameters:
        - name: as
          in: query
          schema: {enum: [csv, ndjson, parquet], default: csv}
        - name: bom
          in: query
          description: Whether CSV begins with a byte order mark, as spreadsheets require.
          schema: {type: boolean, default: false}
      responses:
        200:
          description: The file.
          content:
            text/csv: {schema: {type: string}}
            application/x-ndjson: {schema: {type: string}}
            application/vnd.apache.parquet: {schema: {type: string, format: binary}}
        409: JobConflict
    """
    check_query("as", "bom")
    form = read_choice("as", tuple(RESULTS))
    job = find_job(job_id)
    return _file(job, "predictions", form, downloads.get_result(_jobs(), job, form))


@blueprint.get("/jobs/<job_id>/problems")
def problems(job_id: str) -> ResponseReturnValue:
    """Return the invalid rows of a job.
    ---
    get:
      summary: Download the invalid rows of a job
      description: >-
        The invalid rows that were found so far. As CSV, they have the columns of the file behind
        `line (job)` and `problem (job)`, so that they can be corrected and sent again. As NDJSON,
        each has the pointer and the detail of each problem.
      operationId: getJobProblems
      parameters:
        - name: as
          in: query
          schema: {enum: [csv, ndjson], default: csv}
        - name: bom
          in: query
          description: Whether CSV begins with a byte order mark, as spreadsheets require.
          schema: {type: boolean, default: false}
      responses:
        200:
          description: The file.
          content:
            text/csv: {schema: {type: string}}
            application/x-ndjson: {schema: {type: string}}
    """
    check_query("as", "bom")
    form = read_choice("as", tuple(PROBLEMS))
    job = find_job(job_id)
    return _file(job, "problems", form, downloads.get_problems(_jobs(), job, form))


@blueprint.post("/jobs/<job_id>/cancel")
def cancel(job_id: str) -> ResponseReturnValue:
    """Cancel a job that is not finished.
    ---
    post:
      summary: Cancel a job
      description: Cancels a job that is not finished, which can then be resumed.
      operationId: cancelJob
      responses:
        200:
          description: The job.
          content: {application/json: {schema: JobDocument}}
        409: JobConflict
    """
    check_query()
    return jsonify(JobDocument().dump(to_document(_jobs().cancel(find_job(job_id)))))


@blueprint.post("/jobs/<job_id>/resume")
def resume(job_id: str) -> ResponseReturnValue:
    """Continue a job that failed or was cancelled.
    ---
    post:
      summary: Resume a job
      description: Continues a failed or cancelled job with the rows that are not done.
      operationId: resumeJob
      responses:
        200:
          description: The job.
          content: {application/json: {schema: JobDocument}}
        409: JobConflict
        429: TooManyJobs
        507: InsufficientStorage
    """
    check_query()
    return jsonify(JobDocument().dump(to_document(_jobs().resume(find_job(job_id)))))


@blueprint.delete("/jobs/<job_id>")
def delete(job_id: str) -> ResponseReturnValue:
    """Remove a finished job.
    ---
    delete:
      summary: Remove a job
      description: Removes a finished job with its results.
      operationId: deleteJob
      responses:
        204:
          description: The job is removed.
        409: JobConflict
    """
    check_query()
    _jobs().remove(find_job(job_id))
    return "", 204


def find_job(job_id: str) -> Job:
    """Return a job that the client may see.

    :raises JobNotFound: if there is none.
    """
    job = _jobs().table.get(job_id)
    if not can_see(job):
        raise JobNotFound(job_id)
    return job


def can_see(job: Job | JobCount) -> bool:
    """Return whether the client may see a job, or jobs that are counted."""
    return access.can_see(job.model) and _owner() in {None, job.owner}


def to_document(job: Job) -> dict[str, Any]:
    """Return the facts of a job for :class:`JobDocument`."""
    [document] = to_documents([job])
    return document


def to_documents(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Return the facts of jobs, as :func:`to_document` does."""
    progress = _jobs().statistics.list_progress(jobs)
    return [_to_document(*each) for each in zip(jobs, progress, strict=True)]


def _to_document(job: Job, progress: Progress) -> dict[str, Any]:
    return {
        **to_facts(job, progress),
        **_name_owner(job),
        "links": {
            name: url_for(f"jobs.{view}", job_id=job.id)
            for name, view in (("self", "get"), ("result", "result"), ("problems", "problems"))
        },
    }


def _name_owner(job: Job) -> dict[str, str]:
    """Return the name of the key of a job, or the id of one that was removed, for an admin key."""
    if _owner() is not None:
        return {}
    key = modelhost().access_control.keys.get(job.owner)
    return {"owner": key.name if key else job.owner}


def _jobs() -> Jobs:
    return modelhost().jobs


def _read_explained() -> str | None:
    """Return the output to explain; empty for the main one, ``None`` to explain nothing.

    :raises BadRequest: if the query has an output, but not to explain it.
    """
    output = request.args.get("output", "")
    if "explain" not in request.args:
        return output or None
    is_explained = read_flag("explain")
    if output and not is_explained:
        raise BadRequest("'output' selects what to explain; omit it, or send explain=true")
    return output if is_explained else None


def _read_place() -> tuple[float, str] | None:
    """Return the time and the id of the job behind which the list begins.

    :raises BadRequest: if the query has another place than ``next`` in a response.
    """
    if "after" not in request.args:
        return None
    match = PLACE.fullmatch(request.args["after"])
    if match is None:
        raise BadRequest("expected 'after' as in 'next' of a response")
    return float(match[1]), match[2]


def _owner() -> str | None:
    """Return the owner of the jobs that the client may see; ``None`` if it may see all."""
    if g.key is None:
        return ""
    return None if g.key.has_scope(Scope.ADMIN) else str(g.key.id)


def _pieces() -> Iterator[bytes]:
    """Yield the body of the current request."""
    # One more, so that the job rejects a body without Content-Length, with its own limit.
    request.max_content_length = current_app.config["JOBS_MAX_BYTES"] + 1
    size = 0
    with reading_to_its_end():
        while piece := request.stream.read(PIECE_BYTES):
            size += len(piece)
            yield piece
    if size < (request.content_length or 0):
        raise BadRequest("the body ends before its Content-Length")


def _file(job: Job, kind: str, form: str, pieces: Iterator[bytes]) -> Response:
    if read_flag("bom") and form == "csv":
        pieces = chain([codecs.BOM_UTF8], pieces)
    response = Response(pieces, content_type=RESULTS[form])
    name = f"{job.model.partition('@')[0]}-{kind}-{job.id[:8]}.{form}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response

"""Creating jobs: saving and checking what was sent."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator

from app.serving.errors import FileTooLarge, TooManyJobs
from app.serving.explaining.added_columns import check_columns
from app.serving.jobs.job import Job
from app.serving.jobs.jobs import Jobs
from app.serving.json_text import to_json
from app.serving.models.hosted import HostedModel
from mlmodel.files.packaged import PackagedModel

#: Characters of a file's name that are kept, and those that databases reject or terminals run.
MAX_NAME = 200
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def create_job(
    jobs: Jobs,
    model: HostedModel,
    pieces: Iterator[bytes],
    form: str,
    *,
    size_bytes: int = 0,
    owner: str = "",
    file: str = "",
    decimal: str = "",
    charset: str = "",
    caution: bool = False,
    explained: str | None = None,
) -> Job:
    """Create a job for a file.

    :param pieces: the content of the file.
    :param form: one of the values of :data:`.jobs.FORMATS`.
    :param size_bytes: its size, if the client states it.
    :param owner: the id of the API key.
    :param file: its name, to be shown.
    :param caution: whether the result has a column of cautions.
    :param explained: the output whose reasons are columns of the result, see
        :func:`.build_extend`.
    :raises NoProfile: if the model has no cautions.
    :raises CannotExplain: if it has no reasons, no such output, or needs one.
    :raises TooManyJobs: if the owner has too many unfinished jobs.
    :raises FileTooLarge: if the file is larger than the limit.
    :raises InsufficientStorage: if the disk has no room.
    :raises InvalidInput: if its beginning shows that no row can be read.
    :raises UnreadableFile: if its encoding is another.
    """
    check_columns(model, explained, is_cautious=caution)
    if jobs.table.count_active(owner) >= jobs.limits.per_key:
        raise TooManyJobs(jobs.limits.per_key)
    if size_bytes > jobs.limits.max_bytes:
        raise FileTooLarge(jobs.limits.max_bytes)
    job_id = secrets.token_hex(10)
    jobs.files.create(job_id)
    try:
        limited = _limit(pieces, jobs.limits.max_bytes)
        size = jobs.files.save(job_id, limited, size_bytes, jobs.table.list_active())
        jobs.files.check_beginning(job_id, form, model.input_schema or True, charset)
        job = Job(
            id=job_id,
            model=model.public_name,
            label=model.unique_name,
            identity=get_identity(model),
            owner=owner,
            file=UNPRINTABLE.sub("\ufffd", file)[:MAX_NAME],
            form=form,
            decimal=decimal,
            charset=charset,
            caution=caution,
            explained=explained,
            size_bytes=size,
        )
        # Others may have been created during the upload.
        jobs.files.check_room(0, [*jobs.table.list_active(), job])
        jobs.table.add(job, jobs.limits.per_key)
    except BaseException:
        jobs.files.remove(job_id)
        raise
    jobs.wake()
    return job


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


def _limit(pieces: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > max_bytes:
            raise FileTooLarge(max_bytes)
        yield piece

"""Errors of hosting and calling models.

    ServingError
    ├── InvalidCatalog        models.yaml has mistakes
    ├── ModelNotFound         no model or version of that name
    ├── EndpointNotFound      the model has no endpoint of that name
    ├── ArtifactNotFound      the model has no such file, or does not offer it
    ├── CannotExplain         the prediction of a row cannot be explained
    ├── NoProfile             cautions need a reference profile, which the model does not have
    ├── ModelUnavailable      the model is not loaded
    ├── QueueFull             the model's queue is full
    ├── TooManyRows           a request has more rows than the limit
    ├── TooFewRows            a reference profile needs more logged rows
    ├── UnreadableFile        a file of rows cannot be read
    ├── InvalidTensor         a request of the Open Inference Protocol has mistakes
    ├── PredictionTimeout     the model exceeded its time limit
    ├── RemoteUnavailable     the server of a remote model cannot be reached, or fails
    ├── RemoteTimeout         the server of a remote model exceeded the time limit
    ├── RemoteFailed          the server of a remote model sent an unusable response
    ├── RemoteLoop            the entries of remote models form a loop
    ├── NoRoom                the folder of the shared state cannot be used
    ├── StateDamaged          the file of the shared state is damaged
    ├── PredictionNotLogged   a truth is for a prediction that is not in the log
    ├── TruthExists           another user gave another truth of the prediction
    ├── AmbiguousPrediction   a truth may be for several predictions
    ├── LogUnavailable        the prediction log cannot be read or written
    ├── FileTooLarge          the file of a job exceeds the limit
    ├── InsufficientStorage   the disk has no room for the files of a job
    ├── JobsUnavailable       the database of jobs cannot be used
    ├── JobNotFound           no job of that id, or its results have expired
    ├── JobConflict           the state of the job does not allow the operation
    ├── TooManyJobs           the key has the maximum number of unfinished jobs
    ├── PredictionFailed      the model raised an error
    └── InvalidPrediction     the prediction violates the output schema or is not JSON

Errors carry their facts as attributes and are independent of HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlmodel.errors import BrokenModel, FlmError


class Stopped(SystemExit):
    """A signal ends the process. No other code handles this, and no model raised it."""


class ServingError(Exception):
    """Base class of errors of hosting and calling models.

    ``detail`` is the message for the author and the operator. It may quote values and errors of
    the model's own code, which the message does not contain.
    """

    def __init__(self, message: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail or message
        if detail:
            self.add_note(detail)  # tracebacks in the log contain it


@dataclass(frozen=True)
class Mistake:
    """One mistake in a YAML file: its line, its key, and what is expected.

    The line counts from 1; it is ``None`` if the mistake concerns the whole file.
    """

    line: int | None
    key: str
    detail: str

    def place(self, file: str) -> str:
        """Return file, line and key, without the value there."""
        return (
            f"{file}: {self.key}" if self.line is None else f"{file}, line {self.line}: {self.key}"
        )


class InvalidCatalog(ServingError):
    """``models.yaml`` has mistakes; the message lists all of them."""

    def __init__(self, path: Path, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(f"{each.place(path.name)} {each.detail}" for each in mistakes))
        self.path = path
        self.mistakes = tuple(mistakes)

    @property
    def places(self) -> list[str]:
        """File, line and key of each mistake, without the value there."""
        return [each.place(self.path.name) for each in self.mistakes]


class ModelNotFound(ServingError):
    """No model of that name, or no such version of it, is hosted."""

    def __init__(self, name: str, version: str = "") -> None:
        unknown = f"the model {name!r} has no version or alias {version!r}"
        super().__init__(unknown if version else f"unknown model {name!r}")
        self.name = name
        self.version = version


class EndpointNotFound(ServingError):
    """The model has no endpoint of that name."""

    def __init__(self, name: str, endpoint: str) -> None:
        super().__init__(f"the model {name!r} has no endpoint {endpoint!r}")
        self.name = name
        self.endpoint = endpoint


class ArtifactNotFound(ServingError):
    """The model has no file of that name, or ``models.yaml`` does not offer it."""

    def __init__(self, name: str, artifact: str) -> None:
        super().__init__(f"the model {name!r} has no artifact {artifact!r}")
        self.name = name
        self.artifact = artifact


class CannotExplain(ServingError):
    """The prediction of a row cannot be explained; the text gives the reason, and what to do."""


class NoProfile(ServingError):
    """Cautions need a reference profile, which the model does not have."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the model {name!r} has no reference profile with which rows are compared: omit "
            "`caution`, or store one with dump(..., sample=X). A reference of logged predictions "
            "serves drift only"
        )


class ModelUnavailable(ServingError):
    """The model is not loaded; ``status`` and ``reason`` describe its state."""

    def __init__(self, name: str, status: str, reason: str | None) -> None:
        super().__init__(f"the model {name!r} is {status}" + (f": {reason}" if reason else ""))
        self.name = name
        self.status = status
        self.reason = reason


class QueueFull(ServingError):
    """The model's queue already holds ``limit`` calls."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the queue for this model is full ({limit} requests)")
        self.limit = limit


class TooManyRows(ServingError):
    """A request has more rows than the limit."""

    def __init__(self, limit: int, rows: int) -> None:
        super().__init__(f"expected at most {limit:,} rows, got {rows:,}")
        self.limit = limit
        self.rows = rows


class TooFewRows(ServingError):
    """A reference profile needs more logged predictions than there are."""

    def __init__(self, needed: int, rows: int) -> None:
        super().__init__(f"expected at least {needed:,} logged predictions, got {rows:,}")
        self.needed = needed
        self.rows = rows


class UnreadableFile(ServingError):
    """A file of rows cannot be read: its encoding or format is not supported, or it is broken."""


class InvalidTensor(ServingError):
    """A request of the Open Inference Protocol has mistakes, or does not fit the model's rows."""


class PredictionTimeout(ServingError):
    """The model exceeded its time limit."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the model took longer than {seconds:g} seconds")
        self.seconds = seconds


class RemoteUnavailable(ServingError):
    """The server of a remote model cannot be reached, or fails.

    ``retry_seconds`` is when it may respond again, if it sent that. ``detail`` also has the text
    that it sent.
    """

    def __init__(self, message: str, retry_seconds: int | None = None, text: str = "") -> None:
        super().__init__(message, f"{message}: {text}" if text else "")
        self.retry_seconds = retry_seconds


class RemoteTimeout(ServingError):
    """The server of a remote model exceeded the time limit."""


class RemoteFailed(ServingError):
    """The server of a remote model sent a response that cannot be used."""


class RemoteLoop(ServingError):
    """A request to a remote model has passed the model before."""


class NoRoom(ServingError):
    """The folder of the shared state is full or missing."""

    def __init__(self, error: OSError) -> None:
        super().__init__(
            "nothing was changed: the server's temporary folder (TMPDIR) cannot be used: "
            f"{error.strerror}"
        )


class StateDamaged(ServingError):
    """The file of the shared state is damaged: the models cannot change until a restart."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"nothing was changed: expected a JSON object in {name}, which is damaged; "
            "restart the server"
        )


class PredictionNotLogged(ServingError):
    """The prediction is not in the prediction log of the model."""


class TruthExists(ServingError):
    """Another user has stored another truth for the prediction with this request id and index."""

    def __init__(self, request_id: str, index: int, where: str = "") -> None:
        super().__init__(
            f"another user has already stored a truth for request {request_id!r}, row "
            f"{index}{where}; only that user, a key with the scope 'admin' or the command 'truth' "
            "can replace it"
        )
        self.request_id = request_id
        self.index = index


class AmbiguousPrediction(ServingError):
    """Several predictions, which ``found`` describes, have the request id and index of a truth."""

    def __init__(self, request_id: str, index: int, found: str, where: str = "") -> None:
        super().__init__(
            f"{found} have the request id {request_id!r} and row {index}{where}: send the 'time' "
            "of one too, as exports of the log have it"
        )
        self.request_id = request_id
        self.index = index


class LogUnavailable(ServingError):
    """The prediction log cannot be read or written."""


class PredictionFailed(ServingError):
    """The model raised an error, which is this error's ``__cause__``."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the model {name!r} failed")
        self.name = name


class InvalidPrediction(ServingError):
    """The prediction violates the model's output schema, or cannot be written as JSON."""


class FileTooLarge(ServingError):
    """The file of a job has more than ``limit_bytes``."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"expected at most {limit_bytes:,} bytes; see JOBS_MAX_BYTES")
        self.limit_bytes = limit_bytes


class InsufficientStorage(ServingError):
    """The disk has no room for the files of a job."""

    def __init__(self, free_bytes: int, reserve_bytes: int, needed_bytes: int = 0) -> None:
        needed = f", and at least {needed_bytes:,} are needed for it and jobs before it"
        super().__init__(
            f"the disk has no room for the files of the job: {free_bytes:,} bytes are free, of "
            f"which {reserve_bytes:,} stay free (JOBS_FREE_BYTES){needed if needed_bytes else ''}; "
            "remove finished jobs or other files, or have the operator do so, then try again"
        )
        self.free_bytes = free_bytes
        self.reserve_bytes = reserve_bytes


class JobsUnavailable(ServingError):
    """The database of jobs cannot be reached, read or written."""

    def __init__(self, *, is_disk_full: bool = False) -> None:
        reason = ": the disk is full. Free space on it, or have the operator do so, then try again"
        super().__init__(
            "the database of jobs is not available"
            f"{reason if is_disk_full else '; try again later'}"
        )


class JobNotFound(ServingError):
    """There is no job of that id, or its results have expired."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"unknown job {job_id!r:.60}; it may have expired")
        self.job_id = job_id


class JobConflict(ServingError):
    """The state of the job does not allow the operation."""


class TooManyJobs(ServingError):
    """The key has ``limit`` unfinished jobs."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"there are already {limit} unfinished jobs (JOBS_PER_KEY); wait for one to finish, or "
            "cancel one"
        )
        self.limit = limit


def get_failure_text(error: BaseException) -> str:
    """Return the public reason for an error; the log has the details."""
    if isinstance(error, BrokenModel):
        return f"{error.summary}; see the log"
    if isinstance(error, FlmError | ServingError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return f"the module {error.name!r} is not installed"
    if isinstance(error, OSError) and error.strerror:
        return f"a file that it needs cannot be read: {error.strerror}"
    return f"it raised {type(error).__name__} while loading; see the log"


def get_failure_detail(error: BaseException) -> str:
    """Return the reason for an error and the model's own error, for its author and the operator."""
    if isinstance(error, ModuleNotFoundError):
        return get_failure_text(error)
    if isinstance(error, OSError) and error.filename:
        return f"{get_failure_text(error)}: {error.filename}"
    if not isinstance(error, FlmError | ServingError):
        return f"loading raised {type(error).__name__}: {error}"
    text = error.detail if isinstance(error, ServingError) else str(error)
    cause = error.__cause__
    if cause is None or (str(cause) and str(cause) in text):
        return text
    return f"{text}: {type(cause).__name__}: {cause}"

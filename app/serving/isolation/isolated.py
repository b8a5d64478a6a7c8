"""A model in its own process, or in one that it shares, see process_supervisor.py.

A crash fails only the running call, a process that hangs is killed after the time limit, and its
memory is limited. Each time, a new process loads the model again at once.

Why not gunicorn's dirty workers, or a pool of processes: docs/operations.md, "Isolation".
"""

from __future__ import annotations

import logging
import pickle
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from app.serving.calls.limits import Limits, format_rate
from app.serving.calls.methods import PREDICT
from app.serving.catalog.model_spec import ModelSpec
from app.serving.errors import (
    ArtifactNotFound,
    InvalidPrediction,
    ModelUnavailable,
    PredictionTimeout,
    ServingError,
    get_failure_text,
)
from app.serving.isolation.process_supervisor import ProcessSupervisor, shared_process
from app.serving.isolation.protocol import Bounds
from mlmodel.bounded import safe_open
from mlmodel.bounded.child_process import ProcessEnded
from mlmodel.declarations.endpoints import Endpoint
from mlmodel.errors import FlmError, InvalidFile, InvalidInput, Violation
from mlmodel.model import MLModel

log = logging.getLogger(__name__)

#: Attributes that the process reports of a model, besides its endpoints and artifacts.
REPORTED = (
    *("description", "display_name", "example_names", "examples", "input_schema", "is_row_wise"),
    *("metadata", "notes", "output_schema", "qualified_name", "replaces_missing", "unsandboxed"),
    "version",
)


class LoadFailed(ServingError):
    """The model could not be created or loaded in its process. The message is safe to publish."""


class ModelRaised(Exception):
    """The model raised an error in its process; a note has the traceback."""

    def __init__(self, description: Mapping[str, Any]) -> None:
        super().__init__(f"{description['kind']}: {description['text']}")
        if description["trace"]:
            self.add_note(description["trace"])


class IsolatedModel(MLModel):
    """A model whose calls run in another process. Thread safe.

    The process runs one call at a time for all its models; other callers wait.

    :param fail: called once, with the reason, when the model has failed too often.
    """

    returns_json = True
    survives_fork = False
    metadata: Mapping[str, Any] = {}
    #: The endpoints that the model's author has marked, besides predict.
    endpoints: Mapping[str, Endpoint]
    #: Why the process is not sandboxed; empty if it is.
    unsandboxed = ""

    def __init__(self, spec: ModelSpec, limits: Limits, fail: Callable[[str], None]) -> None:
        self._spec = spec
        self._limits = limits
        self._load_seconds = spec.load_seconds or limits.load_seconds
        self._fail = fail
        #: Whether to load the model again when its process is replaced.
        self.is_loaded = False
        self._failures = _Failures(limits.crashes, limits.crash_seconds)
        self._process = shared_process() if spec.shares_process else _own_process(spec)
        self._key = self._process.members.join(self)
        with self._leaving_on_error(), self._process.lock():
            self._create()

    @property
    def schemas_need_load(self) -> bool:
        """Whether the process has not reported the schemas yet."""
        return "endpoints" not in vars(self)

    def load(self) -> None:
        """Load the model in its process.

        :raises LoadFailed: if loading fails, exceeds its time limit, or ends the process.
        """
        with self._leaving_on_error(), self._process.lock():
            if not self._process.is_created(self._key):
                self._create()
            self._order("load")
            self.is_loaded = True

    def open_artifact(self, name: str) -> BinaryIO:
        """Open an artifact of the model, if the process may read it.

        A sandboxed process may report the path of any file, or replace its own file by a link.

        :raises ArtifactNotFound: if the process may not read the file.
        :raises PredictionTimeout: if a call occupies the process for longer than its time limit.
        """
        if not self._spec.is_sandboxed:
            return self.artifacts[name].open("rb")
        with self._process.lock(self._limits.seconds):
            readable = [Path(self._process.own_folder), *self._spec.reads]
        if self._spec.file is not None:
            readable.append(self._spec.file)
        try:
            return _open_within(self.artifacts[name], readable)
        except (OSError, InvalidFile) as error:
            raise ArtifactNotFound(self.qualified_name, name) from error

    def unload(self) -> None:
        """Unload the model, and end its process if it holds no other model."""
        self.is_loaded = False
        self._process.leave(self._key)

    def predict(self, row: Any) -> Any:
        """Return the prediction for a row."""
        return self.predict_rows([row])[0]

    def predict_rows(self, rows: Sequence[Any]) -> Any:
        """Return the predictions for rows."""
        return self.call_endpoint(PREDICT, rows)

    def call_endpoint(self, endpoint: str, rows: Sequence[Any]) -> Any:
        """Return the model's predictions for rows at an endpoint.

        :raises PredictionTimeout: after the time limit. A started call is ended with its process.
        :raises ModelUnavailable: if the process could not load the model again.
        :raises ProcessEnded: if the process ends during the call.
        :raises ModelRaised: if the model raises an error other than ``InvalidInput``.
        """
        seconds = self._limits.seconds
        with self._process.lock(seconds):
            if not self._process.wait_until_loaded(self._key, seconds):
                raise ModelUnavailable(self.qualified_name, "failed", "its process exited")
            try:
                response = self._process.run(seconds, self._key, "predict", endpoint, rows)
            except TimeoutError:
                log.error(
                    "model %r exceeded its time limit: its process is replaced", self.qualified_name
                )
                raise PredictionTimeout(seconds) from None
            except ProcessEnded as error:
                self.count_end(str(error))
                raise
            if response.get("raised", {}).get("is_short_of_memory"):
                log.error("model %r is out of memory: its process is replaced", self.qualified_name)
                self._process.replace()
        return _result_of(response)

    def reload(self) -> bool:
        """Load the model again in a new process, which the caller has locked.

        :returns: false if the caller should try again.
        """
        if not self.is_loaded:
            return True
        try:
            self._create()
            self._order("load")
        except ServingError as error:
            self._count_failure("reloading failed", str(error))
            return not self.is_loaded
        return True

    def count_end(self, how: str) -> None:
        """Count a crash for which the model is responsible; too many quarantine the model."""
        if self.is_loaded:
            log.error("the process of model %r exited: %s", self.qualified_name, how)
            self._count_failure("its process exited", how)

    @contextmanager
    def _leaving_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._process.leave(self._key)
            raise

    def _create(self) -> None:
        with _readable(self._spec, self._process) as spec:
            # JSON has no bytes. Responses of the process are only JSON, and never unpickled.
            self._order("create", pickle.dumps(spec).decode("latin-1"))

    def _order(self, *order: str) -> None:
        """Create or load the model in its process, and store the description that it returns."""
        description = _run_loading(self._process, self._load_seconds, self._key, *order)
        vars(self).update(_get_attributes(description))

    def _count_failure(self, event: str, detail: str) -> None:
        """Count a failure, and quarantine the model if it reaches the limit."""
        if self._failures.add():
            self.is_loaded = False
            rate = format_rate(self._limits.crashes, self._limits.crash_seconds)
            self._fail(f"{event} {rate}: {detail}")


class _Failures:
    """When the process of a model crashed or reloading it failed, by the monotonic clock.

    :param most: the limit within ``seconds``; 0 for none.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._times: deque[float] = deque(maxlen=most or 1)

    def add(self) -> bool:
        """Count a failure, and return whether it reaches the limit."""
        self._times.append(time.monotonic())
        is_reached = 0 < self._most <= len(self._times)
        return is_reached and self._times[-1] - self._times[0] <= self._seconds


def _open_within(path: Path, folders: Iterable[Path]) -> BinaryIO:
    """Open a file that is one of these files or in one of these folders, links resolved.

    :raises InvalidFile: if it is elsewhere, or not a regular file.
    :raises OSError: if it cannot be opened.
    """
    stream = safe_open.open_regular_file(path)
    real = Path(f"/proc/self/fd/{stream.fileno()}").resolve()
    if not any(real.is_relative_to(each.resolve()) for each in folders):
        stream.close()
        raise InvalidFile("the process of the model may not read it")
    return stream


@contextmanager
def _readable(spec: ModelSpec, process: ProcessSupervisor) -> Iterator[ModelSpec]:
    """Yield an entry with a file that the process may read.

    The sandbox of a shared process cannot be widened, so that process reads a copy. The copy is in
    a folder where no model can place a link for the server to write through.
    """
    if not spec.shares_process or spec.file is None:
        yield spec
        return
    try:
        with (
            safe_open.open_regular_file(spec.file) as source,
            tempfile.TemporaryDirectory(dir=process.files) as folder,
        ):
            copy = Path(folder, spec.file.name)
            with copy.open("wb") as target:
                shutil.copyfileobj(source, target)
            yield replace(spec, file=copy)
    except (OSError, FlmError) as error:
        raise LoadFailed(get_failure_text(error)) from error


def _run_loading(
    process: ProcessSupervisor, seconds: float, key: int, *order: str
) -> Mapping[str, Any]:
    try:
        response = process.run(seconds, key, *order)
    except TimeoutError:
        raise LoadFailed(f"it took longer than {seconds:g} seconds to load") from None
    except ProcessEnded as error:
        raise LoadFailed(f"its process was ended while loading: {error}") from None
    if "raised" in response:
        description = response["raised"]
        raise LoadFailed(description["reason"]) from (
            ModelRaised(description) if description["trace"] else None
        )
    return _result_of(response)  # type: ignore[no-any-return]


def _get_attributes(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a model from the description that its process returns."""
    found = {name: description[name] for name in REPORTED if name in description}
    if "endpoints" in description:
        marked = [{**each, "methods": tuple(each["methods"])} for each in description["endpoints"]]
        found["endpoints"] = {each["name"]: Endpoint(**each) for each in marked}
    artifacts = description.get("artifacts", {})
    return {**found, "artifacts": {name: Path(path) for name, path in artifacts.items()}}


def _own_process(spec: ModelSpec) -> ProcessSupervisor:
    reads = (spec.file, *spec.reads) if spec.file else spec.reads
    bounds = Bounds(spec.is_sandboxed, reads, spec.memory_bytes)
    return ProcessSupervisor(f"model {spec.provisional_name!r}", bounds)


def _result_of(response: Mapping[str, Any]) -> Any:
    """Return the result of an order, or raise its error."""
    if "done" in response:
        return response["done"]
    if "input" in response:
        detail, violations = response["input"]
        raise InvalidInput(detail, violations=[Violation(**each) for each in violations])
    if "invalid" in response:
        raise InvalidPrediction(response["invalid"])
    raise ModelRaised(response["raised"])

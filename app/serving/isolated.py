"""A model in a process of its own: whatever it does there, no other model notices.

It crashes, and its own call fails; it hangs, and is ended when its time is up; it takes memory,
and gets no more than it may. Each time it is brought back at once.

Why not gunicorn's dirty workers, or a pool of processes: docs/operations.md, "Isolation".
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.serving.catalog import ModelSpec
from app.serving.child import Child, Ended
from app.serving.errors import InvalidAnswer, ModelUnavailable, PredictionTimeout, ServingError
from app.serving.lane import Limits, times
from app.serving.methods import PREDICT
from mlmodel.endpoint import Endpoint
from mlmodel.errors import InvalidInput, Violation
from mlmodel.model import MLModel

log = logging.getLogger(__name__)

#: Seconds that a process has to end by itself when its model is unloaded.
LEAVE_SECONDS = 5
#: Seconds after which it is tried again to bring a model back.
RETRY_SECONDS = 1


class NotMade(ServingError):
    """The model could not be made or loaded in its process. Its text is fit for everybody."""


class Raised(Exception):
    """The model has raised an error in its process: the notes have its trace."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        super().__init__(f"{told['kind']}: {told['text']}")
        if told["trace"]:
            self.add_note(told["trace"])


class IsolatedModel(MLModel):
    """A model like any other, whose calls are made in its process. Any thread may ask.

    It has one call at a time: whoever else asks waits.

    :param fail: is told why, once, when the model cannot be brought back.
    """

    answers_json = True
    survives_fork = False

    def __init__(self, spec: ModelSpec, limits: Limits, fail: Callable[[str], None]) -> None:
        self._spec = spec
        self._limits = limits
        self._load_seconds = spec.load_seconds or limits.load_seconds
        self._fail = fail
        self._told: Mapping[str, Any] = {}
        self._is_loaded = False
        #: When its process has ended by itself, or could not be started again.
        self._failures: deque[float] = deque(maxlen=limits.deaths or None)
        # Held as long as somebody uses the process, or puts another in its place.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._process: Child | None = None
        self._create()

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What else the model tells of itself."""
        return self._told["metadata"]  # type: ignore[no-any-return]

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        """What the model's author has marked, beside predict."""
        marked = [{**each, "methods": tuple(each["methods"])} for each in self._told["endpoints"]]
        return {each["name"]: Endpoint(**each) for each in marked}

    @property
    def unsandboxed(self) -> str:
        """Why its process may do what the server may; empty if it is restricted."""
        return str(self._told.get("unsandboxed", ""))

    def load(self) -> None:
        """Load the model in its process.

        :raises NotMade: if that fails, takes too long, or ends the process.
        """
        with self._lock:
            self._load()
            self._is_loaded = True

    def unload(self) -> None:
        """Let the model unload, and end its process."""
        self._is_loaded = False
        is_idle = self._lock.acquire(timeout=LEAVE_SECONDS)
        process, self._process = self._process, None
        if is_idle:
            self._changed.notify_all()
            self._lock.release()
        if process is not None and is_idle:
            process.wait_for(LEAVE_SECONDS)
            with suppress(TimeoutError, Ended):
                process.obey("unload")
        if process is not None:
            process.end()

    def predict(self, row: Any) -> Any:
        """Return the model's answer to a row."""
        return self.predict_rows([row])[0]

    def predict_rows(self, rows: Sequence[Any]) -> Any:
        """Return the model's answers to rows."""
        return self.ask(PREDICT, rows)

    def ask(self, endpoint: str, rows: Sequence[Any]) -> Any:
        """Return what the model answers rows at an endpoint.

        :raises PredictionTimeout: if it takes too long; then its process is ended.
        :raises Ended: if its process has ended meanwhile.
        :raises Raised: if the model has raised an error.
        """
        seconds = self._limits.seconds
        if not self._lock.acquire(timeout=seconds or -1):
            raise PredictionTimeout(seconds)
        try:
            return self._ask(endpoint, rows)
        finally:
            self._lock.release()

    def _ask(self, endpoint: str, rows: Sequence[Any]) -> Any:
        process = self._living()
        try:
            said = process.obey("ask", endpoint, rows)
        except TimeoutError:
            log.error("model %r took too long: its process is ended", self.qualified_name)
            self._replace(process)
            raise PredictionTimeout(self._limits.seconds) from None
        except Ended:
            self._crashed(process)
            raise
        if said.get("raised", {}).get("is_short_of_memory"):
            log.error("model %r has no more memory: its process is ended", self.qualified_name)
            self._replace(process)
        return _done(said)

    def _living(self) -> Child:
        """Return the process, when it is back if it is about to be."""
        # It may have ended since the last call, and nobody has noticed yet.
        if self._process is not None and self._process.has_fallen:
            self._crashed(self._process)
        seconds = self._limits.seconds or None
        if not self._changed.wait_for(lambda: self._process or not self._is_loaded, seconds):
            raise PredictionTimeout(self._limits.seconds)
        if self._process is None:
            raise ModelUnavailable(self.qualified_name, "failed", "its process has ended")
        return self._process

    def _create(self) -> None:
        """Start a process with the model in it, not yet loaded."""
        ended = weakref.WeakMethod(self._is_gone)

        def tell(gone: Child) -> None:
            hear = ended()
            if hear is not None:
                hear(gone)

        process = Child(self._spec, tell)
        # However this model is let go: with its last reference, and at the end of the server.
        weakref.finalize(self, process.end)
        self._process = process
        process.wait_for(self._load_seconds)
        self._hear(self._made("create"))

    def _load(self) -> None:
        if self._process is None:
            self._create()
        self._hear(self._made("load"))
        if self._process is not None:
            self._process.wait_for(self._limits.seconds)

    def _made(self, order: str) -> Mapping[str, Any]:
        if self._process is None:
            raise NotMade("its process has ended")
        try:
            said = self._process.obey(order)
        except TimeoutError:
            self._process.end()
            most = f"{self._load_seconds:g} seconds"
            raise NotMade(f"it took longer than {most} to load") from None
        except Ended as error:
            self._process.end()
            raise NotMade(f"its process was ended while it was loaded: {error}") from None
        if "raised" in said:
            self._process.end()
            told = said["raised"]
            raise NotMade(told["reason"]) from (Raised(told) if told["trace"] else None)
        return _done(said)  # type: ignore[no-any-return]

    def _hear(self, told: Mapping[str, Any]) -> None:
        """Take over what the model says of itself."""
        self._told = told
        for name, value in told.items():
            if name not in {"metadata", "endpoints", "artifacts", "unsandboxed"}:
                setattr(self, name, value)
        self.artifacts = {name: Path(path) for name, path in told.get("artifacts", {}).items()}

    def _is_gone(self, process: Child) -> None:
        """Hear from a process that it has ended, whether or not somebody asked it."""
        with self._lock:
            if process is self._process and self._is_loaded and process.has_fallen:
                self._crashed(process)

    def _crashed(self, process: Child) -> None:
        """Bring a model back whose process has ended by itself, unless it does so too often."""
        if process.is_ended:
            return
        how = process.ending
        log.error("the process of model %r was ended: %s", self.qualified_name, how)
        if self._is_too_often(f"its process has ended {{}}: {how}"):
            process.end()
            self._process = None
        else:
            self._replace(process)

    def _is_too_often(self, reason: str) -> bool:
        """Tell whether the model has just failed once more than it may, and is set aside."""
        most, seconds = self._limits.deaths, self._limits.deaths_seconds
        if not most:
            return False
        self._failures.append(time.monotonic())
        if len(self._failures) < most or self._failures[-1] - self._failures[0] > seconds:
            return False
        self._fail(reason.format(times(most, seconds)))
        self._is_loaded = False
        self._changed.notify_all()
        return True

    def _replace(self, process: Child) -> None:
        process.end()
        self._process = None
        threading.Thread(target=self._return, name="isolated", daemon=True).start()

    def _return(self) -> None:
        """Bring the model back, in a thread of its own. Whoever asks meanwhile waits."""
        while not self._has_returned():
            time.sleep(RETRY_SECONDS)

    def _has_returned(self) -> bool:
        """Load the model again, and tell whether that is all that can be done."""
        with self._lock:
            if not self._is_loaded or self._process is not None:
                return True
            try:
                self._load()
                self._changed.notify_all()
            except ServingError as error:
                self._process = None
                return self._is_too_often(f"it could not be brought back {{}}: {error}")
            return True


def _done(said: Mapping[str, Any]) -> Any:
    """Return what came of an order, or raise what came instead."""
    if "done" in said:
        return said["done"]
    if "input" in said:
        detail, violations = said["input"]
        raise InvalidInput(detail, violations=[Violation(**each) for each in violations])
    if "answer" in said:
        raise InvalidAnswer(said["answer"])
    raise Raised(said["raised"])

"""A hosted model: its state, its description and its calls."""

from __future__ import annotations

import logging
import platform
import threading
import time
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from typing import Any, BinaryIO

from app.serving.calls.batcher import Batcher
from app.serving.calls.executor import Lane, Limits
from app.serving.calls.methods import PREDICT
from app.serving.calls.to_json import to_json
from app.serving.catalog.fingerprint import Contents
from app.serving.catalog.model_spec import BATCH_ROWS, ModelSpec
from app.serving.errors import (
    ArtifactNotFound,
    EndpointNotFound,
    ModelUnavailable,
    PredictionTimeout,
    QueueFull,
)
from app.serving.isolation.isolated import IsolatedModel
from app.serving.models.endpoints import HostedEndpoint, asking, endpoints
from app.serving.models.facts import facts
from app.serving.process import metrics
from app.serving.process.fork_safety import ties
from app.serving.process.memory import return_memory
from app.serving.process.reasons import reason
from app.serving.process.running_calls import Suspect, ledger
from mlmodel.bounded import sizes
from mlmodel.errors import FlmError
from mlmodel.model import MLModel, checked_name, display_name

log = logging.getLogger(__name__)

#: Seconds to wait for running calls before a model is dropped, if calls have no time limit.
LEAVE_SECONDS = 30
#: Maximum number of callers that wait while a model loads.
LOADERS = 1000


#: Descriptions of the process of an isolated model.
SANDBOXED, UNSANDBOXED = "isolated, sandboxed", "isolated, not sandboxed"


class Status(StrEnum):
    """State of a hosted model."""

    LAZY = "lazy"  # loads on first use
    LOADING = "loading"
    READY = "ready"
    UNLOADED = "unloaded"  # stays unloaded until an operator loads it
    FAILED = "failed"  # cannot be used, see `reason`


#: States in which the first call loads the model, and other calls wait until it is loaded.
WAITING = frozenset({Status.LAZY, Status.LOADING})


class HostedModel:
    """A model, its schemas and its state. Thread safe.

    The model's properties, which may be slow or fail, are read only when it is created and loaded.
    """

    def __init__(self, spec: ModelSpec, limits: Limits) -> None:
        self.spec = spec
        #: Fingerprint of the model file, taken just before the model is loaded.
        self.contents: Contents | None = None
        self.name = spec.provisional_name
        self.display_name = self.name
        self.description = ""
        self.version = ""
        self.metadata: Mapping[str, Any] = {}
        #: Installed packages that run the model, the Python version, and its process if isolated.
        self.runtime = _runtime(self.metadata, spec)
        self.status = Status.LAZY
        self.reason: str | None = None
        self.endpoints: dict[str, HostedEndpoint] = {}
        self.examples: list[Any] = list(spec.examples)
        #: Whether the author provides the examples; otherwise the input schema yields one.
        self.has_own_examples = bool(spec.examples)
        self.notes: tuple[str, ...] = ()
        #: :data:`SANDBOXED` or :data:`UNSANDBOXED`; ``None`` if the model is not isolated.
        self.isolation: str | None = None
        self._limits = (
            limits if spec.time_limit is None else replace(limits, seconds=spec.time_limit)
        )
        self.calls = Batcher(self._limits, spec.batch_rows or 0)
        self._is_named = False
        self._since = 0.0
        #: Whether the model is in quarantine, see :meth:`set_aside`.
        self.is_aside = False
        self._model: MLModel | None = None
        #: The model that the master has built and each forked worker loads.
        self._built: MLModel | None = None
        #: Methods by endpoint name; empty unless the model is loaded.
        self._methods: Mapping[str, Callable[[Sequence[Any]], Any]] = {}
        self._running = 0
        #: Calls that run the model's code, and how many of them exceeded the time limit.
        self._calling = self._late = 0
        self._place = ledger.enter()
        weakref.finalize(self, ledger.leave, self._place).atexit = False
        self._is_retired = False
        self._loader = Lane(replace(limits, threads=1, waiting=LOADERS))
        # Held while the model loads or unloads; `_lock` is held only briefly.
        self._loading = threading.Lock()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    @property
    def input_schema(self) -> Mapping[str, Any] | None:
        """The JSON Schema of a row; ``None`` if any row is valid or it is not known yet."""
        return self.endpoints[PREDICT].input_schema if self.endpoints else self.spec.input_schema

    @property
    def output_schema(self) -> Mapping[str, Any] | None:
        """The JSON Schema of a prediction; ``None`` if any is valid or it is not known yet."""
        return self.endpoints[PREDICT].output_schema if self.endpoints else None

    @property
    def label(self) -> str:
        """The unique name: ``name@version`` if the entry has a version, else ``name``."""
        return f"{self.name}@{self.spec.version}" if self.spec.version else self.name

    @property
    def suspect(self) -> Suspect:
        """The model's identity in crash records: a fingerprint of its entry and file, its name."""
        return Suspect(self.spec.fingerprint(self.contents), self.name)

    @property
    def reference(self) -> str:
        """The path segment that stands for the model in its URLs."""
        return self.name if self.spec.default else self.label

    @property
    def is_retired(self) -> bool:
        """Whether another model has replaced this one."""
        return self._is_retired

    @property
    def tags(self) -> tuple[str, ...]:
        """Search terms of the model."""
        return self.spec.tags

    @property
    def framework(self) -> str:
        """Name and version of the model's framework; empty if its metadata names none."""
        return str(self.metadata.get("framework") or "")

    def prepare(self, *, before_fork: bool = False) -> None:
        """Load the model, or only describe it if it is lazy. On failure, set its state to failed.

        :param before_fork: leave a model that a fork would break in the state ``LOADING``.
            :meth:`finish_loading` or the first call loads it in each worker.
        """
        load = self._load_before_fork if before_fork else self._load
        with self._loading:
            self.contents = self.spec.contents()
            ledger.identify(self._place, self.suspect)
            self._attempt(self._introduce if self.spec.lazy else load)
        self._is_named = True

    def prepare_in_time(self) -> None:
        """Call :meth:`prepare` in a thread and wait for it within the time limit for loading.

        A slower model continues to load in the background, with a ``reason`` to that effect.
        """
        seconds = self.spec.load_seconds or self._limits.load_seconds
        loading = threading.Thread(target=self.prepare, name="loading", daemon=True)
        loading.start()
        loading.join(seconds or None)
        if loading.is_alive():
            self._is_named = True
            self.reason = f"it takes longer than {seconds:g} seconds to load"

    def finish_loading(self) -> None:
        """Load a model that :meth:`prepare` deferred; it may continue in the background."""
        if self.status is Status.LOADING and not self._is_retired:
            self.open()

    def load(self) -> None:
        """Load the model from any state but ready.

        A model that exceeds the time limit of a call continues to load in the background.

        :raises ModelUnavailable: if loading fails.
        """
        self._within_limits(self._load_unless, {Status.READY})
        if self.status is Status.FAILED:
            raise self._unavailable()

    def open(self) -> None:
        """Load the model if its state is lazy or loading. Only one of many callers loads it."""
        if self.status in WAITING:
            self._within_limits(self._load_unless, set(Status) - WAITING)

    def unload(self) -> None:
        """Unload the model: reject new calls and wait for the running ones.

        The wait ends after the time limit of a call, or :data:`LEAVE_SECONDS` if it has none.

        :raises ModelUnavailable: if the model is still loading after the time limit of a call.
        """
        if not self._loading.acquire(timeout=self._limits.seconds or -1):
            raise self._unavailable()
        try:
            self._unload()
        finally:
            self._loading.release()

    def begin(self, endpoint: str = PREDICT) -> HostedEndpoint:
        """Acquire the model for one call of an endpoint. Call :meth:`end` when done.

        :raises ModelUnavailable: if the model is not ready and does not load on first use.
        :raises EndpointNotFound: if the model has no such endpoint.
        """
        if self.status is not Status.READY and not self._is_retired:
            self.open()
        self._begin()
        if endpoint not in self.endpoints:
            self.end()
            raise EndpointNotFound(self.name, endpoint)
        return self.endpoints[endpoint]

    def end(self) -> None:
        """Release the model after :meth:`begin`."""
        with self._lock:
            self._end()

    def retire(self) -> None:
        """Reject new calls, since another model replaces this one, and drop it after the last.

        Running calls complete. The model's description and schemas stay readable.
        """
        with self._lock:
            self._is_retired = True
            is_used = self._running > 0 or self.status is Status.LOADING
        if is_used:
            threading.Thread(target=self._leave, name="retire", daemon=True).start()
        else:
            self._leave()

    def keep(self, spec: ModelSpec, reason: str | None = None) -> None:
        """Adopt the default flag, the aliases and the line of a new entry without loading it.

        :param reason: why the model of the new entry cannot replace this one.
        """
        self.spec = replace(self.spec, default=spec.default, aliases=spec.aliases, line=spec.line)
        if self.status is Status.READY:
            self.reason = reason

    def set_aside(self, reason: str, name: str | None = None) -> None:
        """Quarantine the model: reject all calls until an operator loads it.

        :param name: the model's name, if it was never loaded.
        """
        with self._lock:
            self.status, self.reason = Status.FAILED, reason
            self.name = name or self.name
            self.is_aside = True
        log.error("model %r is in quarantine: %s", self.name, reason)
        threading.Thread(target=self._leave_if_failed, name="set-aside", daemon=True).start()

    def fail(self, reason: str) -> None:
        """Set the state to failed and reject all calls until the model is loaded again."""
        with self._lock:
            self.status, self.reason = Status.FAILED, reason
        log.error("model %r failed: %s", self.name, reason)
        threading.Thread(target=self._leave_if_failed, name="failed", daemon=True).start()

    def artifact(self, name: str) -> BinaryIO:
        """Open an artifact of the model, if its entry in ``models.yaml`` offers it.

        :raises ModelUnavailable: if the model is not ready and does not load on first use.
        :raises ArtifactNotFound: if there is no such artifact, or the entry does not offer it.
        """
        self.open()
        self._begin()
        try:
            files = self._model.artifacts if self._model else {}
            is_offered = self.spec.artifacts == "all" or name in self.spec.artifacts
            if not is_offered or name not in files:
                raise ArtifactNotFound(self.name, name)
            # The open file stays readable even if the model is unloaded meanwhile.
            if isinstance(self._model, IsolatedModel):
                return self._model.open_artifact(name)
            return files[name].open("rb")
        finally:
            self.end()

    def _begin(self) -> None:
        with self._lock:
            if self.status is not Status.READY or self._is_retired:
                raise self._unavailable()
            self._running += 1

    def _ask(self, endpoint: str, rows: Sequence[Any]) -> Any:
        """Call the model, and hold it until the call returns.

        The caller may time out before the call starts, and the model be unloaded by then. While
        the caller waits, the model stays loaded, even if it already rejects new calls.
        """
        with self._lock:
            method = self._methods.get(endpoint)
            if method is None:
                raise self._unavailable()
            self._running += 1
            self._calling += 1
            self._record(time.time_ns())
        try:
            return method(rows)
        finally:
            with self._lock:
                self._calling -= 1
                self._late = min(self._late, self._calling)
                self._record()
                self._end()

    def give_up(self) -> None:
        """Count a running call as hanging: it is not held responsible for a crash."""
        with self._lock:
            self._late = min(self._late + 1, self._calling)
            self._record()

    def _record(self, start: int | None = None) -> None:
        """Record when the last call began, or 0 if callers wait for none of the running calls."""
        if self._calling == self._late or self.spec.is_isolated:
            ledger.starts[self._place] = 0
        elif start is not None:
            ledger.starts[self._place] = start

    def _end(self) -> None:
        self._running -= 1
        if not self._running and (self._is_retired or self.status is not Status.READY):
            self._changed.notify_all()

    def _within_limits(self, step: Callable[..., None], *arguments: Any) -> None:
        # In a separate thread: a model that hangs while loading must not block a request.
        with suppress(PredictionTimeout, QueueFull):
            self._loader.run(step, *arguments)

    def _load_unless(self, states: Collection[Status]) -> None:
        with self._loading:
            if self.status not in states:
                self._attempt(self._load)

    def _unload(self) -> None:
        self.status, self.reason = Status.UNLOADED, None
        self._drop()
        self.endpoints = {}

    def _leave(self) -> None:
        with self._loading:
            self._drop()
        return_memory()

    def _leave_if_failed(self) -> None:
        with self._loading:
            if self.status is Status.FAILED:
                self._drop()

    def _drop(self) -> None:
        """Wait until the model is idle, at most the time limit of a call, and drop it."""
        with self._changed:
            is_idle = self._changed.wait_for(
                lambda: self._running == 0, self._limits.seconds or LEAVE_SECONDS
            )
            model, self._model, self._methods = self._model, None, {}
            self._built = None
        self.calls.close()
        self._loader.close()
        if model is not None and (is_idle or self.spec.is_isolated):
            _call_unload(model)

    def _attempt(self, step: Callable[[], None]) -> None:
        self.status, self.reason, self.is_aside = Status.LOADING, None, False
        self._since = time.perf_counter()
        try:
            with ledger.running(self._place):
                step()
        # The author's code runs at import, in __init__ and in load(), and may raise anything.
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and _is_main_thread():
                raise  # the operator may have pressed Ctrl-C
            if not (self._is_named or self.spec.is_isolated):
                self.name = self.spec.provisional_name
            self.status, self.reason = Status.FAILED, reason(error)
            # The traceback of a FlmError without a cause adds nothing to its message.
            trace = None if isinstance(error, FlmError) and not error.__cause__ else error
            log.error("model %r failed: %s", self.name, self.reason, exc_info=trace)

    def _create(self) -> MLModel:
        if self.spec.is_isolated:
            return IsolatedModel(self.spec, self._limits, self.set_aside)
        return self.spec.create()

    def _introduce(self) -> None:
        # Keep no reference to the model: a lazy one takes no memory before its first use.
        self._describe(self._create())
        self.status = Status.LAZY

    def _load_before_fork(self) -> None:
        before = ties()
        model = self._create()
        self._describe(model)
        if self.spec.in_worker or not model.survives_fork:
            model.before_fork()
            return
        if model.predicts_at_load:
            model.build()
        else:
            self._build(model)
        if ties() - before:
            log.info(
                "model %r starts threads or opens connections: each worker loads it", self.name
            )
            self._unload()
            self.status = Status.LOADING
        elif model.predicts_at_load:
            self._built = model
        else:
            self._be_ready()

    def _load(self) -> None:
        model, self._built = self._built or self._create(), None
        self._describe(model)
        self._build(model)
        self._be_ready()

    def _build(self, model: MLModel) -> None:
        model.load()
        # The metadata names the runtime only after loading.
        self._describe(model)
        self._read_schemas(model)
        self._model = model
        # Hanging calls keep the threads of the previous Batcher.
        limits = replace(self._limits, threads=1) if self.spec.is_isolated else self._limits
        batch_rows = self.spec.batch_rows
        if batch_rows is None:
            batch_rows = BATCH_ROWS if model.is_row_wise else 0
        self.calls = Batcher(limits, batch_rows, ends_soon=model.ends_soon)

    def _be_ready(self) -> None:
        self.status = Status.READY
        metrics.LOAD_SECONDS.labels(self.label).set(time.perf_counter() - self._since)
        log.info("model %r is ready", self.name)

    def _describe(self, model: MLModel) -> None:
        own_name = checked_name(self.spec.name or model.qualified_name)
        # Keep the first name, even a provisional one: clients and metrics already use it.
        self.name = self.name if self._is_named else own_name
        ledger.identify(self._place, self.suspect)
        self.display_name = sizes.check_text("display_name", display_name(model))
        self.description = sizes.check_text("description", str(model.description))
        self.version = self.spec.version or sizes.check_text("version", str(model.version))
        self.metadata = {"class": type(model).__qualname__, **facts(model.metadata, self.name)}
        self.runtime = _runtime(self.metadata, self.spec)
        if isinstance(model, IsolatedModel):
            self._tell_isolation(model.unsandboxed)

    def _tell_isolation(self, unsandboxed: str) -> None:
        before, self.isolation = self.isolation, UNSANDBOXED if unsandboxed else SANDBOXED
        if unsandboxed and before is None:
            log.warning("model %r is %s: %s", self.name, UNSANDBOXED, unsandboxed)

    def _read_schemas(self, model: MLModel) -> None:
        self._methods = asking(model)
        sizes.check_schema("input_schema", self.spec.input_schema or model.input_schema)
        sizes.check_schema("output_schema", model.output_schema)
        self.endpoints = endpoints(
            model, self.spec, label=self.label, methods=self._methods, ask=self._ask
        )
        self.notes = sizes.cut_notes(model.notes)
        for note in self.notes:
            log.warning("model %r: %s", self.name, note)
        own_example = self.endpoints[PREDICT].input.example()
        made_up = [] if own_example is None else [own_example]
        self.has_own_examples = bool(self.spec.examples or model.examples)
        self.examples = to_json([*(self.spec.examples or model.examples or made_up)])
        sizes.check_examples(self.examples)

    def _unavailable(self) -> ModelUnavailable:
        return ModelUnavailable(self.name, self.status, self.reason)


def _runtime(metadata: Mapping[str, Any], spec: ModelSpec) -> str:
    packages = [
        f"{each['package']} {each['running']}"
        for each in metadata.get("versions") or ()
        if each.get("running") and each["package"] != "python"
    ]
    chosen = metadata.get("runtime") or {}
    if chosen.get("compiled"):
        packages.insert(0, str(chosen["name"]))
    packages.append(f"Python {platform.python_version()}")
    if spec.is_isolated:
        packages.append("a shared process" if spec.shares_process else "a process of its own")
    return ", ".join(packages)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _call_unload(model: MLModel) -> None:
    try:
        model.unload()
    except Exception:  # the model is dropped regardless
        log.exception("model %r failed while it was unloaded", model.qualified_name)

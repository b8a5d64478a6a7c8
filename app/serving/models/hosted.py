"""One model in the manager's hands: its state, and what it says of itself."""

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
from app.serving.catalog.catalog import BATCH_ROWS, ModelSpec
from app.serving.catalog.fingerprint import Contents
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
from mlmodel.files.packaged import PackagedModel
from mlmodel.model import MLModel, checked_name, display_name

log = logging.getLogger(__name__)

#: Seconds for which a model that is let go is waited for, if its calls have no limit.
LEAVE_SECONDS = 30
#: Callers that may wait for a model while it is loaded.
LOADERS = 1000


#: Whether the process of an isolated model is restricted, in words.
SANDBOXED, UNSANDBOXED = "isolated, sandboxed", "isolated, not sandboxed"


class Status(StrEnum):
    """Where a hosted model stands."""

    LAZY = "lazy"  # is loaded when it is first used
    LOADING = "loading"
    READY = "ready"
    UNLOADED = "unloaded"  # was taken out, and stays out until it is loaded again
    FAILED = "failed"  # could not be loaded; `reason` says why


#: States in which whoever asks for a model makes it load, or waits until it is loaded.
WAITING = frozenset({Status.LAZY, Status.LOADING})


class HostedModel:
    """A model, its schemas and its state. Any thread may call any method.

    What it says of itself is read once, when it is made and loaded: a model's own properties
    may be slow, or fail.
    """

    def __init__(self, spec: ModelSpec, limits: Limits) -> None:
        self.spec = spec
        #: The file's bytes that the model is made of, as they were just before it was loaded.
        self.contents: Contents | None = None
        self.name = spec.provisional_name
        self.display_name = self.name
        self.description = ""
        self.version = ""
        self.metadata: Mapping[str, Any] = {}
        #: What answers: the packages that run the model, as they are installed, and Python.
        self.runtime = _runtime(self.metadata, spec)
        self.status = Status.LAZY
        self.reason: str | None = None
        self.endpoints: dict[str, HostedEndpoint] = {}
        self.examples: list[Any] = list(spec.examples)
        #: Whether the author gave the examples; otherwise one is made from the input schema.
        self.has_own_examples = bool(spec.examples)
        self.notes: tuple[str, ...] = ()
        #: How far it is kept apart, see :data:`SANDBOXED`; nothing if it is not isolated.
        self.isolation: str | None = None
        self._limits = (
            limits if spec.time_limit is None else replace(limits, seconds=spec.time_limit)
        )
        self.calls = Batcher(self._limits, spec.batch_rows or 0)
        self._is_named = False
        self._since = 0.0
        #: Whether it may not be loaded by itself, see :meth:`set_aside`.
        self.is_aside = False
        self._model: MLModel | None = None
        #: What a process that forks others has built, and each of them loads.
        self._built: MLModel | None = None
        #: What answers, by the endpoint's name, as long as the model is loaded.
        self._methods: Mapping[str, Callable[[Sequence[Any]], Any]] = {}
        self._running = 0
        #: Calls of the model itself, which run its code, and those of them that took too long.
        self._calling = self._late = 0
        self._place = ledger.enter()
        weakref.finalize(self, ledger.leave, self._place).atexit = False
        self._is_retired = False
        self._loader = Lane(replace(limits, threads=1, waiting=LOADERS))
        # Held as long as a model loads or unloads; the other lock only for a moment.
        self._loading = threading.Lock()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    @property
    def input_schema(self) -> Mapping[str, Any] | None:
        """The JSON Schema of a row; ``None`` where anything goes, or it is not known yet."""
        return self.endpoints[PREDICT].input_schema if self.endpoints else self.spec.input_schema

    @property
    def output_schema(self) -> Mapping[str, Any] | None:
        """The JSON Schema of an answer; ``None`` where it promises nothing, or is not known yet."""
        return self.endpoints[PREDICT].output_schema if self.endpoints else None

    @property
    def label(self) -> str:
        """The name, and the version where the entry says one: no other model has it."""
        return f"{self.name}@{self.spec.version}" if self.spec.version else self.name

    @property
    def suspect(self) -> Suspect:
        """What the model is known by when it crashes a process: the entry and the file's bytes."""
        return Suspect(self.spec.fingerprint(self.contents), self.name)

    @property
    def reference(self) -> str:
        """What stands for the name in the model's own addresses."""
        return self.name if self.spec.default else self.label

    @property
    def is_retired(self) -> bool:
        """Whether another has taken the model's place."""
        return self._is_retired

    @property
    def tags(self) -> tuple[str, ...]:
        """Words to find the model by."""
        return self.spec.tags

    @property
    def framework(self) -> str:
        """Name and version of what the model was made with; empty for a class of its own."""
        return str(self.metadata.get("framework") or "")

    def prepare(self, *, before_fork: bool = False) -> None:
        """Load the model, or only read its names if it is lazy. A failure becomes its state.

        :param before_fork: leave a model that a fork would break in the state of loading.
            :meth:`finish_loading` loads it in each process, or whoever asks it first.
        """
        load = self._load_before_fork if before_fork else self._load
        with self._loading:
            self.contents = self.spec.contents()
            ledger.identify(self._place, self.suspect)
            self._attempt(self._introduce if self.spec.lazy else load)
        self._is_named = True

    def prepare_in_time(self) -> None:
        """Do the same in a thread of its own, and wait for that as long as a model may take.

        One that takes longer goes on loading; its ``reason`` says so.
        """
        seconds = self.spec.load_seconds or self._limits.load_seconds
        loading = threading.Thread(target=self.prepare, name="loading", daemon=True)
        loading.start()
        loading.join(seconds or None)
        if loading.is_alive():
            self._is_named = True
            self.reason = f"it takes longer than {seconds:g} seconds to load"

    def finish_loading(self) -> None:
        """Load the model if a fork was to come first. One that takes long goes on loading."""
        if self.status is Status.LOADING and not self._is_retired:
            self.open()

    def load(self) -> None:
        """Load the model unless it is ready, whatever became of it before.

        One that takes longer than a prediction may goes on loading.

        :raises ModelUnavailable: if it cannot be loaded.
        """
        self._within_limits(self._load_unless, {Status.READY})
        if self.status is Status.FAILED:
            raise self._unavailable()

    def open(self) -> None:
        """Load the model if it waits for its first use. Only one of many callers loads it."""
        if self.status in WAITING:
            self._within_limits(self._load_unless, set(Status) - WAITING)

    def unload(self) -> None:
        """Take the model out. New calls are refused, those that run are waited for.

        Of a model that hangs, the wait ends with the time that a call may take, or half a minute
        where that has no limit.

        :raises ModelUnavailable: if it is being loaded, and that takes longer.
        """
        if not self._loading.acquire(timeout=self._limits.seconds or -1):
            raise self._unavailable()
        try:
            self._unload()
        finally:
            self._loading.release()

    def begin(self, endpoint: str = PREDICT) -> HostedEndpoint:
        """Return a way to ask the ready model, which stays loaded until :meth:`end` is called.

        :raises ModelUnavailable: if it is not ready and does not become so by its first use.
        :raises EndpointNotFound: if it offers no such way.
        """
        if self.status is not Status.READY and not self._is_retired:
            self.open()
        self._begin()
        if endpoint not in self.endpoints:
            self.end()
            raise EndpointNotFound(self.name, endpoint)
        return self.endpoints[endpoint]

    def end(self) -> None:
        """Say that a use of the model, see :meth:`begin`, has ended."""
        with self._lock:
            self._end()

    def retire(self) -> None:
        """Refuse new uses, for another model has taken this one's place, and go with the last.

        Those that have begun are answered. It still says what it said of itself.
        """
        with self._lock:
            self._is_retired = True
            is_used = self._running > 0 or self.status is Status.LOADING
        if is_used:
            threading.Thread(target=self._leave, name="retire", daemon=True).start()
        else:
            self._leave()

    def keep(self, spec: ModelSpec, reason: str | None = None) -> None:
        """Go on as before with an entry that says the same of the model, or has failed.

        :param reason: why what the entry says cannot take the model's place.
        """
        self.spec = replace(self.spec, default=spec.default, aliases=spec.aliases, line=spec.line)
        if self.status is Status.READY:
            self.reason = reason

    def set_aside(self, reason: str, name: str | None = None) -> None:
        """Quarantine the model: refuse all uses until an operator loads it.

        :param name: its name, if it was never loaded.
        """
        with self._lock:
            self.status, self.reason = Status.FAILED, reason
            self.name = name or self.name
            self.is_aside = True
        log.error("model %r is in quarantine: %s", self.name, reason)
        threading.Thread(target=self._leave_if_failed, name="set-aside", daemon=True).start()

    def fail(self, reason: str) -> None:
        """Refuse all uses until the model is loaded again: it does not do what it is for."""
        with self._lock:
            self.status, self.reason = Status.FAILED, reason
        log.error("model %r failed: %s", self.name, reason)
        threading.Thread(target=self._leave_if_failed, name="failed", daemon=True).start()

    def speeds(self, counts: Sequence[int]) -> list[dict[str, Any]]:
        """Return how fast the model and its graph answer some numbers of rows, if it has one.

        :raises ModelUnavailable: if the model is not ready.
        """
        self._begin()
        try:
            model = self._model
            return model.speeds(counts) if isinstance(model, PackagedModel) else []
        finally:
            self.end()

    def artifact(self, name: str) -> BinaryIO:
        """Open a file that came with the model, if its entry in ``models.yaml`` offers it.

        :raises ModelUnavailable: if the model is not ready and does not become so.
        :raises ArtifactNotFound: if there is none, or it is not offered.
        """
        self.open()
        self._begin()
        try:
            files = self._model.artifacts if self._model else {}
            is_offered = self.spec.artifacts == "all" or name in self.spec.artifacts
            if not is_offered or name not in files:
                raise ArtifactNotFound(self.name, name)
            # Who reads it goes on reading, even if the model is unloaded meanwhile.
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
        """Call the model in a thread of its own, which uses it until it is done.

        Whoever waits may have given up long before, and the model be gone. As long as they wait,
        it is there, even if it refuses new uses by now.
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
        """Count a call as one that hangs: no crash is its fault."""
        with self._lock:
            self._late = min(self._late + 1, self._calling)
            self._record()

    def _record(self, start: int | None = None) -> None:
        """Record when the last call began, or that none runs that others wait for."""
        if self._calling == self._late or self.spec.is_isolated:
            ledger.starts[self._place] = 0
        elif start is not None:
            ledger.starts[self._place] = start

    def _end(self) -> None:
        self._running -= 1
        if not self._running and (self._is_retired or self.status is not Status.READY):
            self._changed.notify_all()

    def _within_limits(self, step: Callable[..., None], *arguments: Any) -> None:
        # In a thread of its own: a model that hangs while it is loaded must not keep a request.
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
        """Wait until nobody uses the model, or for as long as a call may take, and let it go."""
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
                raise  # it may be the operator's
            if not (self._is_named or self.spec.is_isolated):
                self.name = self.spec.provisional_name
            self.status, self.reason = Status.FAILED, reason(error)
            # An error of ours without a cause tells all that its traceback would.
            trace = None if isinstance(error, FlmError) and not error.__cause__ else error
            log.error("model %r failed: %s", self.name, self.reason, exc_info=trace)

    def _create(self) -> MLModel:
        if self.spec.is_isolated:
            return IsolatedModel(self.spec, self._limits, self.set_aside)
        return self.spec.create()

    def _introduce(self) -> None:
        # The model itself is dropped again: a lazy one takes no memory before its first use.
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
        # Which runtime answers is only known now.
        self._describe(model)
        self._read_schemas(model)
        self._model = model
        # Calls that hang keep the threads that were before.
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
        # By its first name it is known everywhere, even one that was provisional.
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
    except Exception:  # it is gone for us all the same
        log.exception("model %r failed while it was unloaded", model.qualified_name)

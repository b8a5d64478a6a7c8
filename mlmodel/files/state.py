"""The state of a model in a file: read, built, ready to predict, or dropped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from mlmodel import frameworks
from mlmodel.bounded import sizes
from mlmodel.files import build
from mlmodel.files.description import LoadOptions
from mlmodel.files.package import Package, explain_versions
from mlmodel.frameworks.sklearn.onnx.runtime import Runtime, RuntimeName
from mlmodel.frameworks.sklearn.parallelism import limit_jobs
from mlmodel.trust import contents


class PackageState:
    """A file, and what was built from it so far. Thread safe.

    =========  ==================================  ===================================
    state      holds                               leaves by
    =========  ==================================  ===================================
    read       the bytes of the model              ``get_model``, ``drop``
    built      the model                           ``get_predictor``, ``drop``
    ready      the model and its predictor         ``drop``
    dropped    the description of the file         ``get_model`` reads the file again
    =========  ==================================  ===================================

    ``package`` is the file; its bytes are dropped when the model is built. ``predictor`` is
    ``None`` unless the model is ready.
    """

    def __init__(self, read: Callable[[], Package], options: LoadOptions) -> None:
        self.package = read()
        self.predictor: build.PackagePredictor | None = None
        self._read = read
        self._options = options
        # Held while the file is read, and the model is built or called to infer its schemas.
        self._lock = threading.RLock()
        self._model: Any = None
        self._inferred: frameworks.Schemas | None = None

    @property
    def survives_fork(self) -> bool:
        """Whether models of its framework do. Importing ONNX Runtime starts a thread."""
        if self._options.n_jobs != 1:
            return False  # a pool of processes or threads does not survive a fork
        framework = frameworks.FRAMEWORKS.get(self.package.meta.framework.lib)
        return framework is None or (framework.survives_fork and self._runtime == "native")

    def try_build(self) -> None:
        """Build the model in another process first, unless it is built or all is trusted.

        Raises the errors of :func:`.build.build`.
        """
        with self._lock:
            if self._options.granted_trust != "all" and self.package.content:
                package, trust = self.package, self._options.granted_trust
                contents.try_build(package.kind, package.content, trust)

    def get_model(self) -> Any:
        """Return the framework's own model. Build it, and read the file again, if necessary.

        Raises the errors of :func:`mlmodel.load` and :func:`.build.build`.
        """
        with self._lock:
            if self._model is None:
                if not self.package.content:
                    self.package = self._read()
                package, trust = self.package, self._options.granted_trust
                with explain_versions(package.versions):
                    model = build.build(package, trust)
                if package.meta.framework.lib == "sklearn":
                    limit_jobs(model, self._options.n_jobs)
                    self._inferred = self._inferred or build.infer_in_fork(package, model, trust)
                self._model, self.package = model, replace(package, content=b"")
            return self._model

    def get_inferred(self) -> frameworks.Schemas:
        """Return the schemas inferred from the model. Raises the errors of :meth:`get_model`."""
        with self._lock:
            model = self.get_model()  # it may set _inferred
            if self._inferred is None:
                with explain_versions(self.package.versions):
                    self._inferred = build.infer(self.package, model)
            return self._inferred

    def get_input_schema(self) -> Mapping[str, Any] | None:
        """Return the declared input schema, or the inferred one, which builds the model."""
        declared = self.package.description.input_schema
        return self.get_inferred().input if declared is None else declared

    def get_predictor(self) -> build.PackagePredictor:
        """Return what predicts. Raises the errors of :meth:`get_model`.

        :raises InvalidModel: if the input schema does not match the data the model was fitted on.
        """
        with self._lock:
            if self.predictor is None:
                sizes.check_schema("input_schema", self.get_input_schema())
                # Before the schema is read again: the file may have been replaced while dropped.
                self.get_model()
                with explain_versions(self.package.versions):
                    self.predictor = self._build_predictor(self.package, self._runtime)
            return self.predictor

    @property
    def is_compilable(self) -> bool:
        """Whether :meth:`compile` may find a graph."""
        predictor, options = self.predictor, self._options
        is_native = (
            predictor is not None and predictor.runtime is None and self._runtime == "native"
        )
        # A pool of threads or processes was requested, which a graph does not use.
        return is_native and options.n_jobs == 1 and self.package.meta.framework.lib == "sklearn"

    def compile(self) -> tuple[Runtime, bytes | None]:
        """Return the runtime that ``auto`` chooses, and the graph if that is one; use neither."""
        predictor = self._build_predictor(replace(self.package, graph=None), "auto")
        return cast(Runtime, predictor.runtime), predictor.graph

    def use_graph(self, graph: bytes) -> None:
        """Predict with a graph of the model from now on, unless it differs from the model.

        A model that is dropped meanwhile stays dropped.
        """
        with self._lock:
            native, model = self.predictor, self._model
            package = replace(self.package, graph=graph)
            input_schema = None if native is None else self.get_input_schema()
        # Without the lock: comparing takes a while, and calls must not wait for it.
        if native is not None:
            predictor = build.build_predictor(package, model, input_schema, "auto")
            self._replace_predictor(native, predictor)

    def set_runtime(self, runtime: Runtime) -> None:
        """Describe why the native model predicts. An empty title becomes that of its framework."""
        native = self.predictor
        if native is not None:
            title = runtime.title or build.framework_title(self.package)
            described = replace(native, runtime=replace(runtime, title=title))
            self._replace_predictor(native, described)

    def _build_predictor(self, package: Package, runtime: RuntimeName) -> build.PackagePredictor:
        model, input_schema = self.get_model(), self.get_input_schema()
        return build.build_predictor(package, model, input_schema, runtime)

    def _replace_predictor(self, old: build.PackagePredictor, new: build.PackagePredictor) -> None:
        with self._lock:
            if self.predictor is old:  # the model may have been dropped, or built again
                self.predictor = new

    def drop(self) -> None:
        """Drop the model and its artifacts."""
        with self._lock:
            self._model = self._inferred = self.predictor = None
            self.package.artifacts.remove()
            self.package = replace(self.package, content=b"")

    @property
    def _runtime(self) -> RuntimeName:
        return self._options.runtime or ("native" if self.package.graph is None else "onnx")

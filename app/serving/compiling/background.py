"""A thread that compiles the models of a worker in the background."""

from __future__ import annotations

import logging
from pathlib import Path

from app.serving import periodic
from app.serving.catalog.model_spec import ModelSpec
from app.serving.compiling.compiler import CompilingFailed, compile_model
from app.serving.compiling.graph_cache import Compiled, GraphCache, get_key
from app.serving.models.hosted import HostedModel
from app.serving.models.manager import ModelManager
from mlmodel.files.packaged import PackagedModel
from mlmodel.frameworks.sklearn.onnx.runtime import Runtime

log = logging.getLogger(__name__)

#: Seconds between two checks for new models.
LOOK_SECONDS = 1.0
#: Size of a model's file in bytes above which it is not compiled: each process holds the graph in
#: its own memory, three to five times the file, while processes share the native model.
MAX_FILE_BYTES = 20_000_000


def start(manager: ModelManager, root: Path, folder: str, *, is_default: bool) -> None:
    """Compile the models of this process in the background, see :class:`BackgroundCompiler`.

    :param folder: of the cache, relative to ``root``. If it cannot be used, nothing is compiled.
    """
    try:
        cache = GraphCache(root / Path(folder).expanduser())
    except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home folder
        log.warning("models are not compiled: %s; see CACHE_FOLDER", error)
        return
    BackgroundCompiler(manager, cache, is_default=is_default).start()


class BackgroundCompiler:
    """Compiles the packaged models whose entries have ``runtime: auto``, or no runtime.

    A native model predicts until its graph is ready. All processes wait for the one that compiles
    it first. A model that gets no graph keeps the reason in its metadata.

    :param is_default: whether entries without ``runtime`` are compiled.
    """

    def __init__(self, manager: ModelManager, cache: GraphCache, *, is_default: bool) -> None:
        self._manager = manager
        self._cache = cache
        self._is_default = is_default

    def start(self) -> None:
        """Start the thread."""
        periodic.start("compile models", self.compile_models, LOOK_SECONDS)

    def compile_models(self) -> None:
        """Compile all ready models that may have a graph and were not compiled yet."""
        for hosted in self._manager.models():
            model = hosted.lifecycle.model
            if not isinstance(model, PackagedModel) or not self._is_due(hosted, model):
                continue
            try:
                self._compile(hosted, model)
            # Models must not depend on each other, and this one still predicts natively.
            except Exception as error:
                log.exception("model %r is not compiled", hosted.name)
                reason = f"compiling failed ({type(error).__name__})"
                model.state.set_runtime(Runtime("auto", "", reason=reason))

    def _is_due(self, hosted: HostedModel, model: PackagedModel) -> bool:
        requested = hosted.spec.runtime
        is_requested = requested == "auto" or (requested is None and self._is_default)
        return is_requested and hosted.is_ready and model.state.is_compilable

    def _compile(self, hosted: HostedModel, model: PackagedModel) -> None:
        result = self._get_result(hosted.spec, model)
        if result.graph is None:
            model.state.set_runtime(result.runtime)
        else:
            model.state.use_graph(result.graph)
        hosted.lifecycle.update_calls(model)
        runtime = model.metadata.get("runtime")
        if runtime is None:  # the model was unloaded meanwhile
            return
        if runtime["compiled"]:
            log.info("model %r predicts with its graph: %s", hosted.name, runtime["name"])
        else:
            log.info("model %r is not compiled: %s", hosted.name, runtime["reason"])

    def _get_result(self, spec: ModelSpec, model: PackagedModel) -> Compiled:
        if model.state.package.size_bytes > MAX_FILE_BYTES:
            return _not_compiled(
                f"its file has more than {MAX_FILE_BYTES:,} bytes, and each process would hold "
                "the graph"
            )
        key = get_key(model.sha256, spec.input_schema)
        with self._cache.lock(key):
            result = self._cache.read(key)
            if result is None:
                result = self._compile_and_store(key, spec, model)
            return result

    def _compile_and_store(self, key: str, spec: ModelSpec, model: PackagedModel) -> Compiled:
        try:
            result = compile_model(spec, model.sha256)
        except CompilingFailed as error:
            # Not stored: after a restart it may succeed.
            return _not_compiled(str(error))
        try:
            self._cache.write(key, result)
        except OSError as error:  # the disk is full, for example
            log.warning("the graph of %r is not stored: %s", model.qualified_name, error)
        return result


def _not_compiled(reason: str) -> Compiled:
    return Compiled(Runtime("auto", "", reason=reason))

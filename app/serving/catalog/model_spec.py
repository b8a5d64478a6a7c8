"""An entry of ``models.yaml``: where a model comes from, and how it is hosted."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import mlmodel
from app.serving.catalog.fingerprint import FileFingerprint, file_fingerprint
from app.serving.fetching.fetched_file import FetchedFile
from app.serving.prediction_log.policy import LogPolicy
from app.serving.remote.remote_model import Remote, RemoteModel
from mlmodel.bounded import filetypes
from mlmodel.errors import InvalidModel, Untrusted
from mlmodel.files.description import VersionMismatches
from mlmodel.foreign import wrapper
from mlmodel.frameworks.sklearn.onnx.runtime import RuntimeName
from mlmodel.model import NAME, MLModel
from mlmodel.trust import Trust

#: Maximum rows of a batch for a packaged model: many models take as long for one row as for these.
BATCH_ROWS = 64
#: Modules of the application, before which Python finds no module of an author of that name.
OWN_MODULES = ("app", "config", "logs", "servers", "wsgi")


@dataclass(frozen=True)
class DecoratorSpec:
    """A class that wraps a foreign model, and its settings."""

    class_path: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class ModelSpec:
    """One entry of ``models.yaml``: where a model comes from and how it is hosted."""

    line: int
    class_path: str | None = None
    file: Path | None = None
    #: Where the file is fetched from; then ``file`` is its place in the cache.
    fetched: FetchedFile | None = None
    remote: Remote | None = None
    name: str | None = None
    #: The version in URLs. If it is ``None``, no other entry may have the name.
    version: str | None = None
    #: Whether the name without a version means this entry.
    default: bool = True
    #: Other names of the version.
    aliases: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    decorators: tuple[DecoratorSpec, ...] = ()
    sha256: str | None = None
    trust: Trust = ()
    version_mismatch: VersionMismatches = "warn"
    runtime: RuntimeName | None = None
    #: Threads or processes that one call may use; -1 for one per core.
    n_jobs: int = 1
    lazy: bool = False
    #: Whether each worker loads it after the fork, because the model does not survive a fork.
    in_worker: bool = False
    #: Whether it runs in a separate process, and whether other models share that process.
    is_isolated: bool = False
    shares_process: bool = False
    #: Whether the file is a pickle without ``sha256`` or ``trust`` and UNPINNED is "refuse".
    is_refused: bool = False
    #: Whether that process is restricted, see isolation/sandbox.py, and which paths it may read.
    is_sandboxed: bool = False
    reads: tuple[Path, ...] = ()
    #: Bytes of memory that this process may use; 0 for no limit.
    memory_bytes: int = 0
    #: Time limit for loading the model in that process.
    load_seconds: float | None = None
    #: Time limit of a call; ``None`` for PREDICT_SECONDS.
    time_limit: float | None = None
    input_schema: Mapping[str, Any] | None = None
    #: The schema of a prediction of a remote model.
    output_schema: Mapping[str, Any] | None = None
    examples: tuple[Any, ...] = ()
    example_names: tuple[str, ...] = ()
    #: Members of the model's card, see :data:`.entry_schema.CARD`, instead of the model's own.
    card: Mapping[str, Any] | None = None
    batch_rows: int | None = None
    tags: tuple[str, ...] = ()
    artifacts: Literal["all"] | tuple[str, ...] = ()
    #: What of the predictions is logged; ``None`` for nothing.
    log: LogPolicy | None = None
    #: Options of the model's application of Ray Serve; ``None`` without one.
    ray: Mapping[str, float] | None = None

    @property
    def entry_name(self) -> str:
        """The provisional name, with the version if the entry has one."""
        return self.provisional_name + (f"@{self.version}" if self.version else "")

    @property
    def provisional_name(self) -> str:
        """The name of a model that failed to load: its own if known, else from class or file."""
        if self.name:
            return self.name
        if self.remote:
            return self.remote.model.partition("@")[0]
        module, _, class_name = str(self.class_path).rpartition(".")
        own = getattr(getattr(sys.modules.get(module), class_name, None), "qualified_name", None)
        if isinstance(own, str) and NAME.fullmatch(own):
            return own
        source = filetypes.stem(self.file) if self.file else class_name
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", source).strip("-_.") or "model"

    @property
    def public_name(self) -> str:
        """The provisional name, with the version unless it is the default."""
        return self.provisional_name + ("" if self.default else f"@{self.version}")

    @property
    def source(self) -> Path | str:
        """The file or its address, the address of the model's server, or the path of its class."""
        if self.fetched:
            return self.fetched.address
        return self.file or (self.remote.url if self.remote else str(self.class_path))

    def fingerprint(self, file: FileFingerprint | None) -> str:
        """Return a hash of the entry and the bytes of its file.

        :param file: the result of :meth:`file_fingerprint`.
        """
        entry = repr(self._without_place())
        return hashlib.sha256(f"{entry} {file and file.digest}".encode()).hexdigest()

    def is_same_model(self, other: ModelSpec) -> bool:
        """Return whether both entries are equal except for what does not change the model."""
        return self._without_place() == other._without_place()

    def file_fingerprint(self, previous: FileFingerprint | None = None) -> FileFingerprint | None:
        """Return the fingerprint of the model file; ``None`` without one."""
        return file_fingerprint(self.file, previous) if self.file else None

    def _without_place(self) -> ModelSpec:
        return replace(self, line=0, default=True, aliases=(), log=None, ray=None, fetched=None)

    def create(self) -> MLModel:
        """Create the model without loading it.

        :raises FlmError: if the class is not a model, its settings do not fit, or the file is
            broken or not trusted.
        :raises Exception: any error that the author's module raises when it is imported.
        """
        if self.is_refused:
            raise Untrusted(
                "the file is a pickle without 'sha256' or 'trust', and UNPINNED is 'refuse'; to "
                "pin the file, run the command `pin`"
            )
        if self.remote is not None:
            return _create_remote(self, self.remote)
        return _create_from_class(self) if self.file is None else _create_from_file(self, self.file)


def _create_remote(spec: ModelSpec, remote: Remote) -> MLModel:
    return RemoteModel(
        remote,
        spec.provisional_name,
        input_schema=spec.input_schema,
        output_schema=spec.output_schema,
        seconds=spec.time_limit,
    )


def _create_from_file(spec: ModelSpec, file: Path) -> MLModel:
    return mlmodel.load(
        file,
        trust=spec.trust,
        sha256=spec.sha256,
        input_schema=spec.input_schema,
        qualified_name=spec.name,
        version_mismatch=spec.version_mismatch,
        runtime=spec.runtime,
        n_jobs=spec.n_jobs,
    )


def _create_from_class(spec: ModelSpec) -> MLModel:
    model_class = _import_class(str(spec.class_path))
    name = str(spec.class_path).rpartition(".")[2]
    if not wrapper.is_model_class(model_class):
        raise InvalidModel(
            "expected a class derived from mlmodel.MLModel, or one with the interface of "
            f"ml_base or ml_model_abc, got {name!r}"
        )
    if inspect.isabstract(model_class):
        missing = ", ".join(sorted(model_class.__abstractmethods__))
        raise InvalidModel(f"the class {name!r} must define {missing}")
    decorators = [(_import_class(each.class_path), each.settings) for each in spec.decorators]
    return wrapper.adapt(wrapper.instantiate(model_class, spec.settings), decorators, spec.name)


def _import_class(class_path: str) -> Any:
    module_name, _, class_name = class_path.rpartition(".")
    own = module_name.partition(".")[0]
    if own in OWN_MODULES:
        raise InvalidModel(f"the module {own!r} is Modelhost's own: give your module another name")
    found = getattr(importlib.import_module(module_name), class_name, None)
    if found is None:
        raise InvalidModel(f"module {module_name!r} has no class {class_name!r}")
    return found

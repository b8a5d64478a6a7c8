"""``models.yaml``: the entries of the hosted models. Every mistake is reported by line and key."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import mlmodel
from app.serving.catalog.fingerprint import Contents, contents
from app.serving.catalog.names import Names
from app.serving.catalog.yaml_document import Document, key_of
from app.serving.errors import InvalidCatalog, Mistake
from mlmodel.bounded import filetypes, safe_open
from mlmodel.bounded.filetypes import Kind
from mlmodel.errors import FlmError, InvalidModel, InvalidSchema, Untrusted
from mlmodel.files import bare
from mlmodel.files.packaged import VersionMismatches
from mlmodel.foreign import wrapper
from mlmodel.frameworks.sklearn.onnx.runtime import CHOICES, Choice
from mlmodel.model import NAME, MLModel
from mlmodel.schema.validator import Schema
from mlmodel.trust import Trust

WORD = r"[\p{L}_][\p{L}\p{N}_]*"
CLASS_PATH = {"type": "string", "pattern": rf"^{WORD}(\.{WORD})+$"}
#: One word, without commas: a list of tags written as a sentence is rejected.
TAG = {"type": "string", "pattern": r"^[^\s,#]+$", "maxLength": 40}
DECORATOR = {
    "type": "object",
    "properties": {"class": CLASS_PATH, "settings": {"type": "object"}},
    "required": ["class"],
    "additionalProperties": False,
}

BATCH = {
    "type": "object",
    "properties": {"max_rows": {"type": "integer", "minimum": 2}},
    "required": ["max_rows"],
    "additionalProperties": False,
}

#: A number and its unit.
SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([MG]B)")
UNITS = {"MB": 10**6, "GB": 10**9}
#: Memory that a process needs without a model.
LEAST_BYTES = 64 * 10**6
SECONDS = {"type": "number", "exclusiveMinimum": 0, "maximum": 86_400}
ISOLATION = {
    "type": "object",
    "properties": {
        "memory": {"type": "string"},
        "load_seconds": SECONDS,
        "read": {"type": "array", "items": {"type": "string", "minLength": 1}},
        "sandbox": {"type": "boolean"},
    },
    "additionalProperties": False,
}

#: All names of a package, in ``trust``.
PATTERN = re.compile(r"\w+(\.\w+)*\.\*", re.ASCII)

#: The JSON Schema of an entry. docs/models-yaml.md describes the keys.
ENTRY = {
    "type": "object",
    "properties": {
        "class": CLASS_PATH,
        "file": {"type": "string", "minLength": 1},
        "name": {"type": "string", "pattern": f"^{NAME.pattern}$"},
        "version": {"type": "string", "pattern": f"^{NAME.pattern}$"},
        "default": {"type": "boolean"},
        "aliases": {
            "type": "array",
            "items": {"type": "string", "pattern": f"^{NAME.pattern}$"},
            "uniqueItems": True,
        },
        "settings": {"type": "object"},
        "decorators": {"type": "array", "items": {"anyOf": [CLASS_PATH, DECORATOR]}},
        "sha256": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
        "trust": {"type": ["string", "array"], "items": {"type": "string"}},
        "load": {"enum": ["start", "lazy", "worker"]},
        "isolate": {"anyOf": [{"type": "boolean"}, ISOLATION]},
        "time_limit": SECONDS,
        "batch": {"anyOf": [{"const": False}, BATCH]},
        "runtime": {"enum": list(CHOICES)},
        "n_jobs": {"anyOf": [{"const": -1}, {"type": "integer", "minimum": 1, "maximum": 1024}]},
        "version_mismatch": {"enum": ["warn", "error"]},
        "input_schema": {"type": "object"},
        "examples": {"type": "array"},
        "tags": {"type": "array", "items": TAG, "uniqueItems": True},
        "artifacts": {"type": ["string", "array"], "items": {"type": "string"}},
    },
    "additionalProperties": False,
}
CATALOG = Schema(
    {
        "type": "object",
        "properties": {"models": {"type": "array", "items": ENTRY}},
        "required": ["models"],
        "additionalProperties": False,
    }
)

#: Maximum rows of a batch for a packaged model: many models take as long for one row as for these.
BATCH_ROWS = 64


#: How to treat pickles without ``sha256`` or ``trust``, see the setting UNPINNED.
Unpinned = Literal["check", "isolate", "refuse"]

#: Keys that require another key in the same entry.
ONLY_WITH = {
    "settings": "class",
    "decorators": "class",
    "artifacts": "file",
    "runtime": "file",
    "n_jobs": "file",
    "sha256": "file",
    "trust": "file",
    "version_mismatch": "file",
    "version": "name",
    "default": "version",
    "aliases": "version",
}
#: The start of a URL or network path. A single letter before the colon is a Windows drive.
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:|//|\\\\")


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
    name: str | None = None
    #: Its version in URLs. Without one, no other entry may have the name.
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
    runtime: Choice | None = None
    #: Threads or processes that one call may use; -1 for one per core.
    n_jobs: int = 1
    lazy: bool = False
    #: Whether each worker loads it after the fork, because the model does not survive a fork.
    in_worker: bool = False
    #: Whether it runs in a separate process, and whether it shares that process.
    is_isolated: bool = False
    shares_process: bool = False
    #: Whether it is a pickle without ``sha256`` or ``trust`` and UNPINNED is "refuse".
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
    examples: tuple[Any, ...] = ()
    batch_rows: int | None = None
    tags: tuple[str, ...] = ()
    artifacts: Literal["all"] | tuple[str, ...] = ()

    @property
    def provisional_name(self) -> str:
        """The name of a model that failed to load: its own if known, else from class or file."""
        if self.name:
            return self.name
        module, _, class_name = str(self.class_path).rpartition(".")
        own = getattr(getattr(sys.modules.get(module), class_name, None), "qualified_name", None)
        if isinstance(own, str) and NAME.fullmatch(own):
            return own
        source = filetypes.stem(self.file) if self.file else class_name
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", source).strip("-_.") or "model"

    @property
    def reference(self) -> str:
        """The provisional name, with the version unless it is the default."""
        return self.provisional_name + ("" if self.default else f"@{self.version}")

    @property
    def source(self) -> Path | str:
        """The model's file, or the path of its class."""
        return self.file or str(self.class_path)

    def fingerprint(self, found: Contents | None) -> str:
        """Return a hash of the entry and the bytes of its file.

        :param found: the result of :meth:`contents`.
        """
        entry = repr(replace(self, line=0, default=True, aliases=()))
        return hashlib.sha256(f"{entry} {found and found.digest}".encode()).hexdigest()

    def makes_the_same_as(self, other: ModelSpec) -> bool:
        """Return whether both entries are equal except for line, default and aliases."""
        return replace(self, line=0, default=True, aliases=()) == replace(
            other, line=0, default=True, aliases=()
        )

    def contents(self, known: Contents | None = None) -> Contents | None:
        """Return the :func:`contents` of the file; ``None`` for a class."""
        return contents(self.file, known) if self.file else None

    def create(self) -> MLModel:
        """Create the model without loading it.

        :raises FlmError: if the class is not a model, its settings do not fit, or the file is
            broken or not trusted.
        :raises Exception: any error that the author's module raises when it is imported.
        """
        if self.is_refused:
            raise Untrusted(
                "it is a pickle without sha256 or trust, which UNPINNED refuses: "
                "`flask models pin` adds the sha256"
            )
        return self._create_from_class() if self.file is None else self._create_from_file(self.file)

    def _create_from_file(self, file: Path) -> MLModel:
        if bare.is_bare(file):
            return bare.load(
                file,
                trust=self.trust,
                sha256=self.sha256,
                input_schema=self.input_schema,
                qualified_name=self.name,
                version_mismatch=self.version_mismatch,
                runtime=self.runtime,
                n_jobs=self.n_jobs,
            )
        return mlmodel.load(
            file,
            trust=self.trust,
            sha256=self.sha256,
            input_schema=self.input_schema,
            qualified_name=self.name,
            version_mismatch=self.version_mismatch,
            runtime=self.runtime,
            n_jobs=self.n_jobs,
        )

    def _create_from_class(self) -> MLModel:
        model_class = _imported(str(self.class_path))
        name = str(self.class_path).rpartition(".")[2]
        if not wrapper.fits(model_class):
            raise InvalidModel(
                f"{name!r} must be a class derived from mlmodel.MLModel, or one like those of "
                "ml_base and ml_model_abc"
            )
        if inspect.isabstract(model_class):
            missing = ", ".join(sorted(model_class.__abstractmethods__))
            raise InvalidModel(f"{name!r} must define {missing}")
        decorators = [(_imported(each.class_path), each.settings) for each in self.decorators]
        return wrapper.adapted(wrapper.made(model_class, self.settings), decorators)


def _imported(class_path: str) -> Any:
    module_name, _, class_name = class_path.rpartition(".")
    found = getattr(importlib.import_module(module_name), class_name, None)
    if found is None:
        raise InvalidModel(f"module {module_name!r} has no {class_name!r}")
    return found


def read(
    path: Path,
    environ: Mapping[str, str],
    text: str | None = None,
    unpinned: Unpinned = "check",
) -> list[ModelSpec]:
    """Return the entries of a ``models.yaml``.

    :param environ: the values of ``${NAME}``.
    :param text: used instead of the file's current text.
    :param unpinned: how to treat pickles without ``sha256`` or ``trust``.
    :raises InvalidCatalog: with every mistake found.
    """
    document = Document(path if text is None else text, environ)
    mistakes = document.mistakes or list(_mistakes(document))
    if mistakes:
        raise InvalidCatalog(path, mistakes)
    specs = [
        _spec(entry, document.line(f"/models/{index}"), path.parent)
        for index, entry in enumerate(_catalog(document)["models"])
    ]
    return _with_defaults([_restricted(spec, unpinned) for spec in specs])


def _restricted(spec: ModelSpec, unpinned: Unpinned) -> ModelSpec:
    """Apply the setting UNPINNED to an entry."""
    is_vouched_for = spec.sha256 is not None or spec.trust
    if unpinned == "check" or spec.file is None or is_vouched_for or not _is_pickle(spec.file):
        return spec
    if unpinned == "refuse":
        return replace(spec, is_refused=True)
    if spec.is_isolated:
        return spec
    return replace(spec, is_isolated=True, is_sandboxed=True, shares_process=True)


def _is_pickle(file: Path) -> bool:
    """Return whether a file contains a pickle; false if it cannot be read."""
    try:
        content = safe_open.content(file)
        kind = filetypes.recognize(content, file.name)
        if kind is not Kind.PACKAGE:
            return kind is Kind.PICKLE
        return mlmodel.inspect(file).meta.framework.lib in ("sklearn", "torch")
    except (OSError, FlmError):  # loading it reports the error
        return False


def _with_defaults(specs: list[ModelSpec]) -> list[ModelSpec]:
    """Make the first version of each name its default unless an entry sets one."""
    chosen = {spec.name for spec in specs if spec.version and spec.default}
    found = []
    for spec in specs:
        is_first = bool(spec.version) and spec.name not in chosen
        chosen.add(spec.name if is_first else None)
        found.append(replace(spec, default=True) if is_first else spec)
    return found


def _catalog(document: Document) -> Any:
    """Return the document; an empty file, or an empty ``models:``, has no entries."""
    is_empty = document.value is None or document.value == {"models": None}
    return {"models": []} if is_empty else document.value


def _mistakes(document: Document) -> Iterator[Mistake]:
    violations = CATALOG.violations(_catalog(document))
    for violation in violations:
        yield Mistake(document.line(violation.pointer), key_of(violation.pointer), violation.detail)
    if violations:
        return
    names = Names()
    for index, entry in enumerate(_catalog(document)["models"]):
        place = f"/models/{index}"
        found = [*_mistakes_of_entry(entry), *names.mistakes(entry, document.line(f"{place}/name"))]
        for at, detail in found:
            yield Mistake(document.line(place + at), key_of(place + at), detail)


def _mistakes_of_entry(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if ("class" in entry) == ("file" in entry):
        yield "", "must have either class or file"
        return
    for key, other in ONLY_WITH.items():
        if key in entry and other not in entry:
            yield f"/{key}", f"goes only with {other}"
    asked = entry.get("isolate")
    memory = asked.get("memory") if isinstance(asked, Mapping) else None
    if memory is not None and _bytes(memory) < LEAST_BYTES:
        yield "/isolate/memory", f"must be at least 64MB, such as 2GB or 500MB, got {memory!r}"
    if "file" in entry:
        yield from _mistakes_of_file(entry)
    try:
        Schema(entry.get("input_schema", True))
    except InvalidSchema as error:
        yield "/input_schema", f"is {error}"


def _mistakes_of_file(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if ADDRESS.match(entry["file"]):
        detail = f"must be the path of a file here, not an address; got {entry['file']!r}"
        yield "/file", f"{detail}: download it, and name its sha256"
        return
    for key in ("trust", "artifacts"):
        if isinstance(entry.get(key), str) and entry[key] != "all":
            yield f"/{key}", f'must be "all" or a list of names, got {entry[key]!r}'
    asked = entry.get("trust", ())
    for name in () if isinstance(asked, str) else asked:
        if "*" in name and not PATTERN.fullmatch(name):
            yield "/trust", f"must have names, or patterns such as 'skrub.*'; got {name!r}"


def _isolation(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    asked = entry.get("isolate", False)
    limits = asked if isinstance(asked, Mapping) else {}
    return {
        "is_isolated": asked is not False,
        "is_sandboxed": asked is not False and limits.get("sandbox", True),
        "reads": tuple(folder / each for each in limits.get("read", ())),
        "memory_bytes": _bytes(limits["memory"]) if "memory" in limits else 0,
        "load_seconds": limits.get("load_seconds"),
        "time_limit": entry.get("time_limit"),
    }


def _bytes(size: str) -> int:
    found = SIZE.fullmatch(size)
    return int(float(found[1]) * UNITS[found[2]]) if found else 0


def _spec(entry: Mapping[str, Any], line: int, folder: Path) -> ModelSpec:
    return ModelSpec(
        line=line,
        class_path=entry.get("class"),
        file=folder / entry["file"] if "file" in entry else None,
        name=entry.get("name"),
        version=entry.get("version"),
        default=entry.get("default", "version" not in entry),
        aliases=tuple(entry.get("aliases", ())),
        settings=entry.get("settings", {}),
        decorators=tuple(map(_decorator, entry.get("decorators", ()))),
        sha256=entry.get("sha256", "").lower() or None,
        trust="all" if entry.get("trust") == "all" else tuple(entry.get("trust", ())),
        version_mismatch=entry.get("version_mismatch", "warn"),
        runtime=entry.get("runtime"),
        n_jobs=entry.get("n_jobs", 1),
        lazy=entry.get("load") == "lazy",
        in_worker=entry.get("load") == "worker",
        **_isolation(entry, folder),
        batch_rows=_batch_rows(entry),
        input_schema=entry.get("input_schema"),
        examples=tuple(entry.get("examples", ())),
        tags=tuple(entry.get("tags", ())),
        artifacts="all" if entry.get("artifacts") == "all" else tuple(entry.get("artifacts", ())),
    )


def _batch_rows(entry: Mapping[str, Any]) -> int | None:
    """Return the maximum rows of a batch; 0 if calls must not be batched.

    ``None`` lets the model decide, see :attr:`mlmodel.MLModel.is_row_wise`.
    """
    if "batch" not in entry:
        return None
    return int(entry["batch"]["max_rows"]) if entry["batch"] else 0


def _decorator(entry: str | Mapping[str, Any]) -> DecoratorSpec:
    if isinstance(entry, str):
        return DecoratorSpec(entry, {})
    return DecoratorSpec(entry["class"], entry.get("settings", {}))

"""Models in ``.flm`` files: write one, look into one, load one."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import uuid
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlmodel import artifacts as files
from mlmodel import format as flm
from mlmodel import frameworks
from mlmodel.compression import named
from mlmodel.errors import BadMetadata, InvalidModel, WrongHash
from mlmodel.metadata import Described, Framework, Meta, to_json
from mlmodel.model import MLModel, Row, checked_name

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


def dump(
    model: Any,
    path: str | os.PathLike[str],
    compression: str = "zstd",
    *,
    model_id: str | uuid.UUID | None = None,
    timestamp: datetime | None = None,
    params: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    artifacts: Mapping[str, str | os.PathLike[str]] | None = None,
    protocol: int = 2,
) -> None:
    """Write a fitted model to a file that :func:`load` and Flama read.

    The file is there whole or not at all: one that was there before stays if this fails. With
    ``model_id`` and ``timestamp`` given, equal arguments write equal bytes.

    :param compression: ``"bz2"``, ``"lzma"``, ``"zlib"`` or ``"zstd"``.
    :param params: how the model was trained, as JSON. Like ``metrics`` and ``extra`` it may hold
        scalars and arrays of numpy.
    :param extra: anything else. ``qualified_name``, ``display_name``, ``description``,
        ``version``, ``input_schema``, ``output_schema`` and ``examples`` tell :func:`load` what
        the model is.
    :param artifacts: names within the file, and the files to put there.
    :param protocol: 2, or 1 for Flama 1.12.
    :raises UnsupportedFramework: if no adapter writes such a model.
    :raises InvalidModel: if the framework cannot write it.
    :raises BadMetadata: if params, metrics or extra are not JSON.
    :raises BadArtifact: if an artifact's name is not one plain ASCII file name.
    """
    codec = named(compression)
    lib = frameworks.detect(model)
    adapter = frameworks.adapter(lib)
    meta = Meta(
        id=str(model_id or uuid.uuid4()),
        timestamp=(timestamp or datetime.now(UTC)).isoformat(),
        framework=Framework("ml", lib, adapter.version()),
        model=Described(
            obj=type(model).__name__,
            info=adapter.describe(model),
            params=_object(params, "params"),
            metrics=_object(metrics, "metrics"),
        ),
        extra=_object(extra, "extra"),
    )
    contents = {name: Path(source).read_bytes() for name, source in (artifacts or {}).items()}
    _replace(Path(path), flm.write(meta, adapter.dumps(model), contents, codec, protocol))


@dataclass(frozen=True)
class Inspection:
    """What :func:`inspect` finds.

    ``container`` is ``"zlib"``, ``"tar"``, ``"protocol 1"`` or ``"protocol 2"``. ``artifacts``
    has the bytes that each takes in the file, compressed (in a tar: as it was before).
    """

    container: str
    compression: str
    size_bytes: int
    sha256: str
    meta: Meta
    artifacts: dict[str, int]


def inspect(path: str | os.PathLike[str], *, limit_bytes: int | None = None) -> Inspection:
    """Look into any file, and neither build nor unpack anything.

    :param limit_bytes: as for :func:`load`.
    :raises InvalidFile: if it is not a readable ``.flm`` file.
    """
    content = Path(path).read_bytes()
    found = flm.read(content, flm.budget(len(content), limit_bytes))
    return Inspection(
        container=found.container,
        compression=found.compression,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        meta=found.meta,
        artifacts={name: len(section.packed) for name, section in found.artifacts.items()},
    )


def load(
    path: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    limit_bytes: int | None = None,
    input_schema: Mapping[str, Any] | None = None,
    qualified_name: str | None = None,
) -> PackagedModel:
    """Read a file of any release of Flama, verify it whole, and build nothing yet.

    Building the model runs code that the file brings: load what you trust, or give ``sha256``.

    :param sha256: what the file must have, in hexadecimal digits.
    :param limit_bytes: what the whole file may expand to; by default
        :data:`~mlmodel.format.EXPANSION` times its size.
    :param input_schema: instead of the file's own, or of what the model tells.
    :param qualified_name: instead of the file's own, or of the file's name.
    :raises InvalidFile: if it is not a readable ``.flm`` file, or not the one asked for.
    :raises InvalidModel: if there is no valid name to be had.
    """
    return PackagedModel(
        path,
        sha256=sha256,
        limit_bytes=limit_bytes,
        input_schema=input_schema,
        qualified_name=qualified_name,
    )


class PackagedModel(MLModel):
    """A model in a file. :func:`load` makes it.

    ``meta`` is the file's metadata. ``artifacts`` has the paths of the files that came with the
    model: they are removed with this object, by :meth:`unload`, and when the process ends.
    """

    meta: Meta
    artifacts: dict[str, Path]

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sha256: str | None,
        limit_bytes: int | None,
        input_schema: Mapping[str, Any] | None,
        qualified_name: str | None,
    ) -> None:
        self._path = Path(path)
        self._sha256 = sha256
        self._limit_bytes = limit_bytes
        self._asked_schema = input_schema
        self._asked_name = qualified_name
        self._lock = threading.RLock()
        self._model: Any = None
        self._content: bytes | None = None
        self._open()

    @property
    def model(self) -> Any:
        """The framework's own model, built when it is first asked for.

        :raises UnsupportedFramework: if no adapter builds such a model.
        :raises MissingFramework: if its framework is not installed.
        :raises BrokenModel: if the framework cannot build it.
        """
        with self._lock:
            self.load()
            return self._model

    @property
    def metadata(self) -> dict[str, Any]:
        """What the file says of its model, and the names and sizes of its artifacts."""
        framework, model = self.meta.framework, self.meta.model
        return {
            "id": self.meta.id,
            "timestamp": self.meta.timestamp,
            "framework": f"{frameworks.title(framework.lib)} {framework.version}",
            "params": model.params,
            "metrics": model.metrics,
            "extra": self.meta.extra,
            "artifacts": [
                {"name": name, "size_bytes": path.stat().st_size}
                for name, path in self.artifacts.items()
            ],
        }

    @property
    def input_schema(self) -> Mapping[str, Any] | None:  # type: ignore[override]
        """The schema asked for, the file's, or the model's own: that one builds the model."""
        if self._schema is not None:
            return self._schema
        return self._adapter.input_schema(self.model)

    @property
    def output_schema(self) -> Mapping[str, Any] | None:  # type: ignore[override]
        """The file's schema, or the model's own: that one builds the model."""
        if self._answer_schema is not None:
            return self._answer_schema
        return self._adapter.output_schema(self.model)

    def predict(self, row: Row) -> Any:
        """Answer one row, see :meth:`predict_rows`."""
        return self.predict_rows([row])[0]

    def predict_rows(self, rows: Sequence[Row]) -> list[Any]:
        """Answer rows in one call of the model.

        An answer has a ``prediction`` and, from a classifier that can tell, ``probabilities``.
        """
        return self._adapter.predict_rows(self.model, rows, self._columns)

    def load(self) -> None:
        """Build the model, once. After :meth:`unload`, read and verify the file again.

        Raises what :func:`load` and :attr:`model` raise.
        """
        with self._lock:
            if self._model is not None:
                return
            if self._content is None:
                self._open()
            model = self._adapter.loads(self._content or b"")
            frameworks.detect(model)
            self._model, self._content = model, None

    def unload(self) -> None:
        """Drop the model and its artifacts."""
        with self._lock:
            self._model, self._content = None, None
            self.artifacts = {}
            self._remove_artifacts()

    @property
    def _adapter(self) -> frameworks.Adapter:
        return frameworks.adapter(self.meta.framework.lib)

    def _open(self) -> None:
        """Read and verify the file. The artifacts come last: nothing is left if it is refused."""
        content = self._path.read_bytes()
        _check_hash(content, self._sha256)
        budget = flm.budget(len(content), self._limit_bytes)
        found = flm.read(content, budget)
        self._content = flm.unpack_model(found, budget)
        self.meta = found.meta
        self._describe(found.meta.extra or {})
        folder, self.artifacts = files.unpack(found.artifacts, budget)
        # A bound method would keep this object, and the folder with it, until the process ends.
        self._remove_artifacts = weakref.finalize(self, files.remove, folder, os.getpid())

    def _describe(self, extra: dict[str, Any]) -> None:
        """Take from ``extra`` what nobody asked to be otherwise."""
        self.qualified_name = checked_name(self._asked_name or _name(extra, self._path))
        self.display_name = _text(extra, "display_name")
        self.description = _text(extra, "description", "model_description")
        self.version = _text(extra, "version", "model_version")
        self.examples = _member(extra, "examples", list, "a list") or ()
        schema: Mapping[str, Any] | None = _member(extra, "input_schema", dict, "an object")
        self._schema = schema if self._asked_schema is None else self._asked_schema
        self._answer_schema: Mapping[str, Any] | None = _member(
            extra, "output_schema", dict, "an object"
        )
        properties = (self._schema or {}).get("properties")
        self._columns = list(properties) if isinstance(properties, Mapping) else []


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{uuid.uuid4().hex}.draft")
    try:
        with draft.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _check_hash(content: bytes, expected: str | None) -> None:
    found = hashlib.sha256(content).hexdigest()
    if expected is not None and expected.lower() != found:
        raise WrongHash(expected, found)


def _object(value: Mapping[str, Any] | None, place: str) -> dict[str, Any] | None:
    if value is None:
        return None
    document = to_json(value, place)
    if isinstance(document, dict):
        return document
    raise BadMetadata(f"{place} must be an object, got {value!r}")


def _name(extra: dict[str, Any], path: Path) -> str:
    """Return the name that the file gives itself, or else one made from the file's own."""
    given = extra.get("qualified_name")
    if given is None:
        return _UNSAFE.sub("-", path.stem)[:100].strip("_.-") or "model"
    try:
        return checked_name(given)
    except InvalidModel as error:
        raise BadMetadata(f"extra.{error}") from error


def _text(extra: dict[str, Any], *keys: str) -> str:
    """Return the first of some members that is there, as text: a version may be a number."""
    return next((str(extra[key]) for key in keys if extra.get(key) is not None), "")


def _member(extra: dict[str, Any], key: str, kind: type, title: str) -> Any:
    value = extra.get(key)
    if value is None or isinstance(value, kind):
        return value
    raise BadMetadata(f"extra.{key} must be {title}, got {value!r:.60}")

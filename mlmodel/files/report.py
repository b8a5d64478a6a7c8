"""Inspect model files without building their models."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from mlmodel.bounded import compression, safe_open
from mlmodel.bounded.filetypes import Kind
from mlmodel.bounded.metadata import Meta
from mlmodel.errors import BrokenModel, Untrusted
from mlmodel.files import source
from mlmodel.files.flm import container
from mlmodel.files.reading import content_kind
from mlmodel.trust import contents


@dataclass(frozen=True)
class Inspection:
    """The result of :func:`inspect`.

    ``container`` is ``"zlib"``, ``"tar"``, ``"protocol 1"`` or ``"protocol 2"``. ``artifacts``
    has the compressed size of each artifact in bytes (in a tar: the original size).
    """

    container: str
    compression: str
    size_bytes: int
    sha256: str
    meta: Meta
    artifacts: dict[str, int]


def inspect(path: str | os.PathLike[str], *, limit_bytes: int | None = None) -> Inspection:
    """Return the metadata of a file. Safe on any file: it builds no model and writes no files.

    :param limit_bytes: as for :func:`.load`.
    :raises InvalidFile: if it is not a readable ``.flm`` file.
    """
    content = safe_open.read_regular_file(path)
    found = container.read(content, compression.budget(len(content), limit_bytes))
    return Inspection(
        container=found.container,
        compression=found.compression,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        meta=found.meta,
        artifacts={name: len(section.packed) for name, section in found.artifacts.items()},
    )


@dataclass(frozen=True)
class Report:
    """The names that a file references, and those of them that are not trusted.

    ``refusal`` is the reason why the file is rejected; ``None`` if it is accepted.
    """

    names: tuple[str, ...] = ()
    untrusted: tuple[str, ...] = ()
    refusal: str | None = None


def report(path: str | os.PathLike[str]) -> Report:
    """Return the names that a file or a folder of MLflow references. It builds no model.

    :raises FlmError: if it is not a readable model file.
    """
    found = source.read(path)
    content = found.content
    kind, lib = found.kind, ""
    if kind is Kind.PACKAGE:
        budget = compression.budget(len(content))
        packed = container.read(content, budget)
        lib = packed.meta.framework.lib
        kind = content_kind(lib)
        content = container.unpack_model(packed, budget) if kind is Kind.PICKLE else b""
    names, untrusted = contents.list_names(kind, content)
    try:
        contents.check(kind, content, (), lib=lib)
    except (Untrusted, BrokenModel) as error:
        types = error.types if isinstance(error, Untrusted) else ()
        return Report(names, untrusted or types, str(error))
    return Report(names, untrusted)

"""Read the two containers that preceded protocol 1.

* Flama 1.0: one zlib stream of the JSON ``{"model": base64 text, "meta": {...}}``.
* Flama 1.1 to 1.11: a tar, compressed with gzip, bz2 or xz. Its member ``model`` is a zlib stream
  of the same JSON; the other members are ``artifacts/<name>``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlmodel.bounded.compression import Budget, Codec, decompress
from mlmodel.bounded.metadata import parse
from mlmodel.errors import BadArtifact, BadMetadata, CorruptSection
from mlmodel.files.flm.protocols import Cursor, Section

_BLOCK_BYTES = 512
_FOLDER = "artifacts/"

#: Maximum bytes of a tar's extended header for a name. Flama's names have fewer than 100.
_NAME_BYTES = 4096


@dataclass(frozen=True)
class Legacy:
    """The contents of a legacy file: metadata as JSON, model as base64 text, and artifacts."""

    meta: Any
    model: Section
    artifacts: dict[str, Section]


def read_zlib(content: bytes | memoryview, budget: Budget) -> Legacy:
    """Read a file of Flama 1.0.

    :raises InvalidFile: a subclass that names the defect.
    """
    meta, model = _meta_and_model(content, budget)
    return Legacy(meta, model, {})


def read_tar(content: bytes | memoryview, codec: Codec, budget: Budget) -> Legacy:
    """Read a file of Flama 1.1 to 1.11.

    :raises InvalidFile: a subclass that names the defect.
    """
    model, artifacts = None, {}
    for name, member in _members(decompress(codec, content, budget)):
        if name == "model" and model is None:
            model = member
        elif name.startswith(_FOLDER) and name not in artifacts:
            artifacts[name] = Section(Codec.NONE, member)
        else:
            raise BadArtifact(f"the member {name!r} of the tar is not an artifact, or occurs twice")
    if model is None:
        raise CorruptSection("expected a member 'model' in the tar")
    meta, text = _meta_and_model(model, budget)
    return Legacy(meta, text, {name.removeprefix(_FOLDER): artifacts[name] for name in artifacts})


def _meta_and_model(packed: bytes | memoryview, budget: Budget) -> tuple[Any, Section]:
    if not packed:
        # A missing flush in Flama wrote every model of less than 8 KiB like this.
        raise CorruptSection(
            "the model section is empty: Flama 1.1 to 1.11 wrote this for small models; "
            "write the file again from the model"
        )
    document = parse(decompress(Codec.ZLIB, packed, budget))
    if not isinstance(document, dict) or not isinstance(document.get("model"), str):
        raise BadMetadata("expected an object with a string 'model' and an object 'meta'")
    return document.get("meta"), Section(Codec.NONE, document["model"].encode("ascii", "replace"))


def _members(tar: bytes) -> Iterator[tuple[str, memoryview]]:
    """Yield the regular files of a tar, in order.

    ``tarfile`` is unsafe here: in Python 3.11 a hostile header makes it loop forever
    (CVE-2025-8194, CVE-2024-6232), and a sparse member of a few bytes reads as terabytes.

    Source: POSIX.1-2008, "ustar Interchange Format" and "pax Header Block".
    """
    cursor, name = Cursor(tar), None
    while any(header := bytes(cursor.read(_BLOCK_BYTES, "a tar header"))):
        kind, size = header[156:157], _octal(header[124:136])
        content = cursor.read(size, "a tar member")
        cursor.read(-size % _BLOCK_BYTES, "tar padding")
        match kind:
            case b"x" | b"L" if size > _NAME_BYTES:
                raise BadArtifact(
                    f"a name in the tar must have at most {_NAME_BYTES:,} bytes, got {size:,}"
                )
            case b"x":
                name = _pax_path(bytes(content))
            case b"L":
                name = _text(bytes(content))
            case b"0" | b"\0":
                yield name or _ustar_name(header), content
                name = None
            case b"5" | b"g":
                name = None
            case _:
                raise BadArtifact(
                    f"expected only files and folders in the tar, got a member of type {kind!r}"
                )


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise CorruptSection(f"a size in the tar must be octal digits, got {field!r}")
    return int(digits or b"0", 8)


def _ustar_name(header: bytes) -> str:
    name, prefix = _text(header[:100]), _text(header[345:500])
    return f"{prefix}/{name}" if header[257:263] == b"ustar\0" and prefix else name


def _pax_path(records: bytes) -> str | None:
    """Return the path in records such as ``b"22 path=artifacts/foo\\n"``."""
    path = None
    while records:
        digits, _, _ = records.partition(b" ")
        size = int(digits) if digits.isdigit() else 0
        key, _, value = records[len(digits) + 1 : size - 1].partition(b"=")
        if not len(digits) + 1 < size <= len(records):
            raise CorruptSection(
                f"a record in the tar must begin with its length, got {digits[:20]!r}"
            )
        if key == b"path":
            path = _text(value)
        records = records[size:]
    return path


def _text(name: bytes) -> str:
    try:
        return name.partition(b"\0")[0].decode()
    except UnicodeDecodeError as error:
        raise BadArtifact(f"a name in the tar must be UTF-8, got {name!r}") from error

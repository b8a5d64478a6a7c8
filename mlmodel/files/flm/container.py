"""Read and write the metadata, artifacts and model of a file, in any container format.

======================  ================  ==========================
first bytes             written by Flama  read by
======================  ================  ==========================
``78 9c``               1.0               :mod:`mlmodel.files.flm.legacy`
gzip, bz2 or xz         1.1 to 1.11       :mod:`mlmodel.files.flm.legacy`
``00 00 00 01``         1.12, 2           :mod:`mlmodel.files.flm.protocols`
``00 00 00 02``         2                 :mod:`mlmodel.files.flm.protocols`
======================  ================  ==========================

No container has a magic number of its own. This module builds nothing and writes no files.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from mlmodel.bounded import metadata
from mlmodel.bounded.compression import Budget, Codec, compress
from mlmodel.bounded.metadata import Meta
from mlmodel.errors import BadHeader, CorruptSection
from mlmodel.files.flm import legacy, protocols
from mlmodel.files.flm.artifacts import check_flama_name, check_names
from mlmodel.files.flm.protocols import Layout, Section

_ZLIB = b"\x78\x9c"
_TARS = {b"\x1f\x8b": Codec.ZLIB, b"BZ": Codec.BZ2, b"\xfd7": Codec.LZMA}


@dataclass(frozen=True)
class Contents:
    """The contents of a file.

    ``container`` is ``"zlib"``, ``"tar"``, ``"protocol 1"`` or ``"protocol 2"``. The names of
    the artifacts are relative paths that stay within a folder. If ``is_bundle``, the model is a
    tar of a folder.
    """

    container: str
    compression: str
    meta: Meta
    artifacts: Mapping[str, Section]
    model: Section
    is_bundle: bool = False


def read(content: bytes | memoryview, budget: Budget) -> Contents:
    """Read a file's metadata and locate its artifacts and its model.

    In protocols 1 and 2, only the metadata is decompressed; older containers are one stream.

    :raises InvalidFile: a subclass that names the defect.
    """
    if not content:
        raise BadHeader("the file is empty")
    first = bytes(content[:4])
    if first[:2] == _ZLIB:
        found = _from_legacy("zlib", Codec.ZLIB, legacy.read_zlib(content, budget))
    elif first[:2] in _TARS:
        codec = _TARS[first[:2]]
        found = _from_legacy("tar", codec, legacy.read_tar(content, codec, budget))
    elif first[:3] == b"\0\0\0":
        found = _from_layout(protocols.decode(content), budget)
    else:
        raise BadHeader(f"expected the first bytes of an .flm file, got '{first.hex(' ')}'")
    check_names(found.artifacts)
    return found


def unpack_model(contents: Contents, budget: Budget) -> bytes:
    """Return the model's bytes as its framework wrote them.

    :raises CorruptSection: if the section is not base64 text, or empty.
    :raises TooLarge: if it expands beyond the remaining budget.
    """
    unpacked = contents.model.unpack(budget)
    model = unpacked if contents.is_bundle else _from_base64(unpacked)
    if not model:
        raise CorruptSection("the model section is empty; write the file again from the model")
    return model


def write(
    meta: Meta, model: bytes, artifacts: Mapping[str, bytes], codec: Codec, protocol: int
) -> bytes:
    """Return the bytes of a file that Flama reads too.

    :raises BadArtifact: if an artifact's name is not one plain ASCII file name.
    :raises UnknownProtocol: if the protocol is neither 1 nor 2.
    """
    for name in artifacts:
        check_flama_name(name)

    def section(content: bytes) -> Section:
        return Section(codec, compress(codec, content))

    layout = Layout(
        protocol=protocol,
        codec=codec,
        meta=section(metadata.encode(meta)),
        model=section(base64.encodebytes(model)),
        artifacts={name: section(content) for name, content in artifacts.items()},
    )
    return protocols.encode(layout)


def _from_legacy(container: str, codec: Codec, found: legacy.Legacy) -> Contents:
    meta = metadata.decode(found.meta)
    return Contents(container, codec.name.lower(), meta, found.artifacts, found.model)


def _from_layout(layout: Layout, budget: Budget) -> Contents:
    return Contents(
        container=f"protocol {layout.protocol}",
        compression=layout.codec.name.lower(),
        meta=metadata.decode(metadata.parse(layout.meta.unpack(budget))),
        artifacts=layout.artifacts,
        model=layout.model,
        is_bundle=layout.is_bundle,
    )


def _from_base64(text: bytes) -> bytes:
    try:
        return base64.b64decode(text.replace(b"\n", b""), validate=True)
    except binascii.Error as error:
        raise CorruptSection(f"the model must be base64 text: {error}") from error

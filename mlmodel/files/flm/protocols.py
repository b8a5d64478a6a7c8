"""Protocols 1 and 2: the layout of the sections within a file.

Nothing is decompressed here. :func:`decode` locates the sections and :func:`encode` writes them
back, byte for byte. All integers are big-endian::

    header       protocol u32, codec u32, bytes after the header u64
    protocol 1   meta u64, model u64, artifacts' count u32, artifacts u64; meta, model, artifacts
    protocol 2   meta u64, artifacts u64, model u64;
                 codec u8, meta; codec u8, count u32, artifacts; codec u8, kind u8, model
    an artifact  length of its name u32, length of its content u64, name, content
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from mlmodel.bounded.compression import FILE_CODECS, Budget, Codec, decompress
from mlmodel.errors import (
    BadArtifact,
    BadHeader,
    CorruptSection,
    TruncatedFile,
    UnknownCompression,
    UnknownModelKind,
    UnknownProtocol,
)

HEADER = struct.Struct("!IIQ")
PROTOCOLS = (1, 2)

_SIZES_1 = struct.Struct("!QQIQ")
_SIZES_2 = struct.Struct("!QQQ")
_COUNT = struct.Struct("!I")
_BYTE = struct.Struct("!B")
_ENTRY = struct.Struct("!IQ")

_INHERIT = 0
_BINARY, _BUNDLE = 0, 1


@dataclass(frozen=True)
class Section:
    """A compressed part of a file."""

    codec: Codec
    packed: bytes | memoryview

    def unpack(self, budget: Budget) -> bytes:
        """Return the content. Raises the errors of :func:`decompress`."""
        return decompress(self.codec, self.packed, budget)


@dataclass(frozen=True)
class Layout:
    """A file's protocol, codec and sections.

    If ``is_bundle``, the model is a tar of a folder, not base64 text.
    """

    protocol: int
    codec: Codec
    meta: Section
    model: Section
    artifacts: Mapping[str, Section] = field(default_factory=dict)
    is_bundle: bool = False


class Cursor:
    """Reads fields from the front of a byte string, never beyond its end."""

    def __init__(self, content: bytes | memoryview) -> None:
        self._rest = memoryview(content)

    def __len__(self) -> int:
        return len(self._rest)

    def read(self, size_bytes: int, field: str) -> memoryview:
        """Return the next ``size_bytes`` bytes.

        :param field: what they are, for the error message.
        :raises TruncatedFile: if fewer are left.
        """
        if size_bytes > len(self._rest):
            raise TruncatedFile(
                f"expected {size_bytes:,} bytes of {field}, got {len(self._rest):,}"
            )
        content, self._rest = self._rest[:size_bytes], self._rest[size_bytes:]
        return content

    def read_integers(self, layout: struct.Struct, field: str) -> tuple[int, ...]:
        """Return the next integers. Raises the errors of :meth:`read`."""
        return layout.unpack(self.read(layout.size, field))

    def check_end(self, field: str) -> None:
        """Raise :class:`CorruptSection` if bytes are left after ``field``."""
        if self._rest:
            raise CorruptSection(f"{len(self._rest):,} extra bytes follow {field}")


def decode(content: bytes | memoryview) -> Layout:
    """Locate the sections of a whole file.

    :raises InvalidFile: a subclass that names the defect.
    """
    cursor = Cursor(content)
    if len(cursor) < HEADER.size:
        raise BadHeader(f"expected a header of {HEADER.size} bytes, got a file of {len(cursor)}")
    protocol, codec, body_bytes = cursor.read_integers(HEADER, "the header")
    if protocol not in PROTOCOLS:
        raise UnknownProtocol(protocol)
    file_codec = _file_codec(codec)
    _check_size(body_bytes, len(cursor))
    return _decode_1(cursor, file_codec) if protocol == 1 else _decode_2(cursor, file_codec)


def encode(layout: Layout) -> bytes:
    """Return the bytes of a whole file.

    :raises UnknownProtocol: if the layout's protocol is neither 1 nor 2.
    """
    if layout.protocol not in PROTOCOLS:
        raise UnknownProtocol(layout.protocol)
    parts = _encode_1(layout) if layout.protocol == 1 else _encode_2(layout)
    header = HEADER.pack(layout.protocol, layout.codec, sum(map(len, parts)))
    return b"".join((header, *parts))


def _file_codec(number: int) -> Codec:
    if number in FILE_CODECS:
        return Codec(number)
    raise UnknownCompression(f"the codec of the file must be 1, 2, 3 or 4, got {number}")


def _check_size(declared_bytes: int, found_bytes: int) -> None:
    message = f"expected {declared_bytes:,} bytes after the header, got {found_bytes:,}"
    if declared_bytes > found_bytes:
        raise TruncatedFile(message)
    if declared_bytes < found_bytes:
        raise BadHeader(message)


def _decode_1(cursor: Cursor, codec: Codec) -> Layout:
    meta_bytes, model_bytes, count, artifacts_bytes = cursor.read_integers(_SIZES_1, "the sizes")
    meta = cursor.read(meta_bytes, "the metadata")
    model = cursor.read(model_bytes, "the model")
    entries = Cursor(cursor.read(artifacts_bytes, "the artifacts"))
    cursor.check_end("the artifacts")
    artifacts = _decode_artifacts(entries, count, codec)
    return Layout(1, codec, Section(codec, meta), Section(codec, model), artifacts)


def _decode_2(cursor: Cursor, codec: Codec) -> Layout:
    meta_bytes, artifacts_bytes, model_bytes = cursor.read_integers(_SIZES_2, "the sizes")
    meta = Cursor(cursor.read(meta_bytes, "the metadata"))
    entries = Cursor(cursor.read(artifacts_bytes, "the artifacts"))
    model = Cursor(cursor.read(model_bytes, "the model"))
    cursor.check_end("the model")
    meta_codec = _section_codec(meta, codec)
    entries_codec = _section_codec(entries, codec)
    (count,) = entries.read_integers(_COUNT, "the number of artifacts")
    model_codec = _section_codec(model, codec)
    return Layout(
        protocol=2,
        codec=codec,
        meta=_rest(meta, meta_codec),
        artifacts=_decode_artifacts(entries, count, entries_codec),
        is_bundle=_is_bundle(model),
        model=_rest(model, model_codec),
    )


def _section_codec(cursor: Cursor, inherited: Codec) -> Codec:
    (number,) = cursor.read_integers(_BYTE, "the codec of a section")
    if number == _INHERIT:
        return inherited
    try:
        return Codec(number)
    except ValueError as error:
        raise UnknownCompression(
            f"the codec of a section must be 0, 1, 2, 3, 4 or 255, got {number}"
        ) from error


def _is_bundle(cursor: Cursor) -> bool:
    (kind,) = cursor.read_integers(_BYTE, "the kind of the model")
    if kind not in (_BINARY, _BUNDLE):
        raise UnknownModelKind(kind)
    return kind == _BUNDLE


def _rest(cursor: Cursor, codec: Codec) -> Section:
    return Section(codec, cursor.read(len(cursor), "the section"))


def _decode_artifacts(cursor: Cursor, count: int, codec: Codec) -> dict[str, Section]:
    artifacts: dict[str, Section] = {}
    for _ in range(count):
        name_bytes, content_bytes = cursor.read_integers(_ENTRY, "an artifact")
        name = _decode_name(cursor.read(name_bytes, "the name of an artifact"))
        if name in artifacts:
            raise BadArtifact(f"the artifact {name!r} occurs twice")
        artifacts[name] = Section(codec, cursor.read(content_bytes, f"the artifact {name!r}"))
    cursor.check_end("the last artifact")
    return artifacts


def _decode_name(name: memoryview) -> str:
    try:
        return bytes(name).decode()
    except UnicodeDecodeError as error:
        raise BadArtifact(f"the name of an artifact must be UTF-8, got {bytes(name)!r}") from error


def _encode_1(layout: Layout) -> list[bytes | memoryview]:
    entries = _encode_artifacts(layout.artifacts)
    meta, model = layout.meta.packed, layout.model.packed
    sizes = _SIZES_1.pack(len(meta), len(model), len(layout.artifacts), sum(map(len, entries)))
    return [sizes, meta, model, *entries]


def _encode_2(layout: Layout) -> list[bytes | memoryview]:
    entries = _encode_artifacts(layout.artifacts)
    codec = next((section.codec for section in layout.artifacts.values()), layout.codec)
    kind = _BUNDLE if layout.is_bundle else _BINARY
    meta = [_codec_byte(layout.meta.codec, layout), layout.meta.packed]
    artifacts = [_codec_byte(codec, layout), _COUNT.pack(len(layout.artifacts)), *entries]
    model = [_codec_byte(layout.model.codec, layout), _BYTE.pack(kind), layout.model.packed]
    sizes = _SIZES_2.pack(*(sum(map(len, section)) for section in (meta, artifacts, model)))
    return [sizes, *meta, *artifacts, *model]


def _codec_byte(codec: Codec, layout: Layout) -> bytes:
    return _BYTE.pack(_INHERIT if codec is layout.codec else codec)


def _encode_artifacts(artifacts: Mapping[str, Section]) -> list[bytes | memoryview]:
    parts: list[bytes | memoryview] = []
    for name, section in artifacts.items():
        encoded = name.encode()
        parts += (_ENTRY.pack(len(encoded), len(section.packed)), encoded, section.packed)
    return parts

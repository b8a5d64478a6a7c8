"""The codecs of ``.flm`` sections, decompressed as streams, and the limits of zip archives.

Every decoder yields pieces of about a megabyte, and a :class:`Budget` stops it as soon as the
whole file has expanded too far. A truncated stream, or one with trailing bytes, is rejected.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from enum import IntEnum
from pathlib import PurePosixPath
from typing import Protocol

import zstandard

from mlmodel.errors import BadArtifact, BrokenModel, CorruptSection, TooLarge, UnknownCompression

#: Bytes that a decoder yields at a time.
PIECE_BYTES = 1 << 20

#: Maximum bytes of a decoder's window: ``xz -9`` needs 65 MiB, zstd's default 8.
DECODER_BYTES = 128 << 20

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_RLE_BLOCK = 1
_FAILURES = (OSError, ValueError, EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError)


class Codec(IntEnum):
    """A codec and its number in the file."""

    BZ2 = 1
    LZMA = 2
    ZLIB = 3
    ZSTD = 4
    NONE = 0xFF


#: Maximum ratio of expanded size to file size. Real files stay below 20.
EXPANSION = 100

#: Bytes to which even the smallest file may expand.
EXPANSION_FLOOR_BYTES = 64 << 20

#: The codecs of a whole file. Only sections of protocol 2 may have ``NONE``.
FILE_CODECS = (Codec.BZ2, Codec.LZMA, Codec.ZLIB, Codec.ZSTD)


#: First bytes of the streams to which joblib compresses pickles, and their codecs. No pickle
#: begins with them, except that one of Python 2 might with "BZ".
STREAMS: Mapping[bytes, Codec] = {
    b"\x78": Codec.ZLIB,
    b"\x1f\x8b": Codec.ZLIB,
    b"BZh": Codec.BZ2,
    b"\xfd7zXZ": Codec.LZMA,
    b"\x5d\x00": Codec.LZMA,
}
#: First bytes of an lz4 stream, which is not supported.
LZ4 = b"\x04\x22\x4d\x18"


class Budget:
    """The bytes to which a file may still expand, shared by all of its sections."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._left_bytes = limit_bytes

    def spend(self, size_bytes: int) -> None:
        """Subtract ``size_bytes`` from the remaining budget.

        :raises TooLarge: if less is left.
        """
        if size_bytes > self._left_bytes:
            raise TooLarge(self.limit_bytes)
        self._left_bytes -= size_bytes


def budget(size_bytes: int, limit_bytes: int | None = None) -> Budget:
    """Return the budget of a file of ``size_bytes``, or of ``limit_bytes`` if given."""
    if limit_bytes is None:
        limit_bytes = max(EXPANSION_FLOOR_BYTES, EXPANSION * size_bytes)
    return Budget(limit_bytes)


def expand(content: bytes) -> bytes:
    """Return the content of a file, decompressed if joblib compressed it.

    :raises InvalidFile: if it does not decompress, or not within its budget.
    """
    if content.startswith(LZ4):
        raise UnknownCompression("lz4 is not supported; write the file with compress=('zlib', 3)")
    for magic, codec in STREAMS.items():
        if content.startswith(magic):
            return decompress(codec, content, budget(len(content)))
    return content


def get_codec(name: str) -> Codec:
    """Return the codec for a whole file by its name, such as ``"zstd"``.

    :raises UnknownCompression: if no codec has that name.
    """
    names = {codec.name.lower(): codec for codec in FILE_CODECS}
    if name in names:
        return names[name]
    raise UnknownCompression(f"compression must be one of {', '.join(names)}, got {name!r}")


def compress(codec: Codec, content: bytes) -> bytes:
    """Compress one section in the form that Flama 2 reads."""
    match codec:
        case Codec.BZ2:
            return bz2.compress(content)
        case Codec.LZMA:
            # Flama 1.12 wrote .xz; Flama 2 reads only the older .lzma. Both read .lzma.
            return lzma.compress(content, format=lzma.FORMAT_ALONE)
        case Codec.ZLIB:
            return zlib.compress(content)
        case Codec.ZSTD:
            return zstandard.ZstdCompressor(level=3).compress(content)
        case Codec.NONE:
            return content


def decompress(codec: Codec, packed: bytes | memoryview, budget: Budget) -> bytes:
    """Decompress one section, which must be exactly one complete stream.

    :raises TooLarge: as soon as the content exceeds the remaining budget.
    :raises CorruptSection: if the stream is damaged, truncated, or followed by other bytes.
    """
    content = io.BytesIO()
    try:
        for piece in _pieces(codec, memoryview(packed)):
            budget.spend(len(piece))
            content.write(piece)
    except _FAILURES as error:
        raise CorruptSection(f"not a {codec.name.lower()} stream: {error}") from error
    return content.getvalue()


def _pieces(codec: Codec, packed: memoryview) -> Iterator[bytes | memoryview]:
    match codec:
        case Codec.BZ2:
            return _read(bz2.BZ2Decompressor(), packed)
        case Codec.LZMA:
            return _read(lzma.LZMADecompressor(memlimit=DECODER_BYTES), packed)
        case Codec.ZLIB:
            return _read_zlib(packed)
        case Codec.ZSTD:
            return _read_zstd(packed)
        case Codec.NONE:
            return iter((packed,))


class _Decoder(Protocol):
    """The common interface of the bz2 and lzma decoders."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: memoryview, max_length: int, /) -> bytes: ...


def _read(decoder: _Decoder, packed: memoryview) -> Iterator[bytes]:
    yield decoder.decompress(packed, PIECE_BYTES)
    while not decoder.eof:
        if decoder.needs_input:
            raise EOFError("it ends early")
        yield decoder.decompress(packed[:0], PIECE_BYTES)
    _reject_tail(len(decoder.unused_data))


def _read_zlib(packed: memoryview) -> Iterator[bytes]:
    # 32 more than the window's 15 bits: also accept gzip headers, which tars of Flama 1.1 have.
    decoder = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)
    at = 0
    while not decoder.eof:
        # The decoder copies its unconsumed input, so pass at most one piece at a time.
        unused = packed[at : at + PIECE_BYTES]
        piece = decoder.decompress(unused, PIECE_BYTES)
        used = len(unused) - len(decoder.unconsumed_tail) - len(decoder.unused_data)
        if not used and not piece:
            raise EOFError("it ends early")
        at += used
        yield piece
    _reject_tail(len(packed) - at)


def _read_zstd(packed: memoryview) -> Iterator[bytes]:
    _reject_tail(len(packed) - _zstd_frame_bytes(packed))
    decoder = zstandard.ZstdDecompressor(max_window_size=DECODER_BYTES)
    with decoder.stream_reader(packed) as reader:
        while piece := reader.read(PIECE_BYTES):
            yield piece


def _zstd_frame_bytes(packed: memoryview) -> int:
    """Return the length of the frame by walking its block headers.

    The library's bounded reader does not detect a truncated frame, and the reader that does is
    not bounded.

    Source: RFC 8878, sections 3.1.1 and 3.1.1.2.
    """
    if packed[:4] != _ZSTD_MAGIC:
        raise ValueError("expected the first bytes of a frame")
    at, is_last = zstandard.frame_header_size(packed), False
    while not is_last:
        header = int.from_bytes(packed[at : at + 3], "little")
        is_last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        at += 3 + (1 if kind == _ZSTD_RLE_BLOCK else size)
        if at > len(packed):
            raise EOFError("it ends early")
    at += 4 if zstandard.get_frame_parameters(packed).has_checksum else 0
    if at > len(packed):
        raise EOFError("it ends early")
    return at


def _reject_tail(size_bytes: int) -> None:
    if size_bytes:
        raise ValueError(f"{size_bytes:,} extra bytes follow its end")


def check_archive(content: bytes, title: str) -> None:
    """Reject an archive that expands too far or would write outside its folder.

    :param title: the expected kind of file, for the error message.
    :raises BrokenModel: if the content is not a zip archive.
    :raises TooLarge: if the declared sizes exceed the limit; ``zipfile`` reads no more than those.
    :raises BadArtifact: if a member's path is outside the folder.
    """
    left = budget(len(content))
    try:
        members = zipfile.ZipFile(io.BytesIO(content)).infolist()
    except Exception as error:  # a damaged archive raises many types
        raise BrokenModel(f"it is not {title} ({type(error).__name__})", str(error)) from error
    for member in members:
        left.spend(member.file_size)
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0:1]:
            raise BadArtifact(f"the archive's member {member.filename!r} is outside its folder")

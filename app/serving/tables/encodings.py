"""Text encodings of files of rows, and their compression with gzip or zstd: both are detected."""

from __future__ import annotations

import codecs
import io
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from app.serving.errors import UnreadableFile
from mlmodel.bounded.compression import PIECE_BYTES
from mlmodel.errors import TooLarge

#: Bytes examined to detect UTF-16 without a byte order mark, and bytes read at once.
BEGINNING = 4096
CHUNK = 1 << 20

#: Byte order marks, and the codec that removes each.
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
#: Common names of codecs that Python names differently.
NAMES = {
    "utf-8-sig": "utf-8",
    "utf-16-le": "utf-16",
    "utf-16-be": "utf-16",
    "cp1252": "windows-1252",
}

#: A non-ASCII character in UTF-8. In Windows-1252 these bytes form no part of a word.
_BEYOND_ASCII = re.compile(rb"[\xc3-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}")


#: Encodings that a client may name: text encodings, except those that Python decodes slowly.
_CODECS = re.compile(
    r"ascii|utf-(8|16|32)(-[lb]e)?|iso8859-\d+|cp\d+|koi8-[ru]|mac-roman"
    r"|gb(k|2312|18030)|big5|shift_jis|euc_(jp|kr)"
)
#: The first bytes of a compressed file, and the name of its codec in pyarrow.
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_OTHER_MAGIC = re.compile(rb"BZh[1-9]1AY&SY|\xfd7zXZ\0")
#: Expanded bytes from which they are kept on the disk.
MAX_BYTES_IN_MEMORY = 16 << 20


def open_text(stream: BinaryIO, charset: str = "") -> tuple[io.TextIOWrapper, str]:
    """Return a file as text with its line ends unchanged, and the codec of its encoding.

    :param stream: a seekable stream at its beginning.
    :param charset: the encoding, if known; else it is detected.
    :raises UnreadableFile: if the charset is unknown or does not fit, naming the line if possible.
    """
    candidates = (get_codec(charset),) if charset else _candidates(stream)
    tried = ""
    for tried in candidates:
        if _is_decodable(stream, tried):
            stream.seek(0)
            return io.TextIOWrapper(stream, encoding=tried, newline=""), tried
    raise UnreadableFile(_build_message(stream, tried))


def get_codec(charset: str) -> str:
    """Return the name of Python's codec for a charset.

    :raises UnreadableFile: if it is unknown.
    """
    try:
        name = codecs.lookup(charset).name
    except LookupError:
        name = ""
    if not _CODECS.fullmatch(name):
        raise UnreadableFile(f"unknown charset {charset!r:.40}")
    return "utf-8-sig" if name == "utf-8" else name


def _candidates(stream: BinaryIO) -> Iterator[str]:
    """Yield the codecs that a file may have, the most likely first."""
    beginning = stream.read(BEGINNING)
    found = next((codec for mark, codec in MARKS.items() if beginning.startswith(mark)), "")
    even, odd = beginning[::2].count(0), beginning[1::2].count(0)
    if not found and even != odd and max(even, odd) > len(beginning) // 4:
        found = "utf-16-le" if odd > even else "utf-16-be"
    yield found or "utf-8-sig"
    # A file with both valid and invalid UTF-8 sequences is more likely broken UTF-8.
    if not found and not _has_utf8(stream):
        yield "cp1252"


def _has_utf8(stream: BinaryIO) -> bool:
    stream.seek(0)
    return any(_BEYOND_ASCII.search(line) for line in stream)


def _is_decodable(stream: BinaryIO, codec: str) -> bool:
    decoder = codecs.getincrementaldecoder(codec)()
    stream.seek(0)
    try:
        while chunk := stream.read(CHUNK):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _build_message(stream: BinaryIO, codec: str) -> str:
    name = NAMES.get(codec, codec)
    if name.startswith(("utf-16", "utf-32")):
        return f"the file begins like {name.upper()}, but is not valid {name.upper()}"
    # Windows-1252 is only tried after UTF-8 failed.
    expected = "UTF-8" if codec == "cp1252" else name.upper()
    return f"the file is not {expected}: see line {_first_bad_line(stream, codec)}"


def _first_bad_line(stream: BinaryIO, codec: str) -> int:
    stream.seek(0)
    line = 0
    for content in stream:
        line += 1
        try:
            codecs.decode(content, codec)
        except UnicodeDecodeError:
            break
    return line


def expand(
    stream: BinaryIO,
    max_bytes: int | None = None,
    *,
    folder: Path | None = None,
    proceed: Callable[[int], None] = lambda _: None,
) -> BinaryIO:
    """Return a file, decompressed if it is compressed. The result is seekable, at its beginning.

    :param stream: a seekable stream at its beginning.
    :param max_bytes: the bytes to which it may expand; ``None`` for any number.
    :param folder: in which it is expanded; by default, that of temporary files.
    :param proceed: called with the size of each piece before it is written; raises an error to
        stop.
    :raises UnreadableFile: if it is damaged, truncated, or compressed twice or in another way.
    :raises TooLarge: if it expands too far.
    """
    codec = _get_compression(stream)
    if not codec:
        return stream
    expanded = _decompress(stream, codec, max_bytes, folder, proceed)
    inner = _get_compression(expanded)
    if inner:
        expanded.close()
        raise UnreadableFile(
            f"the file is compressed twice, {codec} around {inner}: compress it once"
        )
    return expanded


def check_compression(beginning: bytes) -> None:
    """Check that a file is not compressed in another way than with gzip or zstd.

    :raises UnreadableFile: if it is.
    """
    if _OTHER_MAGIC.match(beginning):
        raise UnreadableFile(
            "the file is compressed with bzip2 or xz: compress it with gzip or zstd instead"
        )


def _get_compression(stream: BinaryIO) -> str:
    """Return the codec of a stream that is at its beginning, or ``""``."""
    beginning = stream.read(BEGINNING)
    stream.seek(0)
    check_compression(beginning)
    return next((name for magic, name in MAGIC.items() if beginning.startswith(magic)), "")


def _decompress(
    stream: BinaryIO,
    codec: str,
    max_bytes: int | None,
    folder: Path | None,
    proceed: Callable[[int], None],
) -> BinaryIO:
    # Unlike the readers of gzip and zstandard, this one is bounded, reads members that follow one
    # another, and detects a truncated file, in both formats.
    import pyarrow as pa  # noqa: PLC0415

    expanded = cast(
        BinaryIO,
        tempfile.SpooledTemporaryFile(MAX_BYTES_IN_MEMORY, dir=str(folder) if folder else None),  # noqa: SIM115
    )
    size = 0
    try:
        with pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), codec) as reader:
            while piece := reader.read(PIECE_BYTES):
                size += len(piece)
                if max_bytes is not None and size > max_bytes:
                    raise TooLarge(max_bytes)
                proceed(len(piece))
                expanded.write(piece)
    except OSError as error:
        expanded.close()
        if error.errno is not None:  # the disk, not the file; pyarrow's errors have no number
            raise
        raise UnreadableFile(
            f"not a readable {codec} file: it is cut off or damaged ({error}): compress it again "
            "and send all of it"
        ) from error
    except BaseException:
        expanded.close()
        raise
    expanded.seek(0)
    return expanded

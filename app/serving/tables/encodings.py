"""Detection of text encodings: UTF-8, UTF-16 as spreadsheets write it, or Windows-1252."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from app.serving.errors import UnreadableFile

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

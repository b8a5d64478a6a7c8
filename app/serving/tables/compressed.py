"""Files of rows that are compressed with gzip or zstd, recognized by their content."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from app.serving.errors import UnreadableFile
from mlmodel.bounded.compression import PIECE_BYTES
from mlmodel.errors import TooLarge

#: The first bytes of a compressed file, and the name of its codec in pyarrow.
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
#: Expanded bytes from which they are kept on the disk.
MAX_BYTES_IN_MEMORY = 16 << 20


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
    :raises UnreadableFile: if it is damaged or truncated.
    :raises TooLarge: if it expands too far.
    """
    beginning = stream.read(max(map(len, MAGIC)))
    stream.seek(0)
    codec = next((name for magic, name in MAGIC.items() if beginning.startswith(magic)), "")
    return _decompress(stream, codec, max_bytes, folder, proceed) if codec else stream


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
        raise UnreadableFile(f"not a readable {codec} file: {error}") from error
    except BaseException:
        expanded.close()
        raise
    expanded.seek(0)
    return expanded

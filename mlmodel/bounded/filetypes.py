"""Detect the kind of a file by its content; its name decides only between two possible kinds.

:func:`recognize` returns the kind of a model file. It rejects other files, and models that cannot
be served, with a message that names the kind of file and what to do instead. Nothing is built.
"""

from __future__ import annotations

import bz2
import io
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

from mlmodel.bounded import nonmodels
from mlmodel.bounded.compression import DECODER_BYTES, LZ4, STREAMS, Codec, expand
from mlmodel.errors import BadHeader, InvalidFile

#: Bytes at the start of a file that identify a package; with fewer, bz2 would yield nothing.
PEEK_BYTES = 2 << 20


class Kind(StrEnum):
    """A kind of model file; the value is its name in messages."""

    PACKAGE = ".flm"
    PICKLE = "pickle"
    SKOPS = "skops"
    KERAS = "keras"
    ONNX = "onnx"
    XGBOOST = "xgboost"
    LIGHTGBM = "lightgbm"
    CATBOOST = "catboost"
    #: A folder of MLflow whose model runs its own code.
    FUNCTION = "python_function"


#: Files written by ``save_model`` of the boosted-tree libraries.
BOOSTED = frozenset({Kind.CATBOOST, Kind.LIGHTGBM, Kind.XGBOOST})

#: Suffixes of compressed files, which may follow another suffix.
COMPRESSED = frozenset({".bz2", ".gz", ".lzma", ".xz", ".z"})
#: Suffixes of model files, to strip from names and to find models in folders.
ENDINGS = (
    *(".flm", ".joblib", ".pkl", ".pickle", ".sav", ".p", ".pck", ".model", ".bin"),
    *(".skops", ".keras", ".onnx", ".json", ".ubj", ".txt", ".cbm", ".tar"),
)

_ZIP = b"PK\x03\x04"
#: First bytes that identify one kind of file.
_FIRST = {
    b"CBM1": Kind.CATBOOST,
    b"tree\nversion=": Kind.LIGHTGBM,
    b"tree\r\nversion=": Kind.LIGHTGBM,
}
_PACKAGES = (b"\0\0\0\x01", b"\0\0\0\x02")
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
#: The module and class that begin an object in protocols 0 and 1, after a mark for old classes.
_OLD_PICKLE = re.compile(rb"\(?[ci][A-Za-z_][\w.]*\r?\n[A-Za-z_]\w*\r?\n")
#: The magic number, as a pickle, that begins the legacy format of ``torch.save``.
_TORCH_MAGIC = re.compile(rb"\x80.\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", re.DOTALL)
#: ``ir_version`` and the tag of the next field of a ``ModelProto``.
_ONNX = re.compile(rb"\x08[\x01-\x1e][\x12\x1a\x22\x2a\x32\x3a\x42\x72]")


def recognize(content: bytes, name: str = "") -> Kind:
    """Return the kind of a model file.

    :param content: the whole file.
    :param name: the file's name, for the few contents that fit two kinds.
    :raises BadHeader: if it is not a model file; the message names its kind and what to do.
    """
    if is_package(content):
        return Kind.PACKAGE
    kind = _plain(content, name) or _detect_compressed(content)
    if kind is not None:
        return kind
    raise BadHeader(nonmodels.describe_file(content))


def is_package(content: bytes) -> bool:
    """Return whether a file is a package, by its first :data:`PEEK_BYTES`."""
    if content.startswith(_PACKAGES):
        return True
    head = _head(content)
    return head.startswith((b'{"model"', b'{"meta"')) or _is_packages_tar(head)


def check_folder(path: str | os.PathLike[str]) -> None:
    """Reject a folder that MLflow did not write.

    :raises InvalidFile: if the path is such a folder; the message suggests a file in it.
    """
    folder = Path(path)
    if folder.is_dir() and not (folder / "MLmodel").is_file():
        raise InvalidFile(nonmodels.describe_folder(folder, (*ENDINGS, *COMPRESSED)))


def stem(path: str | os.PathLike[str]) -> str:
    """Return a file's name without its suffixes: ``credit`` for ``credit.pkl.gz``."""
    name = Path(path)
    if name.is_dir():
        return Path(os.path.abspath(name)).name
    inner = Path(name.stem)
    is_packed = name.suffix.lower() in COMPRESSED
    return inner.stem if is_packed and inner.suffix.lower() in ENDINGS else inner.name


def _plain(content: bytes, name: str) -> Kind | None:
    """Return the kind of uncompressed content; ``None`` if its first bytes are unknown."""
    kind = next((kind for first, kind in _FIRST.items() if content.startswith(first)), None)
    if kind is not None:
        return kind
    if _TORCH_MAGIC.match(content):
        raise BadHeader(nonmodels.TORCH)
    if _PICKLE.match(content) or _is_old_pickle(content):
        return Kind.PICKLE
    if content.startswith(_ZIP):
        return _of_archive(content)
    if content.lstrip()[:1] == b"{":
        return _of_braces(content)
    return _of_protobuf(content, name) if _ONNX.match(content) else None


def _is_old_pickle(content: bytes) -> bool:
    return bool(_OLD_PICKLE.match(content)) and content.rstrip(b"\r\n").endswith(b".")


def _of_braces(content: bytes) -> Kind:
    """Return the kind of a JSON document or UBJSON, the binary form that XGBoost writes."""
    if b"learner" in content[:4096] or (b'"learner"' in content and b'"gradient_b' in content):
        return Kind.XGBOOST
    raise BadHeader(nonmodels.describe_json(content))


def _of_protobuf(content: bytes, name: str) -> Kind:
    # A SavedModel begins like ONNX's first IR version, which predates operator sets.
    if name == "saved_model.pb" or (
        content.startswith(b"\x08\x01\x12") and not name.lower().endswith(".onnx")
    ):
        raise BadHeader(nonmodels.SAVED_MODEL)
    return Kind.ONNX


def _of_archive(content: bytes) -> Kind:
    try:
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    except Exception as error:  # a damaged archive raises many types
        raise BadHeader(f"it is a zip archive that is cut or damaged ({error})") from error
    known = set(names)
    if "schema.json" in known:
        return Kind.SKOPS
    if {"config.json", "model.weights.h5"} <= known:
        return Kind.KERAS
    raise BadHeader(nonmodels.describe_archive(known))


def _detect_compressed(content: bytes) -> Kind | None:
    """Return the kind of the content of a compressed stream; ``None`` if it is not one."""
    if content.startswith(LZ4):
        raise BadHeader("lz4 is not supported; write the file with joblib's compress=('zlib', 3)")
    if content.startswith(b"\x28\xb5\x2f\xfd"):
        raise BadHeader("it is compressed with zstd, which is not supported: decompress it first")
    head = _head(content)
    if not head:
        return None
    if head[257:262] == b"ustar":
        first = head[:100].partition(b"\0")[0].decode("utf-8", "replace")
        raise BadHeader(
            f"it is a tar archive that begins with {first!r}: unpack it and name the model's file "
            "in it"
        )
    if _PICKLE.match(head) and not _TORCH_MAGIC.match(head):
        return Kind.PICKLE
    inner = expand(content)
    # No recursion into a second compressed stream: some files decompress to themselves.
    kind = _plain(inner, "")
    if kind is not None:
        return kind
    raise BadHeader(f"it is compressed; its content: {nonmodels.describe_file(inner)}")


def _is_packages_tar(head: bytes) -> bool:
    if head[257:262] != b"ustar":
        return False
    first = head[:100].partition(b"\0")[0]
    # Long or non-ASCII names follow in a header of their own, of type x or L.
    return first == b"model" or first.startswith(b"artifacts/") or head[156:157] in (b"x", b"L")


def _head(content: bytes) -> bytes:
    """Return the first bytes of the content of a compressed stream; empty if it is not one."""
    codec = next((each for first, each in STREAMS.items() if content.startswith(first)), None)
    if codec is None:
        return b""
    try:
        return _HEADS[codec](content[:PEEK_BYTES])
    # A stream that is damaged at its very beginning counts as uncompressed.
    except (OSError, ValueError, EOFError, zlib.error, lzma.LZMAError):
        return b""


def _zlib_head(content: bytes) -> bytes:
    # 32 more than the window's 15 bits: also accept gzip headers.
    return zlib.decompressobj(wbits=32 + zlib.MAX_WBITS).decompress(content, nonmodels.HEAD_BYTES)


def _bz2_head(content: bytes) -> bytes:
    return bz2.BZ2Decompressor().decompress(content, nonmodels.HEAD_BYTES)


def _lzma_head(content: bytes) -> bytes:
    return lzma.LZMADecompressor(memlimit=DECODER_BYTES).decompress(content, nonmodels.HEAD_BYTES)


_HEADS: Mapping[Codec, Callable[[bytes], bytes]] = {
    Codec.ZLIB: _zlib_head,
    Codec.BZ2: _bz2_head,
    Codec.LZMA: _lzma_head,
}

"""Inspect and build pickles, plain or written by joblib, with joblib's compression."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mlmodel.bounded.compression import LZ4, STREAMS, expand
from mlmodel.errors import BrokenModel
from mlmodel.trust import Trust, builder, pickling
from mlmodel.trust.allowlist import AllowList, unexpected_use, untrusted_names
from mlmodel.trust.trial import trial_build


@dataclass(frozen=True)
class PickleContents:
    """The contents of a pickle: all names, those not allowed, and an opcode that no model has."""

    names: tuple[str, ...]
    untrusted: tuple[str, ...]
    opcode: str


def inspect(content: bytes, trust: Trust = (), file_bytes: int = 0) -> PickleContents:
    """Return the names of a pickle. Nothing is built or imported.

    For invalid content, the result has the names before the first error.

    :param file_bytes: size of the compressed file, if it was compressed.
    :raises InvalidFile: if it does not decompress.
    :raises BrokenModel: if finding the names takes too much time or memory.
    """
    found = trial_build.names(expand(content), file_bytes or len(content))
    allow_list = AllowList(trust)
    unknown = [each for each in found.names if not allow_list.allows(*each)]
    return PickleContents(_full_names(found.names), _full_names(unknown), found.opcode)


def _full_names(names: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(sorted(f"{module}.{name}" for module, name in names))


def check(content: bytes, trust: Trust, file_bytes: int = 0) -> None:
    """Reject a pickle with names that are neither allowed nor trusted.

    :raises Untrusted: with all such names.
    :raises BrokenModel: if all of these names were defined in a notebook.
    """
    if trust == "all":
        return
    found = inspect(content, trust, file_bytes)
    own = f"{pickling.NOTEBOOK}."
    if found.untrusted and all(name.startswith(own) for name in found.untrusted):
        raise BrokenModel(pickling.notebook_message(found.untrusted[0].removeprefix(own)))
    if found.untrusted:
        raise untrusted_names(found.untrusted)
    if found.opcode:
        raise unexpected_use(f"the pickle contains the opcode {found.opcode}")


def build(content: bytes, trust: Trust) -> Any:
    """Return the object in a pickle, after a trial build in another process.

    :raises Untrusted: if it needs a name that is neither allowed nor trusted.
    :raises BrokenModel: if building it crashes, or takes too much time or memory.
    :raises Exception: any error of pickle, joblib or the classes.
    """
    if trust == "all":
        return _load_unchecked(content)
    return builder.build(try_build(content, trust), trust)


def try_build(content: bytes, trust: Trust) -> bytes:
    """Build a pickle in another process first, and return the decompressed pickle.

    :raises FlmError: as :func:`build` does.
    """
    plain = expand(content)
    check(plain, trust, len(content))
    trial_build.build_first(plain, trust, len(content))
    return plain


def schemas(content: bytes, trust: Trust) -> Any:
    """Return the schemas that the trial build found, as JSON, or ``None`` if it found none."""
    return None if trust == "all" else trial_build.schemas(expand(content), trust)


def _load_unchecked(content: bytes) -> Any:
    is_compressed = content.startswith((LZ4, *STREAMS))
    if not is_compressed and b"joblib.numpy_pickle" not in content:
        return pickle.loads(content)  # noqa: S301  trusted by the operator
    import joblib  # noqa: PLC0415  large and optional

    return joblib.load(io.BytesIO(content))

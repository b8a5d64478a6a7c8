"""Pickles, plain or by joblib, and compressed as joblib does it: looked at, and built."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mlmodel.bounded.compression import LZ4, STREAMS, expanded
from mlmodel.errors import BrokenModel
from mlmodel.trust import Trust, builder, pickling
from mlmodel.trust.allowlist import Gate, misuse, refusal
from mlmodel.trust.trial import first_look


@dataclass(frozen=True)
class Look:
    """What a pickle asks for: all names, those that may not be, and opcodes that no model has."""

    names: tuple[str, ...]
    untrusted: tuple[str, ...]
    opcodes: tuple[str, ...]


def look(content: bytes, trust: Trust = (), file_bytes: int = 0) -> Look:
    """Return what a pickle asks for. Nothing is built or imported.

    What is no pickle has the names that are found up to where it goes wrong.

    :param file_bytes: how large it was before it was decompressed, if it was.
    :raises InvalidFile: if it does not decompress.
    :raises BrokenModel: if finding the names takes too long.
    """
    found = first_look.names(expanded(content), file_bytes or len(content))
    gate = Gate(trust)
    unknown = [each for each in found.names if not gate.admits(*each)]
    return Look(_full(found.names), _full(unknown), found.others)


def _full(names: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(sorted(f"{module}.{name}" for module, name in names))


def check(content: bytes, trust: Trust, file_bytes: int = 0) -> None:
    """Refuse a pickle that names what is neither known to do no harm nor trusted.

    :raises Untrusted: with all such names.
    :raises BrokenModel: if all that it lacks was written in a notebook.
    """
    if trust == "all":
        return
    found = look(content, trust, file_bytes)
    own = f"{pickling.NOTEBOOK}."
    if found.untrusted and all(name.startswith(own) for name in found.untrusted):
        raise BrokenModel(pickling.of_notebook(found.untrusted[0].removeprefix(own)))
    if found.untrusted:
        raise refusal(found.untrusted)
    if found.opcodes:
        raise misuse(f"it has the opcode {', '.join(found.opcodes)}")


def build(content: bytes, trust: Trust) -> Any:
    """Return what a pickle holds, after a first look in another process.

    :raises Untrusted: if it needs what is neither known to do no harm nor trusted.
    :raises BrokenModel: if building it crashes, or takes too long or too much.
    :raises Exception: whatever pickle, joblib or the classes raise.
    """
    if trust == "all":
        return _built_as_it_is(content)
    return builder.build(try_first(content, trust), trust)


def try_first(content: bytes, trust: Trust) -> bytes:
    """Take the first look in another process, and return the pickle that is not compressed.

    :raises FlmError: as :func:`build` does.
    """
    plain = expanded(content)
    check(plain, trust, len(content))
    first_look.look(plain, trust, len(content))
    return plain


def schemas(content: bytes, trust: Trust) -> Any:
    """Return the schemas that the first look has found, as JSON; nothing if it found none."""
    return None if trust == "all" else first_look.schemas(expanded(content), trust)


def _built_as_it_is(content: bytes) -> Any:
    is_compressed = content.startswith((LZ4, *STREAMS))
    if not is_compressed and b"joblib.numpy_pickle" not in content:
        return pickle.loads(content)  # noqa: S301  trusted by the operator
    import joblib  # noqa: PLC0415  large and optional

    return joblib.load(io.BytesIO(content))

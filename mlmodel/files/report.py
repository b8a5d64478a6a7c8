"""Report the names that a model file references, without building the model."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlmodel.bounded import compression, filetypes, safe_open
from mlmodel.bounded.filetypes import Kind
from mlmodel.errors import BrokenModel, Untrusted
from mlmodel.files.flm import container as flm
from mlmodel.trust import Trust, pickles, pytorch, skops


@dataclass(frozen=True)
class Report:
    """The names that a file references, and those of them that are not trusted.

    ``refusal`` is the reason why the file is rejected; ``None`` if it is accepted.
    """

    names: tuple[str, ...] = ()
    untrusted: tuple[str, ...] = ()
    refusal: str | None = None


def report(path: str | os.PathLike[str], *, trust: Trust = ()) -> Report:
    """Return the names that a file references. Safe on any file: it builds no model.

    :raises FlmError: if it is not a readable model file.
    """
    filetypes.check_folder(path)
    content = safe_open.content(path)
    match filetypes.recognize(content, Path(path).name):
        case Kind.PACKAGE:
            return _of_package(content, trust)
        case Kind.PICKLE:
            return _of_pickle(content, trust)
        case Kind.SKOPS:
            return _of_skops(compression.expanded(content), trust)
    return Report()


def _of_package(content: bytes, trust: Trust) -> Report:
    budget = compression.budget(len(content))
    found = flm.read(content, budget)
    match found.meta.framework.lib:
        case "sklearn":
            return _of_pickle(flm.unpack_model(found, budget), trust)
        case "torch":
            return Report(refusal=_refusal(lambda: pytorch.check(trust)))
    return Report()


def _of_pickle(content: bytes, trust: Trust) -> Report:
    look = pickles.look(content, trust)
    return Report(look.names, look.untrusted, _refusal(lambda: pickles.check(content, trust)))


def _of_skops(content: bytes, trust: Trust) -> Report:
    names = skops.names(content)
    try:
        skops.check(content, trust)
    except Untrusted as error:
        return Report(names, error.types, str(error))
    return Report(names)


def _refusal(check: Callable[[], object]) -> str | None:
    try:
        check()
    except (Untrusted, BrokenModel) as error:
        return str(error)
    return None

"""Reads and validates ``models.yaml``. Every mistake is reported with its line and key."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Literal

import urllib3
from urllib3.exceptions import LocationParseError

import mlmodel
from app.serving.catalog.entry_schema import CATALOG, FORMS, NOT_REMOTE, ONLY_WITH, SOURCES
from app.serving.catalog.model_spec import DecoratorSpec, ModelSpec
from app.serving.catalog.names import Names
from app.serving.catalog.yaml_document import Document, to_key
from app.serving.errors import InvalidCatalog, Mistake
from app.serving.fetching.fetched_file import FetchedFile, Fetching
from app.serving.fetching.places import find_mistake, is_address, is_named
from app.serving.prediction_log.policy import LogPolicy
from app.serving.remote.remote_model import Remote
from mlmodel.bounded.filetypes import Kind
from mlmodel.errors import FlmError, InvalidSchema
from mlmodel.files import source
from mlmodel.schema.validator import Schema

#: A number and its unit.
SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([MG]B)")
UNITS = {"MB": 10**6, "GB": 10**9}
#: Minimum of ``isolate: {memory: ...}``: a process needs this much without a model.
MIN_MEMORY_BYTES = 64 * 10**6
#: All names of a package, in ``trust``.
PATTERN = re.compile(r"\w+(\.\w+)*\.\*", re.ASCII)

#: How to treat pickles without ``sha256`` or ``trust``, see the setting UNPINNED.
Unpinned = Literal["check", "isolate", "refuse"]

#: Without settings, an address needs ``sha256``.
NO_FETCHING = Fetching(Path(gettempdir(), f"modelhost-{os.getuid()}"))


def read(
    path: Path,
    environ: Mapping[str, str],
    text: str | None = None,
    unpinned: Unpinned = "check",
    fetching: Fetching = NO_FETCHING,
) -> list[ModelSpec]:
    """Return the entries of a ``models.yaml``.

    :param environ: the values of ``${NAME}``.
    :param text: used instead of the file's current text.
    :param unpinned: how to treat pickles without ``sha256`` or ``trust``.
    :param fetching: how files at addresses are fetched.
    :raises InvalidCatalog: with every mistake found.
    """
    document = Document(path if text is None else text, environ)
    is_empty = document.value is None or document.value == {"models": None}
    value = {"models": []} if is_empty else document.value
    mistakes = document.mistakes or list(_find_mistakes(document, value, fetching))
    if mistakes:
        raise InvalidCatalog(path, mistakes)
    specs = [
        _build_spec(entry, document.line(f"/models/{index}"), path.parent, fetching)
        for index, entry in enumerate(value["models"])
    ]
    return _set_defaults([_restrict(spec, unpinned) for spec in specs])


def _find_mistakes(document: Document, value: Any, fetching: Fetching) -> Iterator[Mistake]:
    violations = CATALOG.violations(value)
    for violation in violations:
        detail = violation.detail
        for pattern, form in FORMS.items():
            detail = detail.replace(f"must match the pattern {pattern}", f"must be {form}")
        yield Mistake(document.line(violation.pointer), to_key(violation.pointer), detail)
    if violations:
        return
    names = Names()
    for index, entry in enumerate(value["models"]):
        place = f"/models/{index}"
        found = [
            *_find_in_entry(entry, fetching),
            *names.add(entry, document.line(f"{place}/name")),
        ]
        for at, detail in found:
            yield Mistake(document.line(place + at), to_key(place + at), detail)


def _find_in_entry(entry: Mapping[str, Any], fetching: Fetching) -> Iterator[tuple[str, str]]:
    """Yield the pointer and the detail of each mistake in an entry."""
    sources = [each for each in SOURCES if each in entry]
    if len(sources) != 1:
        got = " and ".join(map(repr, sources)) or "none of them"
        yield "", f"must have one of 'class', 'file' and 'remote', got {got}"
        return
    for key, other in ONLY_WITH.items():
        if key in entry and other not in entry:
            yield f"/{key}", f"is valid only together with {other!r}"
    isolate = entry.get("isolate")
    memory = isolate.get("memory") if isinstance(isolate, Mapping) else None
    if memory is not None and _parse_size(memory) < MIN_MEMORY_BYTES:
        detail = "must be a size of at least 64MB, such as '2GB' or '500MB'"
        yield "/isolate/memory", f"{detail}, got {memory!r}"
    if "file" in entry:
        yield from _find_in_file_entry(entry)
        yield from _find_in_address(entry, fetching)
    if "remote" in entry:
        yield from _find_in_remote_entry(entry)
    yield from _find_in_schemas(entry)


def _find_in_schemas(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("input_schema", "output_schema"):
        try:
            Schema(entry.get(key, True))
        except InvalidSchema as error:
            yield f"/{key}", f"is {error}"


def _find_in_remote_entry(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "model" not in entry and "name" not in entry:
        yield "/remote", "needs 'model', the model's name on that server, or 'name'"
    try:
        urllib3.util.parse_url(entry["remote"])
    except LocationParseError:
        yield "/remote", "must be the address of a server, such as 'http://triton:8000'"
    for key in NOT_REMOTE:
        if key in entry:
            yield f"/{key}", "is not valid together with 'remote'; configure it on that server"


def _find_in_address(entry: Mapping[str, Any], fetching: Fetching) -> Iterator[tuple[str, str]]:
    if not is_address(entry["file"]):
        if "check_every" in entry:
            yield "/check_every", "is valid only if 'file' is an address"
        return
    mistake = find_mistake(entry["file"])
    if mistake:
        yield "/file", mistake
    elif "sha256" not in entry and not is_named(entry["file"], fetching.named):
        yield "/file", "is an address: pin it with 'sha256', or name its place in FETCH_FROM"
    if "sha256" in entry and "check_every" in entry:
        yield "/check_every", "has no effect on a file that is pinned with 'sha256'"


def _find_in_file_entry(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("trust", "artifacts"):
        if isinstance(entry.get(key), str) and entry[key] != "all":
            yield f"/{key}", f"must be 'all' or a list of names, got {entry[key]!r}"
    trust = entry.get("trust", ())
    for name in () if isinstance(trust, str) else trust:
        if "*" in name and not PATTERN.fullmatch(name):
            yield "/trust", f"must contain names, or patterns such as 'skrub.*', got {name!r}"


def _build_spec(entry: Mapping[str, Any], line: int, folder: Path, fetching: Fetching) -> ModelSpec:
    fetched = _build_fetched(entry, fetching)
    return ModelSpec(
        line=line,
        class_path=entry.get("class"),
        file=fetched.path if fetched else folder / entry["file"] if "file" in entry else None,
        fetched=fetched,
        remote=_build_remote(entry),
        name=entry.get("name"),
        version=entry.get("version"),
        default=entry.get("default", "version" not in entry),
        aliases=tuple(entry.get("aliases", ())),
        settings=entry.get("settings", {}),
        decorators=tuple(map(_build_decorator, entry.get("decorators", ()))),
        sha256=entry.get("sha256", "").lower() or None,
        trust="all" if entry.get("trust") == "all" else tuple(entry.get("trust", ())),
        version_mismatch=entry.get("version_mismatch", "warn"),
        runtime=entry.get("runtime"),
        n_jobs=entry.get("n_jobs", 1),
        lazy=entry.get("load") == "lazy",
        in_worker=entry.get("load") == "worker",
        **_get_isolation(entry, folder),
        batch_rows=_get_batch_rows(entry),
        input_schema=entry.get("input_schema"),
        output_schema=entry.get("output_schema"),
        examples=tuple(entry.get("examples", ())),
        example_names=tuple(entry.get("example_names", ())),
        card=entry.get("card"),
        tags=tuple(entry.get("tags", ())),
        artifacts="all" if entry.get("artifacts") == "all" else tuple(entry.get("artifacts", ())),
        ray=entry.get("ray"),
        log=LogPolicy.from_entry(entry.get("log", False)),
    )


def _build_fetched(entry: Mapping[str, Any], fetching: Fetching) -> FetchedFile | None:
    if not is_address(entry.get("file", "")):
        return None
    sha256 = entry.get("sha256", "").lower() or None
    return FetchedFile(entry["file"], fetching, sha256, entry.get("check_every"))


def _build_remote(entry: Mapping[str, Any]) -> Remote | None:
    if "remote" not in entry:
        return None
    model = entry.get("model") or entry["name"]
    return Remote(entry["remote"].rstrip("/"), model, entry.get("headers", {}))


def _get_isolation(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    isolate = entry.get("isolate", False)
    limits = isolate if isinstance(isolate, Mapping) else {}
    return {
        "is_isolated": isolate is not False,
        "is_sandboxed": isolate is not False and limits.get("sandbox", True),
        "reads": tuple(folder / each for each in limits.get("read", ())),
        "memory_bytes": _parse_size(limits["memory"]) if "memory" in limits else 0,
        "load_seconds": limits.get("load_seconds"),
        "time_limit": entry.get("time_limit"),
    }


def _parse_size(size: str) -> int:
    """Return the bytes of a size such as ``"2GB"``; 0 if it is not a size."""
    found = SIZE.fullmatch(size)
    return int(float(found[1]) * UNITS[found[2]]) if found else 0


def _get_batch_rows(entry: Mapping[str, Any]) -> int | None:
    """Return the maximum rows of a batch; 0 if calls must not be batched.

    ``None`` lets the model decide, see :attr:`mlmodel.MLModel.is_row_wise`.
    """
    if "batch" not in entry:
        return None
    return int(entry["batch"]["max_rows"]) if entry["batch"] else 0


def _build_decorator(entry: str | Mapping[str, Any]) -> DecoratorSpec:
    if isinstance(entry, str):
        return DecoratorSpec(entry, {})
    return DecoratorSpec(entry["class"], entry.get("settings", {}))


def _restrict(spec: ModelSpec, unpinned: Unpinned) -> ModelSpec:
    """Apply the setting UNPINNED to an entry."""
    is_pinned = spec.sha256 is not None or spec.trust
    if unpinned == "check" or spec.file is None or is_pinned:
        return spec
    # What is fetched next may be a pickle, regardless of the current copy.
    if spec.fetched is None and not _is_pickle(spec.file):
        return spec
    if unpinned == "refuse":
        return replace(spec, is_refused=True)
    if spec.is_isolated:
        return spec
    return replace(spec, is_isolated=True, is_sandboxed=True, shares_process=True)


def _is_pickle(file: Path) -> bool:
    """Return whether a file or folder contains a pickle; false if it cannot be read."""
    try:
        kind = source.read(file).kind
        if kind is not Kind.PACKAGE:
            return kind is Kind.PICKLE
        return mlmodel.inspect(file).meta.framework.lib in ("sklearn", "torch")
    except (OSError, FlmError):  # loading it reports the error
        return False


def _set_defaults(specs: list[ModelSpec]) -> list[ModelSpec]:
    """Make the first version of each name its default unless an entry sets one."""
    with_default = {spec.name for spec in specs if spec.version and spec.default}
    found = []
    for spec in specs:
        is_first = bool(spec.version) and spec.name not in with_default
        with_default.add(spec.name if is_first else None)
        found.append(replace(spec, default=True) if is_first else spec)
    return found

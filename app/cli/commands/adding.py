"""``add`` and ``pin``: change models.yaml, and leave all other bytes of it unchanged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import click

from app.cli import models_yaml
from app.cli.hosting import Hosting, pass_hosting
from app.cli.terminal import (
    as_json_option,
    command,
    name_option,
    trust_option,
    write_facts,
    write_json,
    write_message,
)
from app.serving.catalog.model_spec import ModelSpec
from app.serving.models.hosted import HostedModel
from app.serving.models.state import Status
from mlmodel.bounded import filetypes
from mlmodel.files import source
from mlmodel.trust import Trust

MODELS_YAML = """\
# The models that `modelhost serve` serves. `modelhost add FILE` adds an entry.
#
#   - file: credit.flm               # a model file; the path starts at this file's folder
#     name: credit                   # its name in paths, by default its own
#   - file: mlruns/1/abc/artifacts/model      # a folder that MLflow wrote
#   - class: team.models.Doubler     # a class derived from MLModel, in team/models.py
#     settings: {factor: 2}          # keyword arguments of the class
models: []
"""
GITIGNORE = """\
__pycache__/
.venv/
# The hashes of API keys, and secrets of ${NAME} in models.yaml.
keys.yaml
.env
# The rows and predictions of jobs and of the prediction log.
/jobs/
/prediction-log/
"""


@command("add")
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@name_option
@click.option("--lazy", is_flag=True, help="Load the model on first use.")
@click.option(
    "--pin/--no-pin",
    default=None,
    help="Add the file's SHA-256: the server then trusts exactly these bytes. By default, it is "
    "added if the file passes the checks, or with --trust.",
)
@trust_option
@as_json_option
@pass_hosting
def add(
    hosting: Hosting,
    *,
    file: Path,
    name: str | None,
    lazy: bool,
    pin: bool | None,
    trust: Trust,
    as_json: bool,
) -> None:
    """Add FILE, which may be a folder that MLflow wrote, to models.yaml.

    The file is verified, and no model is built. Restart or reload the server to load it.
    """
    spec = ModelSpec(line=0, file=file, name=name, trust=trust, lazy=lazy)
    added = add_file(hosting, spec, file, pin)
    if as_json:
        write_json(added)
        return
    place = f"{added['models_file']}, line {added['line']}"
    write_facts([("added", added["name"]), ("to", place), *added["entry"].items()])
    write_message("Restart or reload the server to load the model.")


def add_file(hosting: Hosting, spec: ModelSpec, file: Path, pin: bool | None) -> dict[str, Any]:
    """Verify the file of an entry and add the entry to models.yaml; return what was added.

    :param pin: whether to add the file's hash; ``None`` to add it if the file passes the checks.
    :raises ClickException: if the file cannot be served, or models.yaml has it already.
    """
    filetypes.check_folder(file)
    specs = hosting.read_specs()
    spec = replace(spec, sha256=None if pin is False else source.sha256_of(file))
    write_message(f"Verifying {file.name} ...")
    # A hash makes the file trusted: without --pin, a rejected file does not get one.
    [model] = hosting.host([replace(spec, sha256=spec.sha256 if pin else None, lazy=True)])
    if model.status is Status.FAILED:
        raise click.ClickException(f"{file.name} cannot be served: {model.reason}")
    _check_duplicate(hosting, specs, file, model)
    entry = _to_entry(spec, file, hosting.path)
    text = models_yaml.add_entry(_read_text(hosting), entry)
    line = models_yaml.replace_text(
        hosting, text, _without_file(specs), lambda after: _without_file(after[:-1])
    )
    return {"models_file": hosting.path.name, "line": line, "name": model.name, "entry": entry}


@command("pin")
@click.argument("names", nargs=-1)
@as_json_option
@pass_hosting
def pin(hosting: Hosting, names: tuple[str, ...], as_json: bool) -> None:
    """Add the SHA-256 of model files to models.yaml.

    It is added to the entries of the models NAMES, by default to all without one. A file that
    does not pass the checks is not pinned, because a hash makes it trusted.
    """
    specs = hosting.read_specs()
    text = _read_text(hosting)
    pinned: list[str] = []
    # From the last to the first, so that the positions of the others do not change.
    for index, spec in reversed(list(enumerate(specs))):
        is_named = not names or spec.public_name in names
        if _is_unpinned(spec) and is_named and _can_be_served(hosting, spec):
            text = models_yaml.add_hash(text, index, source.sha256_of(cast(Path, spec.file)))
            pinned.insert(0, spec.public_name)
    if pinned:
        models_yaml.replace_text(hosting, text, _without_hash(specs), _without_hash)
    for name in pinned:
        write_message(f"pinned {name}")
    if not pinned:
        write_message("Nothing to pin.")
    if as_json:
        write_json({"pinned": pinned})


def _read_text(hosting: Hosting) -> str:
    # Path.read_text would convert the line breaks.
    return hosting.path.read_bytes().decode("utf-8")


def _check_duplicate(
    hosting: Hosting, specs: Sequence[ModelSpec], file: Path, model: HostedModel
) -> None:
    """Raise ``ClickException`` if models.yaml has the file, or a model of the same name."""
    path = hosting.path.name
    for spec in specs:
        if spec.file is not None and spec.file.resolve() == file.resolve():
            raise click.ClickException(f"{path} already contains {file.name}, on line {spec.line}")
    for other in hosting.host([replace(spec, lazy=True) for spec in specs]):
        is_version = model.spec.version and other.spec.version
        if other.name == model.name and not is_version:
            raise click.ClickException(
                f"{path} already has a model {model.name!r}, on line {other.spec.line}; "
                "set another name with --name"
            )


def _to_entry(spec: ModelSpec, file: Path, models_file: Path) -> dict[str, Any]:
    # Only the folder is resolved: the file may be a link to the current version of a model.
    path = os.path.relpath(file.parent.resolve() / file.name, models_file.parent.resolve())
    members = {
        # Escape "${", which would be read as a variable.
        "file": Path(path).as_posix().replace("${", "$${"),
        "name": spec.name,
        "version": spec.version,
        "sha256": spec.sha256,
        "trust": spec.trust if isinstance(spec.trust, str) else list(spec.trust),
        "load": "lazy" if spec.lazy else None,
    }
    return {key: value for key, value in members.items() if value}


def _can_be_served(hosting: Hosting, spec: ModelSpec) -> bool:
    [model] = hosting.host([replace(spec, lazy=True, is_isolated=False)])
    if model.status is Status.FAILED:
        write_message(f"not pinned: {spec.public_name}: {model.reason}")
    return model.status is not Status.FAILED


def _without_file(specs: Sequence[ModelSpec]) -> list[ModelSpec]:
    # models.yaml may be a link; the draft is next to its target, so that paths differ.
    return [replace(spec, file=None) for spec in specs]


def _is_unpinned(spec: ModelSpec) -> bool:
    """Return whether a hash can pin the file; one that is checked for new versions must differ."""
    is_followed = spec.fetched is not None and spec.fetched.check_seconds is not None
    return spec.file is not None and not spec.sha256 and not is_followed


def _without_hash(specs: Sequence[ModelSpec]) -> list[ModelSpec]:
    return [replace(spec, line=0, file=None, fetched=None, sha256=None) for spec in specs]


@command("init")
def init() -> None:
    """Write a commented models.yaml and a .gitignore to the current folder."""
    models_file = Path("models.yaml")
    try:
        with models_file.open("x", encoding="utf-8") as stream:
            stream.write(MODELS_YAML)
    except FileExistsError as error:
        raise click.ClickException("models.yaml already exists") from error
    write_message("Wrote models.yaml")
    ignored = Path(".gitignore")
    if not ignored.exists():
        ignored.write_text(GITIGNORE, encoding="utf-8")
        write_message("Wrote .gitignore")
    write_message("Add a model with `modelhost add FILE`, then start the server: modelhost serve")

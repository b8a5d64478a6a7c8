"""``package``: create a model file from a saved estimator, such as one of joblib or pickle."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

import mlmodel
from app.cli.commands import sampling
from app.cli.terminal import (
    as_json_option,
    command,
    file_option,
    name_option,
    trust_option,
    write_facts,
    write_json,
    write_message,
)
from mlmodel.bounded import filetypes
from mlmodel.bounded.filetypes import Kind
from mlmodel.errors import FlmError, Untrusted
from mlmodel.files import source
from mlmodel.files.report import report
from mlmodel.frameworks import title
from mlmodel.trust import Trust, pickles

READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)


class NamedValue(click.ParamType[tuple[str, Any]]):
    """``name=value``, where the value is JSON if it can be parsed, else a string."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Return name and value."""
        name, sign, text = str(value).partition("=")
        if not (name and sign):
            self.fail(f"must be name=value, got {value!r}", param, ctx)
        try:
            return name, json.loads(text, parse_constant=_reject_constant)
        except ValueError:
            return name, text


@command("package")
@click.argument("estimator", type=click.Path(exists=True, path_type=Path))
@file_option(
    "--out",
    required=True,
    help="The file to write; an existing file is replaced.",
)
@click.option(
    "--sample",
    type=READABLE,
    help="A .csv, .json or .ndjson file of rows like those that the estimator was fitted on, from "
    "which types, choices and examples are inferred.",
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="NAME",
    help="Name of an output; repeat in order.",
)
@name_option
@click.option("--display-name", help="The model's name on pages.")
@click.option("--description", help="What the model is for.")
@click.option("--version", help="The model's own version.")
@click.option(
    "--metric", "metrics", multiple=True, type=NamedValue(), help="A quality figure; repeatable."
)
@click.option(
    "--param", "params", multiple=True, type=NamedValue(), help="A training parameter; repeatable."
)
@click.option(
    "--artifact",
    "artifacts",
    multiple=True,
    type=READABLE,
    help="A file that belongs to the model; repeatable.",
)
@click.option(
    "--compression",
    type=click.Choice(["bz2", "lzma", "zlib", "zstd"]),
    default="zstd",
    show_default=True,
)
@click.option(
    "--protocol",
    type=click.Choice(["1", "2"]),
    default="2",
    show_default=True,
    help="The version of the file format: 1 for Flama 1.12.",
)
@trust_option
@as_json_option
def package(
    *,
    estimator: Path,
    out: Path,
    sample: Path | None,
    outputs: Sequence[str],
    name: str | None,
    display_name: str | None,
    description: str | None,
    version: str | None,
    metrics: Sequence[tuple[str, Any]],
    params: Sequence[tuple[str, Any]],
    artifacts: Sequence[Path],
    compression: str,
    protocol: str,
    trust: Trust,
    as_json: bool,
) -> None:
    """Package a fitted estimator as a model file.

    ESTIMATOR is a pickle with any name, a .skops file, what save_model of XGBoost, LightGBM or
    CatBoost wrote, or a folder that MLflow wrote. The same checks apply to it as on the server:
    list your own classes and functions with --trust, and in the entry of the model file. Without
    --sample, a folder's signature and input example describe its fields.
    """
    filetypes.check_folder(estimator)
    _check(out, artifacts)
    extra: dict[str, Any] = {
        "qualified_name": name,
        "display_name": display_name,
        "description": description,
        "version": version,
    }
    write_message(f"Reading {estimator.name} ...")
    model = _load(estimator, trust)
    frame = sampling.read(sample, model) if sample else None
    if estimator.is_dir() and frame is None:
        extra |= _schema_of_folder(estimator, trust)
    write_message(f"Writing {out} ...")
    mlmodel.dump(
        model,
        out,
        compression,
        params=dict(params) or None,
        metrics=dict(metrics) or None,
        extra={key: text for key, text in extra.items() if text is not None} or None,
        artifacts={path.name: path for path in artifacts},
        protocol=int(protocol),
        sample=frame,
        outputs=outputs,
    )
    _report(out, as_json)


def _reject_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _check(out: Path, artifacts: Sequence[Path]) -> None:
    if not out.parent.is_dir():
        raise click.UsageError(f"--out must be in an existing folder, got '{out}'")
    names = [path.name for path in artifacts]
    duplicates = {each for each in names if names.count(each) > 1}
    if duplicates:
        raise click.UsageError(f"two artifacts have the name {min(duplicates)!r}")


def _load(path: Path, trust: Trust) -> Any:
    try:
        found = source.read(path)
        if filetypes.recognize(found.content, found.name) is Kind.PICKLE:
            return pickles.build(found.content, trust)
        return mlmodel.load(path, trust=trust).model
    except Untrusted as error:
        raise click.ClickException(f"{path.name} was rejected: {error}") from error
    # A file that is not a pickle, or one of another version, can raise any error.
    except Exception as error:
        missing = isinstance(error, ImportError | AttributeError) and pickles.describe_missing(
            error
        )
        text = str(error) if isinstance(error, FlmError) else f"{type(error).__name__}: {error}"
        raise click.ClickException(f"{path.name} cannot be packaged: {missing or text}") from error


def _schema_of_folder(folder: Path, trust: Trust) -> dict[str, Any]:
    """Return the input schema that MLflow's signature gives a model, and its examples."""
    schema = dict(mlmodel.load(folder, trust=trust).input_schema or {})
    return {"input_schema": schema or None, "examples": schema.get("examples")}


def _report(out: Path, as_json: bool) -> None:
    found = mlmodel.inspect(out)
    extra = found.meta.extra or {}
    fields = extra.get("input_schema", {}).get("properties", {})
    notes = list(extra.get("schema_notes") or ())
    document: dict[str, Any] = {
        "file": str(out),
        "size_bytes": found.size_bytes,
        "sha256": found.sha256,
        "model": found.meta.model.obj,
        "framework": f"{title(found.meta.framework.lib)} {found.meta.framework.version}",
        "fields": list(fields) or None,
    }
    if as_json:
        write_json({**document, "doubts": notes})
        return
    write_facts([*document.items(), *(("warning", note) for note in notes)])
    untrusted = report(out).untrusted
    if untrusted:
        write_message(f"Add to its entry in models.yaml: trust: [{', '.join(untrusted)}]")
    options = "".join(f" --trust {name}" for name in untrusted)
    group = click.get_current_context().parent
    write_message(f"To check it: {group and group.command_path} check {out}{options}")

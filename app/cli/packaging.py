"""``package``: create a model file from a saved estimator, such as one of joblib or pickle."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

import mlmodel
from app.cli import sampling
from app.cli.terminal import (
    as_json_option,
    name_option,
    printable,
    say,
    trust_option,
    write_facts,
    write_json,
)
from mlmodel.bounded import filetypes, safe_open
from mlmodel.bounded.filetypes import Kind
from mlmodel.errors import FlmError, Untrusted
from mlmodel.files import bare
from mlmodel.files.report import report
from mlmodel.frameworks import title
from mlmodel.trust import Trust, pickles, pickling

READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)


class Named(click.ParamType[tuple[str, Any]]):
    """``name=value``, where the value is JSON if it can be parsed as such, else a string."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Return name and value."""
        name, sign, text = str(value).partition("=")
        if not (name and sign):
            self.fail(f"must be name=value, got {value!r}", param, ctx)
        try:
            return name, json.loads(text, parse_constant=_no_constant)
        except ValueError:
            return name, text


@click.command("package")
@click.argument("estimator", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write; one that is there is replaced.",
)
@click.option(
    "--sample",
    type=READABLE,
    help="Rows such as it was fitted on, .csv, .json or .ndjson: types, choices and examples.",
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="NAME",
    help="The name of one of several outputs, in their order; repeatable.",
)
@name_option
@click.option("--display-name", help="What people call the model.")
@click.option("--description", help="What the model is for.")
@click.option("--version", help="The model's own version.")
@click.option(
    "--metric", "metrics", multiple=True, type=Named(), help="How good it is; repeatable."
)
@click.option("--param", "params", multiple=True, type=Named(), help="How it was trained.")
@click.option(
    "--artifact",
    "artifacts",
    multiple=True,
    type=READABLE,
    help="A file to go with it; repeatable.",
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
    help="1 for Flama 1.12.",
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
    trust: tuple[str, ...],
    as_json: bool,
) -> None:
    """Package the fitted ESTIMATOR, a pickle by whatever name, as a model file.

    ESTIMATOR may also be a .skops file, or what save_model of XGBoost, LightGBM or CatBoost wrote.
    It is read as the server reads it: classes and functions of your own in it want --trust, and
    the entry of the file that is written wants the same.
    """
    filetypes.check_folder(estimator)
    _check(out, artifacts)
    described = {
        "qualified_name": name,
        "display_name": display_name,
        "description": description,
        "version": version,
    }
    say(f"Reading {estimator.name} ...")
    model = _unpickled(estimator, "all" if "all" in trust else trust)
    frame = sampling.read(sample, model) if sample else None
    say(f"Writing {out} ...")
    mlmodel.dump(
        model,
        out,
        compression,
        params=dict(params) or None,
        metrics=dict(metrics) or None,
        extra={key: text for key, text in described.items() if text is not None} or None,
        artifacts={path.name: path for path in artifacts},
        protocol=int(protocol),
        sample=frame,
        outputs=outputs,
    )
    _report(out, as_json)


COMMANDS = (package,)


def _no_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _check(out: Path, artifacts: Sequence[Path]) -> None:
    if not out.parent.is_dir():
        raise click.UsageError(f"--out must be in a folder that is there, got '{out}'")
    names = [path.name for path in artifacts]
    twice = {each for each in names if names.count(each) > 1}
    if twice:
        raise click.UsageError(f"two artifacts have the name {min(twice)!r}")


def _unpickled(path: Path, trust: Trust) -> Any:
    try:
        content = safe_open.content(path)
        if filetypes.recognize(content, path.name) is Kind.PICKLE:
            return pickles.build(content, trust)
        return bare.load(path, trust=trust).model
    except Untrusted as error:
        raise click.ClickException(printable(f"{path.name} is refused: {error}")) from error
    # A file that is not a pickle, or one of another version, can raise any error.
    except Exception as error:
        known = isinstance(error, ImportError | AttributeError) and pickling.missing(error)
        own = str(error) if isinstance(error, FlmError) else f"{type(error).__name__}: {error}"
        raise click.ClickException(
            printable(f"{path.name} cannot be packaged: {known or own}")
        ) from error


def _report(out: Path, as_json: bool) -> None:
    found = mlmodel.inspect(out)
    extra = found.meta.extra or {}
    fields = extra.get("input_schema", {}).get("properties", {})
    doubts = list(extra.get("schema_notes") or ())
    document: dict[str, Any] = {
        "file": str(out),
        "size_bytes": found.size_bytes,
        "sha256": found.sha256,
        "model": found.meta.model.obj,
        "framework": f"{title(found.meta.framework.lib)} {found.meta.framework.version}",
        "fields": list(fields) or None,
    }
    if as_json:
        write_json({**document, "doubts": doubts})
        return
    write_facts([*document.items(), *(("doubtful", doubt) for doubt in doubts)])
    trusted = report(out).untrusted
    if trusted:
        say(f"Whoever serves it must write into its entry: trust: [{', '.join(trusted)}]")
    say(
        " ".join(
            [f"Try it with: flask models check {out}", *(f"--trust {name}" for name in trusted)]
        )
    )

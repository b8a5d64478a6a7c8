"""``check``: load a model, predict its own example, and report doubts."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from app.cli.hosting import hosting
from app.cli.listing import write_fields
from app.cli.terminal import as_json_option, say, told, trust_option, write_facts, write_json
from app.serving.catalog.model_spec import ModelSpec
from app.serving.errors import ServingError
from app.serving.models.hosted import HostedModel, Status
from mlmodel.bounded import filetypes
from mlmodel.errors import FlmError, Violation
from mlmodel.frameworks.sklearn.onnx.runtime import CHOICES, Choice
from mlmodel.schema.validator import Schema
from mlmodel.trust import Trust


@dataclass(frozen=True)
class Trial:
    """The result of predicting a model's own example.

    ``failure`` is the reason why the model cannot be served, or ``None``.
    """

    failure: str | None = None
    example: Any = None
    answer: Any = None
    #: Milliseconds of the first call, which may include lazy loading, and of the second.
    first_ms: float | None = None
    ms: float | None = None


@dataclass(frozen=True)
class Verdict:
    """A trial, and all doubts that the model's author should look at."""

    trial: Trial
    doubts: Sequence[str] = field(default_factory=tuple)


@click.command("check")
@click.argument("targets", metavar="[FILE|NAME]...", nargs=-1)
@trust_option
@click.option(
    "--runtime",
    type=click.Choice(CHOICES),
    help="Check files as if their entry had this; onnx tells how a graph compares.",
)
@as_json_option
@click.pass_context
@with_appcontext
def check(
    ctx: click.Context,
    targets: Sequence[str],
    trust: tuple[str, ...],
    runtime: Choice | None,
    as_json: bool,
) -> None:
    """Load and try models, and say what is doubtful.

    Their fields are shown, and they are asked their own example. A FILE is a model file of any
    kind, a NAME a model of models.yaml; without either, all of models.yaml are checked. A file is
    judged as the server would: what it may name beside, --trust says.

    The exit status is 1 if a model cannot be served.
    """
    documents = []
    for model in _models(targets, "all" if "all" in trust else trust, runtime):
        verdict = _verdict(model)
        documents.append(_document(model, verdict))
        if not as_json:
            _write(model, verdict)
        model.unload()
    if as_json:
        write_json({"models": documents})
    ctx.exit(0 if all(document["served"] for document in documents) else 1)


COMMANDS = (check,)


def _models(targets: Sequence[str], trust: Trust, runtime: Choice | None) -> Iterator[HostedModel]:
    """Yield the models one by one; those of models.yaml named as a target are already loaded."""
    if not targets:
        specs = [replace(_with(runtime, spec), lazy=True) for spec in hosting().specs()]
        for model in hosting().hold(specs):
            say(f"Checking {model.reference} ...")
            yield model
    for target in targets:
        say(f"Checking {target} ...")
        if _is_path(target):
            spec = ModelSpec(line=0, file=Path(target), trust=trust, lazy=True)
            yield from hosting().hold([_with(runtime, spec)])
        else:
            yield hosting().named(target, partial(_with, runtime))


def _with(runtime: Choice | None, spec: ModelSpec) -> ModelSpec:
    """Return the entry with another runtime if it has a file."""
    return replace(spec, runtime=runtime) if runtime and spec.file else spec


def _is_path(target: str) -> bool:
    if Path(target).exists() and ("/" in target or Path(target).is_file()):
        filetypes.check_folder(target)
        return True
    if "/" in target or target.endswith(filetypes.ENDINGS):
        raise click.UsageError(f"there is no file {target!r}")
    return False


def _verdict(model: HostedModel) -> Verdict:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        model.open()
        trial = _trial(model)
    if model.status is not Status.READY:
        return Verdict(trial)
    said = dict.fromkeys(f"{each.category.__name__}: {each.message}" for each in warned)
    return Verdict(trial, [*_doubts(model), *_slowness(trial), *said])


def _trial(model: HostedModel) -> Trial:
    if model.status is not Status.READY:
        return Trial(model.reason or f"it is {model.status}")
    example = next((row for row in model.examples if not _violations(model, row)), None)
    if example is None:
        return Trial()
    try:
        answer, first_ms = _asked(model, example)
        _, ms = _asked(model, example)
    except (FlmError, ServingError) as error:
        return Trial(told(error), example)
    return Trial(None, example, answer, first_ms, ms)


def _asked(model: HostedModel, row: Any) -> tuple[Any, float]:
    started = time.perf_counter()
    [answer] = current_app.extensions["predictor"].predict(model.reference, [row])
    return answer, round((time.perf_counter() - started) * 1000, 3)


def _violations(model: HostedModel, row: Any) -> list[Violation]:
    schema = model.input_schema
    return Schema(True if schema is None else schema).violations(row)


def _doubts(model: HostedModel) -> Iterator[str]:
    if model.input_schema is None:
        yield "it has no input schema: any JSON is let through, and there is no form"
    if model.output_schema is None:
        yield "it has no output schema: nobody can tell what it answers"
    if not model.examples:
        yield "it has no example, and none can be made from its schema: it was not asked"
    for number, row in enumerate(model.examples, start=1):
        for violation in _violations(model, row):
            place = violation.pointer or "the whole"
            yield f"its example {number} breaks its input schema: {place} {violation.detail}"
    yield from model.notes
    yield from _drifts(model)


def _drifts(model: HostedModel) -> Iterator[str]:
    """Yield the differences from the requested runtime and the packaged versions."""
    reason = (model.metadata.get("runtime") or {}).get("reason")
    if reason:
        yield f"it is not compiled: {reason}"
    for each in model.metadata.get("versions") or ():
        if each.get("drifted"):
            now = each["running"] or "not installed"
            yield f"it was packaged with {each['package']} {each['packaged']}, here is {now}"


def _slowness(trial: Trial) -> Iterator[str]:
    limit: float = current_app.config["PREDICT_SECONDS"]
    if limit and trial.first_ms and trial.first_ms > limit * 1000:
        yield f"its first answer took {trial.first_ms / 1000:.1f} s; the server waits {limit:g} s"


def _in_words(trial: Trial) -> str:
    if trial.failure is not None:
        return "cannot be served"
    return "can be served" if trial.first_ms is not None else "is loaded, but was not asked"


def _document(model: HostedModel, verdict: Verdict) -> dict[str, Any]:
    trial = verdict.trial
    return {
        "name": model.reference,
        "served": trial.failure is None,
        "failure": trial.failure,
        "version": model.version,
        "framework": model.framework,
        "input_schema": model.input_schema,
        "output_schema": model.output_schema,
        "example": trial.example,
        "answer": trial.answer,
        "first_ms": trial.first_ms,
        "ms": trial.ms,
        "runtime": model.metadata.get("runtime"),
        "doubts": list(verdict.doubts),
    }


def _write(model: HostedModel, verdict: Verdict) -> None:
    trial = verdict.trial
    click.echo(f"{model.reference}: {_in_words(trial)}")
    facts = {
        "failure": trial.failure,
        "version": model.version,
        "framework": model.framework,
        "asked": trial.example,
        "answered": trial.answer,
        "in": trial.ms and f"{trial.ms:.1f} ms (the first time {trial.first_ms:.1f} ms)",
    }
    doubts = [("doubtful", doubt) for doubt in verdict.doubts]
    write_facts([*facts.items(), *_compared(model), *doubts], indent="  ")
    if model.status is Status.READY:
        write_fields("row", model.input_schema, model)
        write_fields("answer", model.output_schema)
    click.echo()


def _compared(model: HostedModel) -> Iterator[tuple[str, Any]]:
    """Yield how the predictions of the compiled graph compare with its model's."""
    runtime = model.metadata.get("runtime") or {}
    yield "answered by", runtime.get("name")
    parity = runtime.get("parity")
    if parity:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in parity["probes"].items())
        yield "compared on", f"{parity['rows']:,} rows: {kinds}"
        yield "differs by", f"{parity['largest_difference']:.2g} at most"

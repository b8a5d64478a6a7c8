"""``check``: load a model, predict its own example, and report warnings."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from app.cli.commands.listing import write_fields
from app.cli.hosting import Hosting, pass_hosting
from app.cli.terminal import (
    as_json_option,
    command,
    format_error,
    trust_option,
    write_facts,
    write_json,
    write_message,
)
from app.serving.catalog.model_spec import ModelSpec
from app.serving.errors import ServingError
from app.serving.models.hosted import HostedModel
from app.serving.reload.warmup import (
    FAILING_EXAMPLE,
    NULL_PREDICTION,
    is_failure,
    is_unexpected_null,
    list_trial_sizes,
)
from mlmodel.bounded import filetypes
from mlmodel.errors import FlmError, Violation
from mlmodel.files.mlflow import folder
from mlmodel.frameworks.sklearn.onnx.runtime import RUNTIMES, RuntimeName
from mlmodel.schema.validator import Schema
from mlmodel.trust import Trust


@dataclass(frozen=True)
class Check:
    """The result of loading a model and predicting its own example.

    ``failure`` is the reason why the model cannot be served or does not predict its example, or
    ``None``. ``is_ready`` is whether the server serves it. ``first_ms`` and ``ms`` are the
    milliseconds of the first call, which may include lazy loading, and of the second.
    """

    failure: str | None = None
    is_ready: bool = True
    example: Any = None
    prediction: Any = None
    first_ms: float | None = None
    ms: float | None = None
    warnings: list[str] = field(default_factory=list)


@command("check")
@click.argument("targets", metavar="[FILE|NAME]...", nargs=-1)
@trust_option
@click.option(
    "--runtime",
    type=click.Choice(RUNTIMES),
    help="Check files as if their entries had this runtime; 'onnx' compares the compiled graph.",
)
@as_json_option
@pass_hosting
def check(
    hosting: Hosting,
    targets: Sequence[str],
    trust: Trust,
    runtime: RuntimeName | None,
    as_json: bool,
) -> None:
    """Load models, predict their own examples, and report warnings.

    A FILE is a model file of any kind or a folder that MLflow wrote, a NAME a model of
    models.yaml. By default, all models of models.yaml are checked. The same checks apply to a file
    as on the server; --trust adds names that it may reference.

    The exit status is 1 if a model cannot be served or does not predict its example.
    """
    documents = []
    for model in _models(hosting, targets, trust, runtime):
        result = _check(hosting, model)
        documents.append(_to_document(model, result))
        if not as_json:
            _write(model, result)
        model.lifecycle.unload()
    if as_json:
        write_json({"models": documents})
    is_failed = any(document["failure"] for document in documents)
    click.get_current_context().exit(1 if is_failed else 0)


def _models(
    hosting: Hosting, targets: Sequence[str], trust: Trust, runtime: RuntimeName | None
) -> Iterator[HostedModel]:
    """Yield the models one by one; those of models.yaml named as a target are already loaded."""
    with_runtime = partial(_with_runtime, runtime)
    if not targets:
        specs = [replace(with_runtime(spec), lazy=True) for spec in hosting.read_specs()]
        for model in hosting.host(specs):
            write_message(f"Checking {model.public_name} ...")
            yield model
    for target in targets:
        write_message(f"Checking {target} ...")
        if _is_path(target):
            spec = ModelSpec(line=0, file=Path(target), trust=trust, lazy=True)
            yield from hosting.host([with_runtime(spec)])
        else:
            yield hosting.host_model(target, with_runtime)


def _with_runtime(runtime: RuntimeName | None, spec: ModelSpec) -> ModelSpec:
    """Return the entry with another runtime if it has a file."""
    return replace(spec, runtime=runtime) if runtime and spec.file else spec


def _is_path(target: str) -> bool:
    path = Path(target)
    if path.exists() and ("/" in target or path.is_file() or folder.is_folder(path)):
        filetypes.check_folder(target)
        return True
    if "/" in target or target.endswith(filetypes.ENDINGS):
        raise click.UsageError(f"the file {target!r} does not exist")
    return False


def _check(hosting: Hosting, model: HostedModel) -> Check:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.lifecycle.load_if_waiting()
        result = _predict_example(hosting, model)
    if not model.is_ready:
        return result
    texts = dict.fromkeys(f"{each.category.__name__}: {each.message}" for each in caught)
    doubts = [*result.warnings, *_warnings(model), *_time_warnings(hosting, result), *texts]
    return replace(result, warnings=doubts)


def _predict_example(hosting: Hosting, model: HostedModel) -> Check:
    if not model.is_ready:
        return Check(model.reason or f"the model is {model.status}", is_ready=False)
    if not model.about.examples:
        return Check()
    example = model.about.examples[0]
    try:
        prediction, first_ms = _predict(hosting, model, example)
        _, ms = _predict(hosting, model, example)
        for count in list_trial_sizes(model)[1:]:
            hosting.predictor.predict(model.public_name, [example] * count)
    except (FlmError, ServingError) as error:
        failure = f"{FAILING_EXAMPLE}: {format_error(error)}"
        return Check(failure, not is_failure(model, error), example)
    doubts = [NULL_PREDICTION] if is_unexpected_null(model, prediction) else []
    return Check(None, True, example, prediction, first_ms, ms, doubts)


def _predict(hosting: Hosting, model: HostedModel, row: Any) -> tuple[Any, float]:
    started = time.perf_counter()
    [prediction] = hosting.predictor.predict(model.public_name, [row])
    return prediction, round((time.perf_counter() - started) * 1000, 3)


def _violations(model: HostedModel, row: Any) -> list[Violation]:
    schema = model.input_schema
    return Schema(True if schema is None else schema).violations(row)


def _warnings(model: HostedModel) -> Iterator[str]:
    if model.input_schema is None:
        yield "no input schema: any JSON is accepted, and there is no form"
    if model.output_schema is None:
        yield "no output schema: the format of predictions is not documented"
    if not model.about.examples:
        yield "no example, and none can be derived from the schema: no prediction was tested"
    for number, row in enumerate(model.about.examples, start=1):
        for violation in _violations(model, row):
            place = violation.pointer or "the whole value"
            yield f"example {number} violates the input schema: {place} {violation.detail}"
    yield from model.notes
    yield from _difference_warnings(model)


def _difference_warnings(model: HostedModel) -> Iterator[str]:
    """Yield differences from the requested runtime and the packaged versions."""
    reason = (model.about.metadata.get("runtime") or {}).get("reason")
    if reason:
        yield f"not compiled: {reason}"
    for each in model.about.metadata.get("versions") or ():
        if each.get("drifted"):
            now = each["running"] or "not installed"
            yield f"packaged with {each['package']} {each['packaged']}, installed: {now}"


def _time_warnings(hosting: Hosting, result: Check) -> Iterator[str]:
    limit: float = hosting.settings["PREDICT_SECONDS"]
    if limit and result.first_ms and result.first_ms > limit * 1000:
        seconds = result.first_ms / 1000
        yield f"the first prediction took {seconds:.1f} s; the server's limit is {limit:g} s"


def _to_document(model: HostedModel, result: Check) -> dict[str, Any]:
    return {
        "name": model.public_name,
        "served": result.is_ready,
        "failure": result.failure,
        "version": model.version,
        "framework": model.about.framework,
        "input_schema": model.input_schema,
        "output_schema": model.output_schema,
        "example": result.example,
        "answer": result.prediction,
        "first_ms": result.first_ms,
        "ms": result.ms,
        "runtime": model.about.metadata.get("runtime"),
        "doubts": result.warnings,
    }


def _write(model: HostedModel, result: Check) -> None:
    if result.failure is not None:
        summary = "does not predict its example" if result.is_ready else "cannot be served"
    else:
        summary = "can be served" if result.ms is not None else "loaded, no prediction was tried"
    click.echo(f"{model.public_name}: {summary}")
    is_null = result.ms is not None and result.prediction is None
    facts = {
        "failure": result.failure,
        "version": model.version,
        "framework": model.about.framework,
        "example": result.example,
        "prediction": "null" if is_null else result.prediction,
        "time": result.ms and f"{result.ms:.1f} ms (first call {result.first_ms:.1f} ms)",
        **_runtime_facts(model),
    }
    lines = [*facts.items(), *(("warning", text) for text in result.warnings)]
    write_facts(lines, indent="  ")
    if model.is_ready:
        write_fields("row", model.input_schema, model)
        write_fields("prediction", model.output_schema)
    click.echo()


def _runtime_facts(model: HostedModel) -> dict[str, Any]:
    """Return how the predictions of the compiled graph compare with its model's."""
    runtime = model.about.metadata.get("runtime") or {}
    parity = runtime.get("parity")
    if not parity:
        return {"runtime": runtime.get("name")}
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in parity["probes"].items())
    return {
        "runtime": runtime.get("name"),
        "compared": f"{parity['rows']:,} rows: {kinds}",
        "difference": f"at most {parity['largest_difference']:.2g}",
    }

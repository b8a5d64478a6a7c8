"""Build the model of a verified file, and what predicts with it."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from mlmodel import frameworks
from mlmodel.bounded import compression
from mlmodel.bounded.filetypes import BOOSTED, Kind
from mlmodel.bounded.safe_open import remove_own_folder
from mlmodel.errors import InvalidFile, InvalidModel
from mlmodel.files.mlflow import folder
from mlmodel.files.package import Package
from mlmodel.frameworks import labels
from mlmodel.frameworks.sklearn.onnx.runtime import Runtime, RuntimeName
from mlmodel.schema.subschemas import members_of
from mlmodel.trust import Trust, pickles, skops
from mlmodel.trust.trial import trial_build

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PackagePredictor:
    """What predicts rows: the native model or its graph.

    ``runtime`` describes the choice, if a graph was requested; ``graph`` is the chosen one.
    """

    predict: frameworks.Predict
    is_row_wise: bool
    runtime: Runtime | None = None
    graph: bytes | None = None


def build(package: Package, trust: Trust) -> Any:
    """Return the framework's own model.

    :raises UnsupportedFramework: if no adapter builds such a model.
    :raises MissingFramework: if its framework is not installed.
    :raises BrokenModel: if the framework cannot build it.
    :raises InvalidModel: if a bare file has a model of another framework.
    """
    model = _load(package, trust)
    lib = frameworks.detect(model)
    if package.is_bare and lib != package.meta.framework.lib:
        title = frameworks.title(lib)
        raise InvalidModel(
            f"{package.path.name} contains a model of {title}; package it with `dump`"
        )
    return model


def infer_in_fork(package: Package, model: Any, trust: Trust) -> frameworks.Schemas | None:
    """Return schemas inferred in another process, so that this one need not call the model.

    ``None`` if the file has them, or this process must infer them.
    """
    declared = package.description
    if None not in (declared.input_schema, declared.output_schema, declared.notes):
        return None
    found = None
    if package.kind is Kind.PICKLE and not declared.outputs:
        found = pickles.schemas(package.content, trust)
    if found is None:
        infer = partial(_adapter(package).schemas, model, outputs=declared.outputs)
        found = trial_build.infer_in_fork(infer, len(package.content))
    if found is None:
        return None
    input_schema, output_schema, examples, notes = found
    inferred = frameworks.Schemas(input_schema, output_schema, tuple(examples), tuple(notes))
    return _complete(package, inferred)


def infer(package: Package, model: Any) -> frameworks.Schemas:
    """Return schemas inferred from the model in this process."""
    inferred = _adapter(package).schemas(model, outputs=package.description.outputs)
    return _complete(package, inferred)


def build_predictor(
    package: Package, model: Any, input_schema: Mapping[str, Any] | None, runtime: RuntimeName
) -> PackagePredictor:
    """Return what predicts, prepared with the first example that works.

    :raises InvalidModel: if the input schema does not match the data the model was fitted on, or
        the model does not predict for any example.
    """
    declared = package.description
    native = _adapter(package).predictor(model, members_of(input_schema), declared.outputs)
    is_row_wise = bool(getattr(native, "is_row_wise", False))
    with_example = getattr(native, "with_example", None)
    if with_example is not None:
        is_guess = declared.input_schema is None
        native = cast(frameworks.Predict, with_example(declared.examples, is_guess=is_guess))
    predictor = PackagePredictor(native, is_row_wise)
    if runtime != "native":
        predictor = _choose_runtime(package, model, predictor, runtime)
    if declared.labels is None:
        return predictor
    return replace(predictor, predict=labels.LabelledPredictor(predictor.predict, declared.labels))


def framework_title(package: Package) -> str:
    """Return the name of a package's framework, and the version that is installed."""
    return f"{frameworks.title(package.meta.framework.lib)} {_adapter(package).version()}"


def _complete(package: Package, inferred: frameworks.Schemas) -> frameworks.Schemas:
    """Add the facts in the file to schemas inferred from its model."""
    if package.signature is not None:
        inferred = package.signature.merge(inferred)
    words = package.description.labels
    if words is None or inferred.output is None:
        return inferred
    return replace(inferred, output=labels.with_labels(inferred.output, words))


def _adapter(package: Package) -> frameworks.Adapter:
    return frameworks.adapter(package.meta.framework.lib)


def _load(package: Package, trust: Trust) -> Any:
    if package.kind is Kind.FUNCTION:
        return _load_function(package)
    if package.kind in (Kind.PACKAGE, Kind.PICKLE):
        return _adapter(package).loads(package.content, trust)
    content = compression.expand(package.content)
    if package.kind is Kind.SKOPS:
        return _load_skops(content, trust, package.versions.get("scikit-learn"))
    if package.kind in BOOSTED:
        # This imports scikit-learn, as late as its adapter would.
        from mlmodel.frameworks.sklearn import boosters  # noqa: PLC0415

        return boosters.load(package.kind, content)
    return _adapter(package).loads(content, trust)


def _load_function(package: Package) -> Any:
    """Load a model that runs its own code from a copy of its folder with the verified files."""
    # This imports mlflow.
    from mlmodel.frameworks import python_function  # noqa: PLC0415

    copy = Path(tempfile.mkdtemp(prefix="flm-"))
    try:
        found = folder.scan(package.path)
        if found.sha256 != package.sha256:
            raise InvalidFile("the folder was changed while it was read")
        found.copy_to(copy)
        model = python_function.load(copy)
    except BaseException:
        shutil.rmtree(copy, ignore_errors=True)
        raise
    weakref.finalize(model, remove_own_folder, copy, os.getpid())
    return model


def _load_skops(content: bytes, trust: Trust, release: str | None) -> Any:
    # This imports scikit-learn as late as its adapter would.
    from mlmodel.frameworks.sklearn.adapter import build_model  # noqa: PLC0415

    if trust != "all":
        trial_build.build_first(content, trust)
    return build_model(lambda: skops.build(content, trust), release)


def _choose_runtime(
    package: Package, model: Any, native: PackagePredictor, requested: RuntimeName
) -> PackagePredictor:
    """Return the model's graph as the predictor if it can be used, else ``native``."""
    if package.meta.framework.lib != "sklearn":
        title = frameworks.title(package.meta.framework.lib)
        reason = f"only models of scikit-learn are compiled, this one is of {title}"
        current = framework_title(package)
        return replace(native, runtime=Runtime(requested, current, reason=reason))
    from mlmodel.frameworks.sklearn import adapter  # noqa: PLC0415  already imported

    examples = package.description.examples
    chosen = adapter.select_runtime(model, native.predict, requested, examples, package.graph)
    if chosen.runtime.reason and requested == "onnx":
        logger.warning("%s is not compiled: %s", package.path.name, chosen.runtime.reason)
    graph = chosen.compiled.graph if chosen.compiled else None
    return replace(native, predict=chosen.predict, runtime=chosen.runtime, graph=graph)

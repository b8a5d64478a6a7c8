"""ONNX: graphs of any origin, computed by ONNX Runtime.

An adapter, see :class:`mlmodel.frameworks.Adapter`. A model is a session; it is written from the
``onnx`` package's ``ModelProto``. Building one runs only the graph's own operators.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Official builds for Linux send events to Microsoft since version 1.29, unless this is set before
# the import: https://github.com/microsoft/onnxruntime/pull/27379
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# ruff: isort: split
import onnxruntime

from mlmodel.errors import BrokenModel, InvalidModel
from mlmodel.frameworks import Predict, Schemas, tensors
from mlmodel.frameworks.tensors import Fields, Tensor
from mlmodel.trust import Trust, graphs

#: Key of the graph's metadata that may hold a JSON list of column names.
NAMES_KEY = "feature_names"

#: ONNX's names of types that numpy names differently.
_DTYPES = {"float": "float32", "double": "float64", "string": "object"}


def version() -> str:
    """Return the version of ONNX Runtime."""
    return str(onnxruntime.__version__)


def dumps(model: Any, sample: Any = None) -> bytes:
    """Return the bytes of a ``ModelProto``."""
    if not hasattr(model, "SerializeToString"):
        raise InvalidModel(
            f"an ONNX model is written from a ModelProto, got {type(model).__name__}"
        )
    return bytes(model.SerializeToString(deterministic=True))


def loads(content: bytes, trust: Trust = ()) -> Any:
    """Build a session on the CPU. It uses one thread, as predictions already run in parallel.

    :raises BrokenModel: if ONNX Runtime cannot build it, or it has tensors in other files.
    """
    graphs.check(content)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(*graphs.AS_READ)
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Log nothing: errors are raised.
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        summary = f"ONNX Runtime {version()} cannot build the model ({type(error).__name__})"
        raise BrokenModel(summary, str(error)) from error


def describe(model: Any) -> Any:
    """Return the origin of a ``ModelProto``."""
    return {
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "graph": model.graph.name,
        "opsets": {each.domain or "ai.onnx": each.version for each in model.opset_import},
    }


def schemas(model: Any, sample: Any = None, outputs: Sequence[str] = ()) -> Schemas:
    """Return the schemas that the graph declares, with classes from the prediction for zeros.

    :param sample: an array or frame of rows, for a graph that takes one tensor.
    """
    session = _session(model)
    fields = Fields(_inputs(session), tensors.column_names(sample) or _names(session))
    return fields.schemas(_prediction_schema(session, fields, outputs), sample)


def predictor(model: Any, columns: Mapping[str, Any], outputs: Sequence[str] = ()) -> Predict:
    """Return the function that predicts in one call of the session where the shapes allow it."""
    fields = Fields(_inputs(model), list(columns) or _names(model))

    def call(arrays: list[NDArray[Any]]) -> list[Any]:
        results = _results(model, fields, arrays)
        if _is_classifier(results):
            return _to_predictions(*results.values())
        return tensors.to_predictions(results, outputs)

    return fields.predictor(call)


def _session(model: Any) -> Any:
    return loads(dumps(model)) if hasattr(model, "SerializeToString") else model


def _inputs(session: Any) -> list[Tensor]:
    return [_tensor(each) for each in session.get_inputs()]


def _tensor(described: Any) -> Tensor:
    """Return a tensor as the graph describes it; an axis of variable length has no integer."""
    dtype = described.type.removeprefix("tensor(").removesuffix(")")
    if "(" in dtype:
        raise InvalidModel(
            f"{described.name!r} is a {described.type}, which cannot be built from rows"
        )
    axes = [axis if isinstance(axis, int) else None for axis in described.shape]
    shape, rows = (tuple(axes[1:]), axes[0]) if axes else (None, None)
    return Tensor(described.name, _DTYPES.get(dtype, dtype), shape, rows)


def _names(session: Any) -> list[str]:
    """Return the names of the columns in the graph's metadata, if any."""
    text = session.get_modelmeta().custom_metadata_map.get(NAMES_KEY, "[]")
    try:
        names = json.loads(text)
    except ValueError:
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def _results(session: Any, fields: Fields, arrays: Sequence[NDArray[Any]]) -> dict[str, list[Any]]:
    """Return the rows of each output, by its name."""
    given = {tensor.name: array for tensor, array in zip(fields.tensors, arrays, strict=True)}
    names = [output.name for output in session.get_outputs()]
    results = session.run(names, given)
    return {
        name: tensors.to_values(result) if isinstance(result, np.ndarray) else list(result)
        for name, result in zip(names, results, strict=True)
    }


def _is_classifier(outputs: Mapping[str, Sequence[Any]]) -> bool:
    """Return whether the outputs are labels and their probabilities, as converters name them."""
    if len(outputs) != 2:  # noqa: PLR2004
        return False
    label, probabilities = outputs
    return "label" in label and "prob" in probabilities


def _to_predictions(labels: Sequence[Any], probabilities: Sequence[Any]) -> list[Any]:
    """Return predictions. The probabilities are a list if the graph does not name their labels."""
    return [
        {"prediction": label, "probabilities": _by_label(of)}
        for label, of in zip(labels, probabilities, strict=True)
    ]


def _by_label(probabilities: Any) -> Any:
    if not isinstance(probabilities, Mapping):
        return probabilities
    return {
        str(label): tensors.with_nulls(probability) for label, probability in probabilities.items()
    }


def _prediction_schema(
    session: Any, fields: Fields, outputs: Sequence[str]
) -> dict[str, Any] | None:
    declared = session.get_outputs()
    if _is_classifier({output.name: () for output in declared}):
        return _classifier_schema(session, fields)
    try:
        found = {tensor.name: tensor for tensor in map(_tensor, declared)}
    except InvalidModel:
        return None
    return tensors.prediction_schema(found, outputs)


def _classifier_schema(session: Any, fields: Fields) -> dict[str, Any]:
    label = _tensor(session.get_outputs()[0]).value_schema()
    probabilities = _probabilities_of_zeros(session, fields)
    if not isinstance(probabilities, Mapping):
        numbers = {"type": "array", "items": {"type": "number"}}
        return tensors.object_schema({"prediction": label, "probabilities": numbers})
    label = {"enum": list(probabilities)}
    by_label = tensors.object_schema({str(each): {"type": "number"} for each in probabilities})
    return tensors.object_schema({"prediction": label, "probabilities": by_label})


def _probabilities_of_zeros(session: Any, fields: Fields) -> Any:
    """Return the probabilities for a row of zeros, or ``None`` if the graph provides none."""
    examples = tensors.zeros(fields.tensors)
    if examples is None:
        return None
    try:
        _, probabilities = _results(session, fields, examples).values()
    except Exception:  # a graph may reject zeros, and still predict rows
        return None
    return probabilities[0]

"""Keras, on TensorFlow or PyTorch: ``.keras`` archives.

An adapter, see :class:`mlmodel.frameworks.Adapter`. Files call this framework ``tensorflow`` for
any backend. Keras' safe mode is on: it rejects an archive with its own Python code.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mlmodel.bounded.compression import check_archive
from mlmodel.errors import BrokenModel, InvalidModel
from mlmodel.frameworks import Predict, Schemas, tensors
from mlmodel.frameworks.tensors import Fields, Tensor
from mlmodel.trust import Trust

if not find_spec("tensorflow") and find_spec("torch"):
    # Keras reads this on import, and defaults to TensorFlow.
    os.environ.setdefault("KERAS_BACKEND", "torch")

import keras

#: Offset of the magic bytes in a tar archive, and the magic bytes.
TAR_OFFSET, TAR_WORD = 257, b"ustar"


def version() -> str:
    """Return the version of TensorFlow, or of Keras with any other backend."""
    is_tensorflow = keras.backend.backend() == "tensorflow"
    return metadata.version("tensorflow") if is_tensorflow else str(keras.__version__)


def dumps(model: Any, sample: Any = None) -> bytes:
    """Return a model's ``.keras`` archive."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.keras")
            model.save(path)
            return path.read_bytes()
    except Exception as error:
        raise InvalidModel(f"{type(model).__name__} cannot be saved: {error}") from error


def loads(content: bytes, trust: Trust = ()) -> Any:
    """Build a model from its ``.keras`` archive, in Keras' safe mode."""
    if content[TAR_OFFSET:].startswith(TAR_WORD):
        raise BrokenModel("the file has a SavedModel, as Flama wrote before 1.8; save it as .keras")
    check_archive(content, "a .keras archive")
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.keras")
            path.write_bytes(content)
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        summary = f"Keras {keras.__version__} cannot build the model ({type(error).__name__})"
        raise BrokenModel(summary, str(error)) from error


def describe(model: Any) -> Any:
    """Return the model's own JSON, which has its layers without their weights."""
    return json.loads(model.to_json())


def schemas(model: Any, sample: Any = None, outputs: Sequence[str] = ()) -> Schemas:
    """Return the schemas of the model's declared inputs and outputs.

    :param sample: an array or frame of rows, for a model that takes one tensor.
    :raises InvalidModel: if it declares none, as a subclassed model does not.
    """
    fields = Fields(_inputs(model), tensors.column_names(sample))
    found = {tensor.name: tensor for tensor in _outputs(model)}
    return fields.schemas(tensors.prediction_schema(found, outputs), sample)


def predictor(model: Any, columns: Mapping[str, Any], outputs: Sequence[str] = ()) -> Predict:
    """Return the function that predicts in one call of the model where the shapes allow it."""
    names = [tensor.name for tensor in _outputs(model)]

    def call(arrays: list[NDArray[Any]]) -> list[Any]:
        results = keras.tree.flatten(model(_pack(model, arrays), training=False))
        values = [tensors.to_values(_array(result)) for result in results]
        return tensors.to_predictions(dict(zip(names, values, strict=True)), outputs)

    return Fields(_inputs(model), list(columns)).predictor(call)


def _inputs(model: Any) -> list[Tensor]:
    if not getattr(model, "inputs", None):
        raise InvalidModel(
            f"{type(model).__name__} declares no inputs; make it with the functional API, or as a "
            "Sequential with an Input"
        )
    return [_tensor(each.name, each) for each in model.inputs]


def _outputs(model: Any) -> list[Tensor]:
    """Return the model's outputs, named by position if it is not a functional model."""
    names = getattr(model, "output_names", [f"y{at}" for at in range(len(model.outputs))])
    return [_tensor(name, each) for name, each in zip(names, model.outputs, strict=True)]


def _tensor(name: str, declared: Any) -> Tensor:
    dtype = keras.backend.standardize_dtype(declared.dtype)
    rows, *axes = declared.shape
    # numpy has no bfloat16; the model converts its inputs itself.
    known = {"string": "object", "bfloat16": "float32"}
    return Tensor(name, known.get(dtype, dtype), tuple(axes), rows)


def _pack(model: Any, arrays: Sequence[NDArray[Any]]) -> Any:
    """Return the arguments of the model: one tensor, or the lists or dicts it was built with."""
    return arrays[0] if len(arrays) == 1 else keras.tree.pack_sequence_as(model.input, arrays)


def _array(result: Any) -> Any:
    # TensorFlow's tensors have no tolist. PyTorch's have, and a numpy() that rejects gradients.
    return result if hasattr(result, "tolist") else result.numpy()

"""PyTorch: modules, ``torch.export`` programs and TorchScript.

An adapter, see :class:`mlmodel.frameworks.Adapter`. A module is written as a program that takes any
number of rows, as Flama 2 writes it; TorchScript, as Flama 1 wrote it, can be read as well.
Building either can run code from the file, and so requires trust.
"""

from __future__ import annotations

import copy
import inspect
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram
from torch.fx import GraphModule

from mlmodel.errors import BrokenModel, InvalidModel
from mlmodel.frameworks import Predict, Schemas, tensors
from mlmodel.frameworks.tensors import Fields, Tensor
from mlmodel.trust import Trust
from mlmodel.trust.contents import check_pytorch


def version() -> str:
    """Return the version of PyTorch."""
    return str(torch.__version__)


def dumps(model: Any, sample: Any = None) -> bytes:
    """Export a module, or write an exported program or TorchScript unchanged.

    :param sample: rows that the module takes; optional if its first layer implies their shape.
    """
    content = io.BytesIO()
    try:
        if isinstance(model, torch.jit.ScriptModule):
            torch.jit.save(model, content)
        else:
            torch.export.save(_export(model, sample), content)
    except InvalidModel:
        raise
    except Exception as error:
        raise InvalidModel(f"{type(model).__name__} cannot be exported: {error}") from error
    return content.getvalue()


def loads(content: bytes, trust: Trust = ()) -> Any:
    """Build the module of a program or of TorchScript, on the CPU and in evaluation mode."""
    check_pytorch(trust)
    try:
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
        if any(name.endswith("/constants.pkl") for name in names):
            return torch.jit.load(io.BytesIO(content), map_location="cpu").eval()
        return _module(torch.export.load(io.BytesIO(content)))
    except Exception as error:
        summary = f"PyTorch {version()} cannot build the model ({type(error).__name__})"
        raise BrokenModel(summary, str(error)) from error


def describe(model: Any) -> Any:
    """Return the names of the modules, and the type and shape of each parameter."""
    module = _module(model)
    return {
        "modules": [name for name, _ in module.named_modules() if name],
        "parameters": {
            name: f"{_dtype(parameter)}{list(parameter.shape)}"
            for name, parameter in module.named_parameters()
        },
    }


def schemas(model: Any, sample: Any = None, outputs: Sequence[str] = ()) -> Schemas:
    """Return the schemas of a program's declared inputs, or of a module's first layer.

    The output schema is that of the prediction for zeros.

    :param sample: an array or frame of rows; if the module takes several tensors, one for each of
        its arguments by name.
    """
    module = _module(model)
    fields = Fields(_tensors(module, sample), tensors.column_names(sample))
    return fields.schemas(_prediction_schema(module, fields, outputs), sample)


def predictor(model: Any, columns: Mapping[str, Any], outputs: Sequence[str] = ()) -> Predict:
    """Return the function that predicts in one call of the module where the shapes allow it."""
    inputs = _tensors(model) if isinstance(model, GraphModule) else _tensors_for(model, columns)

    def call(arrays: list[NDArray[Any]]) -> list[Any]:
        results = _results(model, arrays)
        values = {name: tensors.to_values(result) for name, result in results.items()}
        return tensors.to_predictions(values, outputs)

    return Fields(inputs, list(columns)).predictor(call)


def _export(model: Any, sample: Any) -> ExportedProgram:
    if isinstance(model, ExportedProgram):
        return model
    examples = tensors.zeros(_tensors(model, sample))
    if examples is None:
        raise InvalidModel(
            f"{type(model).__name__} does not define the shape of its input; "
            "pass a sample: dump(..., sample=rows)"
        )
    # A copy on the CPU in evaluation mode; the author's own module is not changed.
    module = model if isinstance(model, GraphModule) else copy.deepcopy(model).cpu().eval()
    rows = torch.export.Dim("rows", min=1)
    program = torch.export.export(
        module,
        tuple(torch.from_numpy(example) for example in examples),
        dynamic_shapes=tuple({0: rows} for _ in examples),
    )
    for node in program.graph.nodes:
        # It contains paths of the author's folders, which readers of the file must not see.
        node.meta.pop("stack_trace", None)
    return program


def _module(model: Any) -> Any:
    return model.module() if isinstance(model, ExportedProgram) else model


def _tensors(model: Any, sample: Any = None) -> list[Tensor]:
    """Return the tensors that a module takes, as far as the module or a sample defines them."""
    if isinstance(model, GraphModule):
        return list(_declared_tensors(model))
    names = _arguments(model)
    if len(names) == 1:
        dtype, shape = _first_layer(model)
        return [Tensor(names[0], dtype, shape if sample is None else np.shape(sample)[1:])]
    given = sample if isinstance(sample, Mapping) else {}
    return [
        _tensor_of(name, given[name]) if name in given else Tensor(name, "float32")
        for name in names
    ]


def _declared_tensors(model: GraphModule) -> Iterator[Tensor]:
    for node in model.graph.find_nodes(op="placeholder"):
        value = node.meta.get("val")
        if not isinstance(value, torch.Tensor) or value.ndim == 0:
            raise InvalidModel(f"the input {node.target!r} is not a tensor of rows")
        # A variable length is a symbol and not an int.
        first, *axes = (axis if isinstance(axis, int) else None for axis in value.shape)
        yield Tensor(str(node.target), _dtype(value), tuple(axes), first)


def _arguments(model: Any) -> list[str]:
    """Return the names of the required arguments of a module's ``forward``."""
    if isinstance(model, torch.jit.ScriptModule):
        _, *arguments = model.forward.schema.arguments
        return [each.name for each in arguments if not each.has_default_value()]
    parameters = inspect.signature(model.forward).parameters.values()
    return [each.name for each in parameters if each.default is each.empty]


def _first_layer(model: Any) -> tuple[str, tuple[int | None, ...] | None]:
    """Return the type and shape of a row, derived from the module's first layer with weights."""
    for layer in model.modules():
        for _, weight in layer.named_parameters(recurse=False):
            kind = getattr(layer, "original_name", type(layer).__name__)
            if kind == "Embedding":
                return "int64", (None,)
            return _dtype(weight), _input_shape(kind, weight)
    return "float32", None


def _input_shape(kind: str, weight: torch.Tensor) -> tuple[int | None, ...] | None:
    if kind == "Linear":
        return (weight.shape[1],)
    if kind in {"Conv1d", "Conv2d", "Conv3d"}:
        return (weight.shape[1], *(None for _ in weight.shape[2:]))
    return None


def _tensor_of(name: str, values: Any) -> Tensor:
    array = np.asarray(values)
    dtype = "float32" if array.dtype.kind == "f" else array.dtype.name
    return Tensor(name, dtype, array.shape[1:])


def _tensors_for(model: Any, columns: Mapping[str, Any]) -> list[Tensor]:
    """Return the tensors of a module, shaped by the columns: its layers only suggest a shape."""
    inputs = _tensors(model)
    if len(inputs) > 1 or not columns:
        return inputs
    [schema, *others] = columns.values()
    if others:
        return [replace(inputs[0], shape=(len(columns),))]
    is_array = isinstance(schema, Mapping) and schema.get("type") == "array"
    return [replace(inputs[0], shape=None if is_array else (1,))]


def _results(model: Any, arrays: Sequence[NDArray[Any]]) -> dict[str, torch.Tensor]:
    """Call a module, and return its outputs by name, or by position if they have none."""
    with torch.inference_mode():
        result = model(*(torch.from_numpy(array) for array in arrays))
    if isinstance(result, torch.Tensor):
        return {"y": result}
    if isinstance(result, Mapping):
        return {str(name): output for name, output in result.items()}
    return {f"y{at}": output for at, output in enumerate(result)}


def _prediction_schema(model: Any, fields: Fields, outputs: Sequence[str]) -> dict[str, Any] | None:
    examples = tensors.zeros(fields.tensors)
    if examples is None:
        return None
    try:
        results = _results(model, examples)
    except Exception:  # a module may reject zeros, and still predict rows
        return None
    found = {
        name: Tensor(name, _dtype(result), tuple(result.shape[1:]))
        for name, result in results.items()
    }
    return tensors.prediction_schema(found, outputs)


def _dtype(tensor: torch.Tensor) -> str:
    """Return numpy's name of a tensor's type; float32 for bfloat16, which numpy lacks."""
    return str(tensor.dtype).removeprefix("torch.").replace("bfloat16", "float32")

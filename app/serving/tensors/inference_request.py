"""A request for a prediction in the Open Inference Protocol, version 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.serving.errors import InvalidTensor
from app.serving.tensors.content_types import CONTENT_TYPE, TABLE
from app.serving.tensors.tensor import Tensor, TensorReader, get_parameters, get_text
from mlmodel.schema.messages import to_short_json

#: Parameters: whether one output, and each without that parameter, is sent as bytes.
BINARY_OUTPUT, BINARY_OUTPUTS = "binary_data", "binary_data_output"
#: A parameter of an extension that is not supported, and would change what an output holds.
CLASSIFICATION = "classification"


@dataclass(frozen=True)
class InferenceRequest:
    """The tensors of a request, and the outputs that it requests.

    :param is_table: whether each input is a column.
    :param outputs: the requested outputs, and whether each is sent as bytes; empty for the default.
    :param is_binary: whether outputs that the request does not name are sent as bytes.
    """

    id: str | None
    inputs: Sequence[Tensor]
    is_table: bool
    outputs: Mapping[str, bool]
    is_binary: bool

    @classmethod
    def read(cls, document: Any, content: memoryview) -> InferenceRequest:
        """Return the request of a JSON document and the bytes after it.

        :raises InvalidTensor: if it has mistakes.
        """
        if not isinstance(document, Mapping):
            raise InvalidTensor(f"expected an object, got {to_short_json(document)}")
        request_id = document.get("id")
        if request_id is not None and not isinstance(request_id, str):
            raise InvalidTensor(f"id must be text, got {to_short_json(request_id)}")
        parameters = get_parameters(document)
        content_type = parameters.get(CONTENT_TYPE) or ""
        is_binary = _to_boolean(parameters, BINARY_OUTPUTS, default=False)
        return cls(
            request_id,
            _read_inputs(document.get("inputs"), content, content_type),
            content_type == TABLE,
            _read_outputs(document.get("outputs"), is_binary),
            is_binary,
        )


def _read_inputs(items: Any, content: memoryview, content_type: str) -> Sequence[Tensor]:
    if not isinstance(items, list) or not items:
        raise InvalidTensor(f"inputs must be a list of tensors, got {to_short_json(items)}")
    reader = TensorReader(content, content_type)
    tensors = [reader.read(item) for item in items]
    reader.finish()
    names = [tensor.name for tensor in tensors]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidTensor(f"two inputs have the name {to_short_json(twice)}")
    return tensors


def _read_outputs(items: Any, is_binary: bool) -> Mapping[str, bool]:
    if not isinstance(items, list | None):
        raise InvalidTensor(f"outputs must be a list, got {to_short_json(items)}")
    outputs = {}
    for item in items or ():
        name, parameters = get_text(item, "name"), get_parameters(item)
        if parameters.get(CLASSIFICATION):
            raise InvalidTensor(
                f"output {to_short_json(name)}: {CLASSIFICATION} is not supported; request "
                "'predict' or 'predict_proba'"
            )
        outputs[name] = _to_boolean(parameters, BINARY_OUTPUT, default=is_binary)
    return outputs


def _to_boolean(parameters: Mapping[str, Any], key: str, *, default: bool) -> bool:
    value = parameters.get(key, default)
    if not isinstance(value, bool):
        raise InvalidTensor(f"{key} must be true or false, got {to_short_json(value)}")
    return value

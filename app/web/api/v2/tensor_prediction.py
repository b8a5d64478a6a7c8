"""A prediction in the Open Inference Protocol: from the body of a request to its response.

Source: Triton, "Binary Tensor Data Extension".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from flask import request as http_request
from werkzeug.exceptions import BadRequest

from app.serving.calls.methods import PREDICT
from app.serving.models.predictor import Predictor
from app.serving.tensors import inputs
from app.serving.tensors.datatypes import to_bytes
from app.serving.tensors.inference_request import InferenceRequest
from app.serving.tensors.outputs import to_tensors
from app.serving.tensors.tensor import BINARY_SIZE, Tensor
from app.web.api import prediction
from app.web.api.bodies.request_body import parse_json, read_expanded
from app.web.api.prediction import Header
from app.web.http.json_provider import dumps
from mlmodel.errors import InvalidInput
from mlmodel.schema.validator import Schema

#: The header with the length of the JSON, if bytes follow it.
JSON_LENGTH = "Inference-Header-Content-Length"
JSON, BINARY = "application/json", "application/octet-stream"
#: The schema of a model that is unloaded meanwhile.
ANY = Schema(True)
#: A valid length in a header.
LENGTH = re.compile(r"[0-9]{1,15}")
#: Media types of requests. tritonclient sends none, for JSON and for bytes.
MEDIA_TYPES = (JSON, BINARY, "")


def read_object() -> dict[str, Any]:
    """Return the JSON object in the body of the current request; without a body, an empty one.

    :raises BadRequest: if the body is not a JSON object.
    """
    content = read_expanded(*MEDIA_TYPES)
    value = parse_json(content) if content else {}
    if not isinstance(value, dict):
        raise BadRequest("expected a JSON object")
    return value


def read_request() -> InferenceRequest:
    """Return the inference request in the body of the current request.

    :raises BadRequest: if the JSON is invalid, or has another length than the header.
    :raises InvalidTensor: if the request has mistakes.
    """
    content = memoryview(read_expanded(*MEDIA_TYPES))
    text = http_request.headers.get(JSON_LENGTH, str(len(content)))
    length = int(text) if LENGTH.fullmatch(text) else len(content) + 1
    if length > len(content):
        raise BadRequest(
            f"{JSON_LENGTH} must be at most the {len(content):,} bytes of the body, got {text:.20}"
        )
    return InferenceRequest.read(parse_json(bytes(content[:length])), content[length:])


def to_rows(predictor: Predictor, public_name: str, request: InferenceRequest) -> list[Any]:
    """Return the rows of a request, see :func:`.inputs.to_rows`.

    :raises ServingError: if there is no such model, or a tensor does not fit its schema.
    """
    endpoint = predictor.manager.get_described(public_name).endpoints.get(PREDICT)
    schema = ANY if endpoint is None else endpoint.input
    return inputs.to_rows(request, schema.subschemas, predictor.max_rows)


def infer(
    predictor: Predictor, public_name: str, rows: Sequence[Any], request: InferenceRequest
) -> tuple[bytes, list[Header]]:
    """Call a model, and return the content of the response and its headers.

    :raises FlmError: as :meth:`Predictor.predict` does. Pointers begin with the index of the row.
    :raises ServingError: as :meth:`Predictor.predict` does, or if there is no such output.
    """
    try:
        model, predictions, headers = prediction.call(predictor, public_name, rows)
    except InvalidInput as error:
        raise prediction.point_to_rows(error) from error
    endpoint = model.endpoints.get(PREDICT)
    schema = ANY if endpoint is None else endpoint.output
    outputs = to_tensors(predictions, schema.subschemas, request.outputs)
    facts = {"model_name": model.name, "model_version": model.version, "id": request.id}
    known = {name: value for name, value in facts.items() if value}
    content, own = _write(known, outputs, request)
    return content, [*own, *headers]


def _write(
    facts: dict[str, Any], outputs: Sequence[Tensor], request: InferenceRequest
) -> tuple[bytes, list[Header]]:
    """Return the response to a request, with bytes for each output that it requests so."""
    tensors, contents = [], []
    for output in outputs:
        described = output.describe()
        if request.outputs.get(output.name, request.is_binary):
            content = to_bytes(output.datatype, output.elements)
            described["parameters"] = {**output.parameters, BINARY_SIZE: len(content)}
            contents.append(content)
        else:
            described["data"] = output.elements
        tensors.append(described)
    document = dumps({**facts, "outputs": tensors})
    if not contents:
        return document, [("Content-Type", JSON)]
    headers = [("Content-Type", BINARY), (JSON_LENGTH, str(len(document)))]
    return b"".join([document, *contents]), headers

"""Bodies of the Open Inference Protocol: JSON, and the bytes of tensors after it.

Source: Triton, "Binary Tensor Data Extension".
"""

from __future__ import annotations

import re
from typing import Any

from flask import request
from werkzeug.exceptions import BadRequest

from app.serving.tensors.inference_request import InferenceRequest
from app.web.api.bodies.request_body import parse_json, read_expanded
from app.web.api.v2.tensor_prediction import BINARY, JSON, JSON_LENGTH

DIGITS = re.compile(r"[0-9]{1,15}")
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
    text = request.headers.get(JSON_LENGTH, str(len(content)))
    length = int(text) if DIGITS.fullmatch(text) else len(content) + 1
    if length > len(content):
        raise BadRequest(
            f"{JSON_LENGTH} must be at most the {len(content):,} bytes of the body, got {text:.20}"
        )
    return InferenceRequest.read(parse_json(bytes(content[:length])), content[length:])

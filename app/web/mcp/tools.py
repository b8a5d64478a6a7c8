"""Models as tools: one for each ready model, whose arguments are a row."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from flask import g

from app.serving.calls.methods import PREDICT
from app.serving.errors import ServingError
from app.serving.explaining.cautions import list_cautions
from app.serving.explaining.explanation import explain, is_explainable
from app.serving.models.hosted import HostedModel
from app.web.api.explanations import to_body
from app.web.http import access
from app.web.http.extension import modelhost
from app.web.http.json_provider import dumps
from app.web.http.problems import build_problem
from app.web.openapi.components import build_components
from mlmodel.errors import FlmError, InvalidInput
from mlmodel.schema.subschemas import COMBINATIONS, DATA_KEYWORDS, NAMED_SCHEMAS

JsonObject = dict[str, Any]

#: The only member of the arguments, or of the result, where it is not an object.
ROW, PREDICTION, EXPLANATION = "row", "prediction", "explanation"
#: Examples in the schema of a tool's arguments.
MAX_EXAMPLES = 2
#: Maximum characters of a tool's name in the APIs of OpenAI and Anthropic.
MAX_NAME = 64
#: The tool that explains predictions of all models that can be explained.
EXPLAIN_TOOL = "explain_prediction"


def list_tools() -> list[JsonObject]:
    """Return a tool for each ready model that the client may see, and one that explains them."""
    ready = {
        name: model
        for name, model in _name_models().items()
        if model.is_ready and access.can_see(model.name)
    }
    explained = [name for name, model in ready.items() if is_explainable(model)]
    is_offered = explained and EXPLAIN_TOOL not in ready
    explaining = [_describe_explaining(explained)] if is_offered else []
    return [*(_describe(name, model) for name, model in ready.items()), *explaining]


def get_tool_name(model: HostedModel) -> str:
    """Return the name of a model's tool."""
    names = (name for name, each in _name_models().items() if each.unique_name == model.unique_name)
    return next(names, _to_name(model))


def find_model(name: str) -> HostedModel | None:
    """Return the model of a tool, in any state, if the client may see it."""
    model = _name_models().get(name)
    return model if model and access.can_see(model.name) else None


def call_tool(model: HostedModel, arguments: JsonObject) -> JsonObject:
    """Predict one row; errors of input and model are results that an assistant can read."""
    g.model, g.rows = model.unique_name, 1
    try:
        row = _to_row(modelhost().manager.get_described(model.unique_name), arguments)
        used, (prediction,) = modelhost().predictor.predict_with_model(model.unique_name, [row])
    except (FlmError, ServingError) as error:
        return {"content": [_text(_explain(error))], "isError": True}
    return {
        "content": [_text(dumps(prediction).decode().rstrip()), *_cautions(used, row)],
        "structuredContent": (
            prediction if _is_object(used.output_schema) else {PREDICTION: prediction}
        ),
        "isError": False,
    }


def explain_row(arguments: JsonObject) -> JsonObject:
    """Explain the prediction for one row; errors are results that an assistant can read."""
    name, given = arguments.get("model"), arguments.get("arguments")
    model = find_model(name) if isinstance(name, str) else None
    if model is None or not isinstance(given, dict):
        text = "expected the name of a model's tool in 'model', and its arguments in 'arguments'"
        return {"content": [_text(text)], "isError": True}
    g.model, g.rows = model.unique_name, 1
    try:
        row = _to_row(modelhost().manager.get_described(model.unique_name), given)
        chosen = (str(arguments.get(each, "")) for each in ("class", "output"))
        found = explain(modelhost().predictor, model.unique_name, row, *chosen)
    except (FlmError, ServingError) as error:
        return {"content": [_text(_explain(error))], "isError": True}
    body = to_body(found)
    return {
        "content": [_text(dumps(body).decode().rstrip())],
        "structuredContent": body if isinstance(body, dict) else {EXPLANATION: body},
        "isError": False,
    }


def _describe_explaining(models: Sequence[str]) -> JsonObject:
    return {
        "name": EXPLAIN_TOOL,
        "title": "Explain a prediction",
        "description": (
            "Explain the prediction of another tool: what each field adds to it, compared with "
            "typical rows of the training data, and the smallest change of one field that leads "
            "to another label. It describes the model, not causes."
        ),
        "inputSchema": {
            "type": "object",
            "properties": {
                "model": {"enum": models, "description": "The name of the model's tool."},
                "arguments": {"type": "object", "description": "The arguments of that tool."},
                "class": {
                    "type": "string",
                    "description": "The class to explain; by default, the predicted one.",
                },
                "output": {
                    "type": "string",
                    "description": "The member of the prediction to explain, if it has several: "
                    "its name or JSON Pointer. By default, the main one.",
                },
            },
            "required": ["model", "arguments"],
            "additionalProperties": False,
        },
        "annotations": {"readOnlyHint": True},
    }


def _cautions(model: HostedModel, row: Any) -> list[JsonObject]:
    """Return a text about values outside the training data, if there are any."""
    [found] = list_cautions(model, [row])
    lines = [f"{each.pointer}: {each.detail}" for each in found or ()]
    return [_text("\n".join(["Caution, unusual input:", *lines]))] if lines else []


def _to_row(model: HostedModel, arguments: JsonObject) -> Any:
    if PREDICT not in model.endpoints or _is_object(model.input_schema):
        return arguments
    if arguments.keys() != {ROW}:
        raise InvalidInput(f"expected the argument {ROW!r} alone, got {[*arguments]!r:.100}")
    return arguments[ROW]


def _name_models() -> dict[str, HostedModel]:
    """Return all models by the names of their tools, which all assistants' APIs accept."""
    named: dict[str, HostedModel] = {}
    for model in modelhost().manager.models():
        preferred = _to_name(model)
        name, number = preferred, 2
        while name in named:
            name, number = _shorten(f"{preferred}_{number}"), number + 1
        named[name] = model
    return named


def _to_name(model: HostedModel) -> str:
    return _shorten(re.sub(r"[^A-Za-z0-9_-]", "_", model.public_name.replace("@", "__")))


def _shorten(name: str) -> str:
    """Return a name that is not too long for assistants; a hash makes it unique."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 9]}_{digest}"


def _describe(name: str, model: HostedModel) -> JsonObject:
    version = f", version {model.version}" if model.version else ""
    text = f"Predict with {model.display_name}{version}.\n\n{model.description}"
    arguments = _to_object_schema(model.input_schema, ROW)
    examples = model.about.examples[:MAX_EXAMPLES]
    if examples:
        is_row = _is_object(model.input_schema)
        arguments["examples"] = [each if is_row else {ROW: each} for each in examples]
    return {
        "name": name,
        "title": model.display_name,
        "description": text.strip(),
        "inputSchema": arguments,
        "outputSchema": _to_object_schema(model.output_schema, PREDICTION),
        "annotations": {"readOnlyHint": True},
    }


def _is_object(schema: Mapping[str, Any] | None) -> bool:
    """Return whether a schema can be a tool's: of an object, and not only by a combination.

    MCP requires the type, and assistants' APIs reject ``oneOf`` and the like at the root.
    """
    is_object = schema is not None and schema.get("type") == "object"
    return is_object and not any(keyword in schema for keyword in (*COMBINATIONS, "$ref"))


def _to_object_schema(schema: Mapping[str, Any] | None, member: str) -> JsonObject:
    """Return a schema as that of an object: unchanged, or of an object with one member."""
    described = _with_units(schema or {})
    if _is_object(schema):
        return described
    return {
        "type": "object",
        "properties": {member: {"$ref": f"#/$defs/{member}"}},
        "required": [member],
        "additionalProperties": False,
        "$defs": build_components(member, described, prefix="#/$defs/"),
    }


def _with_units(node: Any) -> Any:
    """Return a schema whose descriptions name the units of ``x-unit``, which assistants ignore."""
    if isinstance(node, list):
        return [_with_units(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    schema = {keyword: _with_units_in(keyword, value) for keyword, value in node.items()}
    unit = schema.get("x-unit")
    if isinstance(unit, str):
        schema["description"] = f"{schema.get('description', '')} Unit: {unit}.".strip()
    return schema


def _with_units_in(keyword: str, value: Any) -> Any:
    if keyword in DATA_KEYWORDS:
        return value
    if keyword in NAMED_SCHEMAS and isinstance(value, Mapping):
        return {name: _with_units(schema) for name, schema in value.items()}
    return _with_units(value)


def _explain(error: FlmError | ServingError) -> str:
    problem, headers = build_problem(error)
    if "errors" in problem:
        return "\n".join(
            f"{each['pointer'] or 'the row'}: {each['detail']}" for each in problem["errors"]
        )
    text = f"{problem['title']}: {problem['detail']}"
    seconds = headers.get("Retry-After")
    return f"{text}. Retry after {seconds} seconds." if seconds else text


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}

"""The OpenAPI document: from the views' docstrings, the marshmallow schemas and the models' own."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.yaml_utils import load_operations_from_docstring
from apispec_webframeworks.flask import FlaskPlugin
from flask import Flask

from app.serving.hosted import PREDICT, HostedEndpoint, HostedModel, Status
from app.serving.manager import ModelManager

VERSION = "1"
DESCRIPTION = (
    "Machine-learning models behind one interface. Each model that is loaded has a typed path of "
    "its own. Errors are problem documents (RFC 9457)."
)

#: Responses that several operations share: name, and what it means.
PROBLEMS = {
    "Forbidden": "The settings do not allow it.",
    "InternalError": "The server failed; its log tells more under the request id.",
    "InvalidBody": "Not JSON, not UTF-8, NaN or Infinity, a key twice, or nested too deep.",
    "InvalidInput": "The JSON breaks the model's input schema; `errors` has all violations.",
    "ModelFailed": "The model failed, or answered what its output schema forbids.",
    "ModelNotFound": "There is no such model.",
    "ModelTimeout": "The model took longer than its limit.",
    "ModelUnavailable": "The model is not loaded, or has too much to do. See Retry-After.",
    "TooLarge": "The body is too large, or has too many rows.",
    "TooManyRequests": "Too many requests. See Retry-After.",
    "UnsupportedMediaType": "The body does not say that it is JSON in UTF-8.",
}

#: Keywords that place a schema in a document of its own.
DOCUMENT_KEYWORDS = frozenset({"$schema", "$id", "$defs", "definitions"})
DEFINITION = re.compile(r"#/(?:\$defs|definitions)/([^/]+)")


class _ViewsAndModels(FlaskPlugin):
    """FlaskPlugin that leaves a path without a view, which is a model's, as it is."""

    def path_helper(self, path: Any = None, *, view: Any = None, **more: Any) -> Any:
        return path if view is None else super().path_helper(path=path, view=view, **more)


def build_spec(app: Flask, manager: ModelManager) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of an application and the models that are ready."""
    spec = APISpec(
        title="Modelhost",
        version=VERSION,
        openapi_version="3.1.0",
        info={"description": DESCRIPTION},
        plugins=[_ViewsAndModels(), MarshmallowPlugin()],
    )
    _add_components(spec)
    with app.test_request_context():
        for view in app.view_functions.values():
            if load_operations_from_docstring(view.__doc__ or ""):
                spec.path(view=view, app=app)
    for model in manager.models():
        if model.status is Status.READY:
            _add_model(spec, model, app.view_functions["api.predict"].__doc__ or "")
    return spec.to_dict()


def _add_components(spec: APISpec) -> None:
    name = {"description": "The model's name.", "schema": {"type": "string"}}
    spec.components.parameter("ModelName", "path", {"name": "name", **name})
    for response, description in PROBLEMS.items():
        content = {"application/problem+json": {"schema": "Problem"}}
        spec.components.response(response, {"description": description, "content": content})


def _add_model(spec: APISpec, model: HostedModel, docstring: str) -> None:
    spec.tag({"name": model.name, "description": model.description or model.display_name})
    template = load_operations_from_docstring(docstring)["post"]
    for endpoint in model.endpoints.values():
        operations = {
            method.lower(): _operation(spec, model, endpoint, method, template)
            for method in endpoint.methods
        }
        spec.path(path=f"/api/models/{model.name}/{endpoint.name}", operations=operations)


def _operation(
    spec: APISpec,
    model: HostedModel,
    endpoint: HostedEndpoint,
    method: str,
    template: Mapping[str, Any],
) -> dict[str, Any]:
    operation = copy.deepcopy(dict(template))
    del operation["parameters"], operation["requestBody"]
    is_predict = endpoint.name == PREDICT
    operation["summary"] = f"{'Ask' if is_predict else endpoint.name} {model.display_name}"
    if not is_predict:
        operation["description"] = endpoint.description
    operation["operationId"] = f"{endpoint.name}.{method.lower()}.{model.name}"
    operation["tags"] = [model.name]
    name = model.name if is_predict else f"{model.name}.{endpoint.name}"
    answer = _schema(spec, f"{name}.Answer", endpoint.output_schema)
    row = _schema(spec, f"{name}.Row", endpoint.input_schema)
    if method == "POST":
        content = {"schema": _one_or_many(row)}
        if is_predict and model.examples:
            content["example"] = model.examples[0]
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
        answer = _one_or_many(answer)
    else:
        operation["parameters"] = _query(endpoint.input_schema or {}, f"{name}.Row")
        for status in (400, 413, 415):
            del operation["responses"][status]
    operation["responses"][200]["content"]["application/json"]["schema"] = answer
    return operation


def _query(schema: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    required = schema.get("required", ())
    return [
        {"name": key, "in": "query", "required": key in required, "schema": _embedded(member, name)}
        for key, member in schema.get("properties", {}).items()
    ]


def _one_or_many(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "array", "items": schema}]}


def _schema(spec: APISpec, name: str, document: Mapping[str, Any] | None) -> dict[str, Any]:
    """Add a model's schema as a component, its definitions beside it; return a reference to it."""
    reference = {"$ref": f"#/components/schemas/{name}"}
    if name in spec.components.schemas:
        return reference
    root = document or {}
    definitions = {**root.get("definitions", {}), **root.get("$defs", {})}
    for key, definition in definitions.items():
        spec.components.schema(_component(name, key), _embedded(definition, name))
    own = {key: value for key, value in root.items() if key not in DOCUMENT_KEYWORDS}
    spec.components.schema(name, _embedded(own, name))
    return reference


def _component(name: str, definition: str) -> str:
    # Component names allow fewer characters than the members of $defs.
    return f"{name}.{re.sub(r'[^A-Za-z0-9._-]', '_', definition)}"


def _embedded(node: Any, name: str) -> Any:
    """Return a schema with its references as they read from within the OpenAPI document."""
    if isinstance(node, list):
        return [_embedded(item, name) for item in node]
    if not isinstance(node, Mapping):
        return node
    embedded = {key: _embedded(value, name) for key, value in node.items()}
    if isinstance(node.get("$ref"), str):
        embedded["$ref"] = _reference(node["$ref"], name)
    return embedded


def _reference(reference: str, name: str) -> str:
    definition = DEFINITION.match(reference)
    if definition:
        rest = reference[definition.end() :]
        return f"#/components/schemas/{_component(name, definition[1])}{rest}"
    return f"#/components/schemas/{name}{reference.removeprefix('#')}"

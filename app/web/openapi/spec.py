"""The OpenAPI document, built from views' docstrings, marshmallow schemas and models' schemas."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.yaml_utils import load_operations_from_docstring
from apispec_webframeworks.flask import FlaskPlugin
from flask import Flask

from app.serving.calls.methods import PREDICT
from app.serving.models.endpoints import HostedEndpoint
from app.serving.models.hosted import HostedModel
from app.web.api.schemas import Columns
from app.web.http import split_frames
from app.web.http.access import Gate
from app.web.openapi.components import components_of

VERSION = "1"
DESCRIPTION = (
    "Machine-learning models behind one interface. Each model that is loaded has a typed path of "
    "its own. Errors are problem documents (RFC 9457)."
)

#: Responses that several operations share: name and description.
PROBLEMS = {
    "InvalidCatalog": "`models.yaml` has mistakes: nothing was changed.",
    "Forbidden": "The key is not for this, there are none, or a page of another site sent it.",
    "InternalError": "The server failed; its log tells more under the request id.",
    "InvalidBody": "Not JSON, not UTF-8, NaN or Infinity, a key twice, or nested too deep.",
    "InvalidInput": "The JSON breaks the model's input schema; `errors` has all violations.",
    "ModelFailed": "The model failed, or answered what its output schema forbids.",
    "ModelNotFound": "There is no such model.",
    "ModelTimeout": "The model took longer than its limit.",
    "ModelUnavailable": "The model is not loaded, or has too much to do. See Retry-After.",
    "TooLarge": "The body is too large, or has too many rows, arrays or objects.",
    "TooManyRequests": "Too many requests. See Retry-After.",
    "Unauthorized": "It needs a key, and there is none, or one that is not known.",
    "UnsupportedMediaType": "The body does not say that it is JSON in UTF-8.",
}

#: Headers of a prediction's response: name and description.
HEADERS = {
    "ModelRuntime": "What answered: the packages that run the model, and Python.",
    "ModelVersion": "The version of the model that answered.",
    "PredictTime": "Milliseconds that the prediction took, its checks included: `predict;dur=1.2`.",
}


#: Statuses that only apply to requests with a body.
NOT_OF_GET = ("400", "413", "415")

#: Security schemes: the client sends the key in either header.
SECURITY = {
    "Key": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer mh_...`"},
    "KeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


@dataclass(frozen=True)
class Asked:
    """An endpoint of a model that is not loaded, as far as it is known."""

    name: str
    methods: tuple[str, ...]
    description: str
    input_schema: Mapping[str, Any] | None
    output_schema: Mapping[str, Any] | None


def build_spec(app: Flask, models: Iterable[HostedModel]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of an application, with typed paths for the given models."""
    spec = APISpec(
        title=app.config["PORTAL_NAME"],
        version=VERSION,
        openapi_version="3.1.0",
        info={"description": DESCRIPTION},
        plugins=[FlaskPlugin(), MarshmallowPlugin()],
    )
    _add_components(spec)
    gate: Gate = app.extensions["gate"]
    shut = set()
    with app.test_request_context():
        for view in app.view_functions.values():
            operations = load_operations_from_docstring(view.__doc__ or "")
            if operations:
                spec.path(view=view, app=app)
            if gate.is_shut_to(view):
                shut |= {operation["operationId"] for operation in operations.values()}
    document = spec.to_dict()
    _tell_keys(document, shut)
    for model in models:
        if model.spec.default:
            tag = {"name": model.name, "description": model.description or model.display_name}
            document.setdefault("tags", []).append(tag)
        _add_model(document, model)
    return document


def _tell_keys(document: dict[str, Any], operation_ids: Set[str]) -> None:
    """Add the security requirement, 401 and 403 to the given operations."""
    for path in document["paths"].values():
        for operation in path.values():
            if operation["operationId"] in operation_ids:
                operation["security"] = [{name: []} for name in SECURITY]
                operation["responses"] |= {
                    "401": {"$ref": "#/components/responses/Unauthorized"},
                    "403": {"$ref": "#/components/responses/Forbidden"},
                }


def _add_components(spec: APISpec) -> None:
    name = {"description": "The model's name.", "schema": {"type": "string"}}
    spec.components.parameter("ModelName", "path", {"name": "name", **name})
    version = {"description": "A version or an alias of it.", "schema": {"type": "string"}}
    spec.components.parameter("ModelVersion", "path", {"name": "version", **version})
    for header, description in HEADERS.items():
        schema = {"type": "string"}
        spec.components.header(header, {"description": description, "schema": schema})
    for security, scheme in SECURITY.items():
        spec.components.security_scheme(security, scheme)
    spec.components.schema("Columns", schema=Columns)
    for response, description in PROBLEMS.items():
        content = {"application/problem+json": {"schema": "Problem"}}
        spec.components.response(response, {"description": description, "content": content})


def _add_model(document: dict[str, Any], model: HostedModel) -> None:
    """Add a typed path for each endpoint of a model.

    A model that is not loaded, or not the default version, gets one for predict only.
    """
    offered = list(model.endpoints.values()) or [_not_loaded(model)]
    for endpoint in offered if model.spec.default else offered[:1]:
        version = "" if model.spec.default else f"versions/{model.spec.version}/"
        path = f"/api/models/{model.name}/{version}{endpoint.name}"
        document["paths"][path] = {
            method.lower(): _operation(document, model, endpoint, method)
            for method in endpoint.methods
        }


def _not_loaded(model: HostedModel) -> Asked:
    return Asked(PREDICT, ("POST",), model.description, model.input_schema, None)


def _operation(
    document: dict[str, Any], model: HostedModel, endpoint: Asked | HostedEndpoint, method: str
) -> dict[str, Any]:
    is_predict = endpoint.name == PREDICT
    operation = copy.deepcopy(document["paths"]["/api/models/{name}/predict"]["post"])
    del operation["parameters"], operation["requestBody"]
    operation["summary"] = f"{'Ask' if is_predict else endpoint.name} {model.display_name}"
    if not model.spec.default:
        operation["summary"] += f", version {model.spec.version}"
    unique = model.reference.replace("@", ".versions.")
    operation["operationId"] = f"{endpoint.name}.{method.lower()}.{unique}"
    operation["tags"] = [model.name]
    if not is_predict:
        operation["description"] = endpoint.description
    name = unique if is_predict else f"{unique}.{endpoint.name}"
    row = _schema(document, f"{name}.Row", endpoint.input_schema)
    answer = _schema(document, f"{name}.Answer", endpoint.output_schema)
    if method == "POST":
        by_columns = split_frames.are_possible(endpoint.input_schema)
        operation["requestBody"] = _body(row, model.examples if is_predict else [], by_columns)
        answer = _one_or_many(answer)
    else:
        operation["parameters"] = _query(document, f"{name}.Row")
        for status in NOT_OF_GET if "security" in operation else ("403", *NOT_OF_GET):
            del operation["responses"][status]
    operation["responses"]["200"]["content"]["application/json"]["schema"] = answer
    return operation


def _body(row: dict[str, Any], examples: Sequence[Any], by_columns: bool) -> dict[str, Any]:
    content = {"schema": _one_or_many(row)}
    if by_columns:
        content["schema"]["anyOf"].append({"$ref": "#/components/schemas/Columns"})
    if examples:
        content["examples"] = _examples(examples, by_columns)
    return {"required": True, "content": {"application/json": content}}


def _examples(rows: Sequence[Any], by_columns: bool) -> dict[str, Any]:
    first = rows[0]
    said = {"row": {"summary": "One row", "value": first}}
    if by_columns and isinstance(first, Mapping):
        alike = [row for row in rows if isinstance(row, Mapping) and row.keys() == first.keys()]
        said["columns"] = {"summary": "Rows by columns", "value": split_frames.written(alike)}
    return said


def _one_or_many(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "array", "items": schema}]}


def _query(document: dict[str, Any], component: str) -> list[dict[str, Any]]:
    schema = document["components"]["schemas"][component]
    required = schema.get("required", ())
    return [
        {"name": key, "in": "query", "required": key in required, "schema": member}
        for key, member in schema.get("properties", {}).items()
    ]


def _schema(
    document: dict[str, Any], name: str, schema: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Add a model's schema to the components and return a reference to it."""
    document["components"]["schemas"].update(components_of(name, schema or {}))
    return {"$ref": f"#/components/schemas/{name}"}

"""The OpenAPI document, built from views' docstrings, marshmallow schemas and models' schemas."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.yaml_utils import load_operations_from_docstring
from apispec_webframeworks.flask import FlaskPlugin
from flask import Flask
from werkzeug.routing import Rule

from app.serving.calls.methods import PREDICT
from app.serving.models.endpoints import HostedEndpoint
from app.serving.models.hosted import HostedModel
from app.web.api.bodies import split_frames
from app.web.api.schemas import Columns
from app.web.http.extension import modelhost
from app.web.http.problems import INFERENCE_PATH, all_problems
from app.web.openapi.components import build_components

API_VERSION = "1"
DESCRIPTION = (
    "Machine-learning models behind one API. Each loaded model has a typed path of its own. "
    "Errors are problem documents (RFC 9457). `POST /mcp`, for assistants, is not listed: its "
    "method `tools/list` describes what a client may send."
)

#: Responses that several operations share: name, and types of its problems.
RESPONSES = {
    "CannotExplain": ["cannot-explain", "invalid-input"],
    "Forbidden": ["forbidden"],
    "InternalError": ["internal-error"],
    "InvalidBody": ["invalid-body"],
    "InvalidQuery": ["invalid-body", "no-profile"],
    "InvalidCatalog": ["invalid-catalog"],
    "InvalidInput": ["invalid-input"],
    "LogUnavailable": ["log-unavailable"],
    "InsufficientStorage": ["insufficient-storage"],
    "JobConflict": ["job-conflict"],
    "JobNotFound": ["job-not-found"],
    "JobsUnavailable": ["jobs-unavailable", "model-unavailable"],
    "ModelFailed": ["model-failed", "invalid-answer"],
    "ModelNotFound": ["model-not-found"],
    "ModelTimeout": ["model-timeout", "remote-timeout"],
    "ModelUnavailable": ["model-unavailable", "queue-full", "remote-unavailable"],
    "PredictionNotLogged": ["model-not-found", "prediction-not-logged"],
    "RemoteFailed": ["remote-failed"],
    "RemoteLoop": ["remote-loop"],
    "TooLarge": ["body-too-large", "too-many-rows"],
    "TooFewRows": ["too-few-rows"],
    "TooManyJobs": ["too-many-jobs", "too-many-requests"],
    "TooManyRequests": ["too-many-requests"],
    "TruthConflict": ["truth-exists", "ambiguous-prediction"],
    "Unauthorized": ["unauthorized"],
    "UnsupportedMediaType": ["unsupported-media-type"],
}

#: The response of all errors of the Open Inference Protocol.
INFERENCE_ERROR = "InferenceError"

#: Headers of a prediction's response: name and description.
HEADERS = {
    "LoggedRows": "The number of rows in the prediction log, if it has only a share of all rows.",
    "ModelRuntime": "The packages that run the model, and Python, with their versions.",
    "ModelSHA256": "The SHA-256 of the file of the model.",
    "ModelVersion": "The version of the model that made the prediction.",
    "PredictTime": "Milliseconds from the rows to the validated predictions: `predict;dur=1.2`.",
}

#: Operations that may name a version in their path: operation id and summary of that path.
VERSION_OPERATIONS = {
    "describeModel": ("describeVersion", "Describe a version of a model"),
    "getModel": ("getVersion", "Get a version of a model"),
    "predict": ("predictByVersion", "Predict with a version of a model"),
    "createJob": ("createJobByVersion", "Create a job for a version of a model"),
    "describeTensors": ("describeTensorsOfVersion", "Describe the tensors of a version of a model"),
    "explain": ("explainByVersion", "Explain a prediction of a version of a model"),
    "infer": ("inferByVersion", "Predict with tensors and a version of a model"),
    "isModelReady": ("isVersionReady", "Check that a version of a model is available"),
}

#: The tag of the operations of a blueprint; of the others, "Operations".
TAGS = {
    "api": "Models",
    "explanations": "Models",
    "inference": "Open Inference Protocol",
    "jobs": "Jobs",
    "repository": "Open Inference Protocol",
    "truth": "Models",
}

#: Components of the parameters in a path, by the name of the rule's argument.
PARAMETERS = {"name": "ModelName", "job_id": "JobId"}

#: Errors that follow from an argument in the path.
ARGUMENT_ERRORS = {
    "name": {404: "ModelNotFound"},
    "job_id": {400: "InvalidBody", 404: "JobNotFound", 503: "JobsUnavailable"},
}

#: Errors of requests with a body.
BODY_ERRORS = {400: "InvalidBody", 413: "TooLarge", 415: "UnsupportedMediaType"}

#: Errors of every request, except those that only find out whether the server runs.
COMMON_ERRORS = {429: "TooManyRequests", 500: "InternalError"}

#: Security schemes: the client sends the key in either header.
SECURITY = {
    "Key": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer mh_...`"},
    "KeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


class _UnloadedEndpoint(NamedTuple):
    """The predict endpoint of a model that is not loaded."""

    name: str
    methods: tuple[str, ...]
    description: str
    input_schema: Mapping[str, Any] | None
    output_schema: Mapping[str, Any] | None


def build_spec(app: Flask, models: Iterable[HostedModel]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of an application, with typed paths for the given models."""
    spec = APISpec(
        title=app.config["PORTAL_NAME"],
        version=API_VERSION,
        openapi_version="3.1.0",
        info={"description": DESCRIPTION},
        plugins=[MarshmallowPlugin()],
    )
    _add_components(spec)
    for rule in app.url_map.iter_rules():
        _add_rule(spec, app, rule)
    document = spec.to_dict()
    for model in models:
        if model.spec.default:
            tag = {"name": model.name, "description": model.description or model.display_name}
            document.setdefault("tags", []).append(tag)
        _add_model(document, model)
    return document


def _add_rule(spec: APISpec, app: Flask, rule: Rule) -> None:
    """Add the operations in the docstring of a rule's view; nothing if it has none."""
    view = app.view_functions[rule.endpoint]
    operations = load_operations_from_docstring(view.__doc__ or "")
    is_inference = rule.rule.startswith(INFERENCE_PATH)
    for operation in operations.values():
        _complete(operation, rule)
        if "version" in rule.arguments:
            id_and_summary = VERSION_OPERATIONS[operation["operationId"]]
            operation["operationId"], operation["summary"] = id_and_summary
            operation["parameters"].append("ModelVersion")
        if modelhost(app).access_control.view_needs_key(view):
            operation["security"] = [{name: []} for name in SECURITY]
            errors = (INFERENCE_ERROR,) * 2 if is_inference else ("Unauthorized", "Forbidden")
            operation["responses"] |= zip((401, 403), errors, strict=True)
    if operations:
        path = FlaskPlugin.flaskpath2openapi(rule.rule)
        spec.path(path, operations=operations)


def _complete(operation: dict[str, Any], rule: Rule) -> None:
    """Add the tag, parameters and errors that follow from a rule and whether it takes a body.

    What the operation states itself has precedence.
    """
    operation["tags"] = [TAGS.get(rule.endpoint.partition(".")[0], "Operations")]
    arguments = PARAMETERS.keys() & rule.arguments
    has_body = "requestBody" in operation
    is_inference = rule.rule.startswith(INFERENCE_PATH)
    is_probe = not (rule.rule.startswith("/api/") or arguments or has_body)
    errors = {} if is_probe else dict(COMMON_ERRORS)
    for argument in arguments:
        operation.setdefault("parameters", []).insert(0, PARAMETERS[argument])
        errors |= ARGUMENT_ERRORS[argument]
    if has_body:
        errors |= BODY_ERRORS
    if is_inference:
        errors = dict.fromkeys(errors, INFERENCE_ERROR)
    operation["responses"] = dict(sorted((errors | operation["responses"]).items()))


def _add_components(spec: APISpec) -> None:
    name = {"description": "The model's name, or `name@version`.", "schema": {"type": "string"}}
    spec.components.parameter("ModelName", "path", {"name": "name", **name})
    version = {"description": "The version, or an alias of it.", "schema": {"type": "string"}}
    spec.components.parameter("ModelVersion", "path", {"name": "version", **version})
    job = {"description": "The id of the job.", "schema": {"type": "string"}}
    spec.components.parameter("JobId", "path", {"name": "job_id", **job})
    for header, description in HEADERS.items():
        schema = {"type": "string"}
        spec.components.header(header, {"description": description, "schema": schema})
    for security, scheme in SECURITY.items():
        spec.components.security_scheme(security, scheme)
    spec.components.schema("Columns", schema=Columns)
    meanings = {problem.slug: problem.meaning for problem in all_problems()}
    for response, slugs in RESPONSES.items():
        description = " ".join(meanings[slug] for slug in slugs)
        content = {"application/problem+json": {"schema": "Problem"}}
        spec.components.response(response, {"description": description, "content": content})
    content = {"application/json": {"schema": INFERENCE_ERROR}}
    description = "What was expected and what was received, in `error`."
    spec.components.response(INFERENCE_ERROR, {"description": description, "content": content})


def _add_model(document: dict[str, Any], model: HostedModel) -> None:
    """Add a typed path for each endpoint of a model.

    A model that is not loaded, or not the default version, gets one for predict only.
    """
    unloaded = _UnloadedEndpoint(PREDICT, ("POST",), model.description, model.input_schema, None)
    endpoints = list(model.endpoints.values()) or [unloaded]
    for endpoint in endpoints if model.spec.default else endpoints[:1]:
        version = "" if model.spec.default else f"versions/{model.spec.version}/"
        path = f"/api/models/{model.name}/{version}{endpoint.name}"
        document["paths"][path] = {
            method.lower(): _operation(document, model, endpoint, method)
            for method in endpoint.methods
        }


def _operation(
    document: dict[str, Any],
    model: HostedModel,
    endpoint: _UnloadedEndpoint | HostedEndpoint,
    method: str,
) -> dict[str, Any]:
    is_predict = endpoint.name == PREDICT
    operation = copy.deepcopy(document["paths"]["/api/models/{name}/predict"]["post"])
    del operation["parameters"], operation["requestBody"]
    operation["summary"] = f"{'Predict' if is_predict else endpoint.name} with {model.display_name}"
    if not model.spec.default:
        operation["summary"] += f", version {model.spec.version}"
    unique = model.public_name.replace("@", ".versions.")
    operation["operationId"] = f"{endpoint.name}.{method.lower()}.{unique}"
    operation["tags"] = [model.name]
    if not is_predict:
        operation["description"] = endpoint.description
    name = unique if is_predict else f"{unique}.{endpoint.name}"
    row = _schema(document, f"{name}.Row", endpoint.input_schema)
    prediction = _schema(document, f"{name}.Answer", endpoint.output_schema)
    if method == "POST":
        by_columns = split_frames.is_allowed(endpoint.input_schema)
        examples = model.about.examples if is_predict else []
        operation["requestBody"] = _request_body(row, examples, by_columns)
        prediction = _one_or_many(prediction)
    else:
        operation["parameters"] = _query_parameters(document, f"{name}.Row")
        for status in BODY_ERRORS if "security" in operation else (403, *BODY_ERRORS):
            del operation["responses"][str(status)]
    operation["responses"]["200"]["content"]["application/json"]["schema"] = prediction
    return operation


def _request_body(row: dict[str, Any], examples: Sequence[Any], by_columns: bool) -> dict[str, Any]:
    content = {"schema": _one_or_many(row)}
    if by_columns:
        content["schema"]["anyOf"].append({"$ref": "#/components/schemas/Columns"})
    if examples:
        content["examples"] = _examples(examples, by_columns)
    return {"required": True, "content": {"application/json": content}}


def _examples(rows: Sequence[Any], by_columns: bool) -> dict[str, Any]:
    first = rows[0]
    examples = {"row": {"summary": "One row", "value": first}}
    if by_columns and isinstance(first, Mapping):
        frame = [row for row in rows if isinstance(row, Mapping) and row.keys() == first.keys()]
        examples["columns"] = {
            "summary": "Rows by columns",
            "value": split_frames.to_split_frame(frame),
        }
    return examples


def _one_or_many(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "array", "items": schema}]}


def _query_parameters(document: dict[str, Any], component: str) -> list[dict[str, Any]]:
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
    document["components"]["schemas"].update(build_components(name, schema or {}))
    return {"$ref": f"#/components/schemas/{name}"}

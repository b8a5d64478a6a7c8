"""The REST interface: list, describe and call models.

Each docstring below its ``---`` is the operation in the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from flask import Blueprint, Flask, Response, current_app, g, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import BaseConverter

from app.serving.calls.methods import PREDICT
from app.serving.errors import TooManyRows
from app.serving.models.hosted import HostedModel, Status
from app.serving.models.manager import ModelManager
from app.serving.tables import csv_file
from app.web.api import fast_predict, prediction
from app.web.api.request_body import read_json, read_table, row_of
from app.web.api.schemas import (
    ModelInspection,
    ModelList,
    ModelMetadata,
    ModelVersions,
    SheetRows,
)
from app.web.http import access, split_frames
from mlmodel.endpoint import RESERVED
from mlmodel.errors import InvalidInput
from mlmodel.numerals import COMMA, POINT

blueprint = Blueprint("api", __name__, url_prefix="/api")


class Marked(BaseConverter):
    """The name of an endpoint that an author exposes, other than the names of routes."""

    regex = rf"(?!(?:{'|'.join(sorted(RESERVED))})$)[^/]+"


def init_app(app: Flask) -> None:
    """Serve the REST interface."""
    app.url_map.converters["marked"] = Marked
    app.register_blueprint(blueprint)


@blueprint.get("/models")
def index() -> ResponseReturnValue:
    """List the models.
    ---
    get:
      summary: List the models
      operationId: listModels
      tags: [Models]
      responses:
        200:
          description: All models, in the order of `models.yaml`.
          content: {application/json: {schema: ModelList}}
        429: TooManyRequests
        500: InternalError
    """
    shown = access.visible(ModelManager().defaults())
    return jsonify(ModelList().dump({"models": map(_summary, shown)}))


@blueprint.get("/models/<name>/metadata")
def metadata(name: str) -> ResponseReturnValue:
    """Describe one model.
    ---
    get:
      summary: Describe a model
      description: A model that is loaded on first use is loaded by this.
      operationId: describeModel
      tags: [Models]
      parameters: [ModelName]
      responses:
        200:
          description: The model, with the whole JSON Schemas of its rows and answers.
          content: {application/json: {schema: ModelMetadata}}
        404: ModelNotFound
        429: TooManyRequests
        500: InternalError
    """
    return jsonify(ModelMetadata().dump(description(ModelManager().opened(name))))


@blueprint.post("/models/<name>/predict")
def predict(name: str) -> ResponseReturnValue:
    """Call a model.
    ---
    post:
      summary: Ask a model
      description: >-
        One row gives the model's answer, bare. An array of rows gives an array of answers in
        the same order, from one call of the model. So do rows written by columns, as pandas'
        `to_json(orient="split")` writes them.
      operationId: predict
      tags: [Models]
      parameters: [ModelName]
      requestBody:
        required: true
        content: {application/json: {schema: {}}}
      responses:
        200:
          description: The answer, or the answers.
          headers:
            Server-Timing: PredictTime
            X-Model-Version: ModelVersion
            X-Model-Runtime: ModelRuntime
          content: {application/json: {schema: {}}}
        400: InvalidBody
        403: Forbidden
        404: ModelNotFound
        413: TooLarge
        415: UnsupportedMediaType
        422: InvalidInput
        429: TooManyRequests
        500: ModelFailed
        503: ModelUnavailable
        504: ModelTimeout
    """
    ModelManager().get(name)
    return _answer(name, PREDICT, read_json())


@blueprint.get("/models/<name>/versions")
def versions(name: str) -> ResponseReturnValue:
    """List a model's versions.
    ---
    get:
      summary: List a model's versions
      operationId: listVersions
      tags: [Models]
      parameters: [ModelName]
      responses:
        200:
          description: All versions, in the order of `models.yaml`.
          content: {application/json: {schema: ModelVersions}}
        404: ModelNotFound
        429: TooManyRequests
        500: InternalError
    """
    models = ModelManager().versions(name)
    return jsonify(ModelVersions().dump({"versions": map(_version, models)}))


@blueprint.get("/models/<name>/versions/<version>/metadata")
def metadata_of_version(name: str, version: str) -> ResponseReturnValue:
    """Describe one version of a model.
    ---
    get:
      summary: Describe a version of a model
      description: As without a version.
      operationId: describeVersion
      tags: [Models]
      parameters: [ModelName, ModelVersion]
      responses:
        200:
          description: The model, with the whole JSON Schemas of its rows and answers.
          content: {application/json: {schema: ModelMetadata}}
        404: ModelNotFound
        429: TooManyRequests
        500: InternalError
    """
    return metadata(f"{name}@{version}")


@blueprint.post("/models/<name>/versions/<version>/predict")
def predict_by_version(name: str, version: str) -> ResponseReturnValue:
    """Call one version of a model.
    ---
    post:
      summary: Ask a version of a model
      description: As without a version.
      operationId: predictByVersion
      tags: [Models]
      parameters: [ModelName, ModelVersion]
      requestBody:
        required: true
        content: {application/json: {schema: {}}}
      responses:
        200:
          description: The answer, or the answers.
          headers:
            Server-Timing: PredictTime
            X-Model-Version: ModelVersion
            X-Model-Runtime: ModelRuntime
          content: {application/json: {schema: {}}}
        400: InvalidBody
        403: Forbidden
        404: ModelNotFound
        413: TooLarge
        415: UnsupportedMediaType
        422: InvalidInput
        429: TooManyRequests
        500: ModelFailed
        503: ModelUnavailable
        504: ModelTimeout
    """
    return predict(f"{name}@{version}")


@blueprint.post("/models/<name>/rows")
def rows(name: str) -> ResponseReturnValue:
    """Read a file as rows.
    ---
    post:
      summary: Read a CSV file or a workbook as rows
      description: >-
        Nothing is predicted: what comes back are the cells of the file's lines, typed by the
        model's input schema, to be sent to predict as rows of the known columns, without the cells
        that are blank. The first line names the columns; commas, semicolons or tabs are between
        them. A CSV file is in UTF-8, UTF-16 or Windows-1252. Of a workbook the first sheet is read.
      operationId: readRows
      tags: [Models]
      parameters:
        - ModelName
        - name: decimal
          in: query
          description: >-
            The decimal mark of the file. Without it, the columns of numbers show which it is.
          schema: {type: string, enum: [".", ","]}
      requestBody:
        required: true
        content:
          text/csv: {schema: {type: string}}
          application/vnd.openxmlformats-officedocument.spreadsheetml.sheet: {schema: {}}
      responses:
        200:
          description: The columns, and the lines with their cells.
          content: {application/json: {schema: SheetRows}}
        400: InvalidBody
        403: Forbidden
        404: ModelNotFound
        413: TooLarge
        415: UnsupportedMediaType
        422: InvalidInput
        429: TooManyRequests
        500: InternalError
    """
    model = ModelManager().opened(name)
    decimal = request.args.get("decimal", "")
    if decimal not in {"", POINT, COMMA}:
        raise InvalidInput(f"must be . or , and not {decimal!r:.20}", pointer="/decimal")
    content, charset = read_table()
    sheet = csv_file.open_sheet(content, model.input_schema or True, decimal, charset)
    most = current_app.config["MAX_ROWS"]
    lines = list(islice(sheet.lines(), most + 1))
    if len(lines) > most:
        raise TooManyRows(most, len(lines))
    return jsonify(SheetRows().dump(_sheet(sheet, lines)))


@blueprint.get("/models/<name>/rows")
def header(name: str) -> ResponseReturnValue:
    """Return the header line of a CSV file.
    ---
    get:
      summary: The header of a CSV file of rows
      description: The first line of such a file, to fill in.
      operationId: headerOfRows
      tags: [Models]
      parameters: [ModelName]
      responses:
        200:
          description: The names of the row's members; nothing, where the schema names none.
          content: {text/csv: {schema: {type: string}}}
        404: ModelNotFound
        429: TooManyRequests
        500: InternalError
    """
    model = ModelManager().opened(name)
    response = Response(csv_file.header(model.input_schema or True), mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename=f"{model.name}.csv")
    return response


@blueprint.get("/models/<name>/inspect")
def inspect(name: str) -> ResponseReturnValue:
    """Return the versions, parameters and metrics of a model.
    ---
    get:
      summary: Look into a model
      description: >-
        What it was made with and how: versions then and now, hyper-parameters, metrics, artifacts.
        Never the weights.
      operationId: inspectModel
      tags: [Models]
      parameters: [ModelName]
      responses:
        200:
          description: What there is to know.
          content: {application/json: {schema: ModelInspection}}
        404: ModelNotFound
        429: TooManyRequests
        500: InternalError
    """
    return jsonify(ModelInspection().dump(description(ModelManager().opened(name))))


@blueprint.route("/models/<name>/<marked:endpoint>", methods=["GET", "POST"])
def ask(name: str, endpoint: str) -> ResponseReturnValue:
    """Call an endpoint that a model's author exposes beside predict.

    Each endpoint has a path of its own in the document.
    """
    offered = ModelManager().opened(name).endpoints.get(endpoint)
    if offered and request.method not in offered.methods:
        raise MethodNotAllowed(list(offered.methods))
    if request.method == "POST":
        return _answer(name, endpoint, read_json())
    return _answer(name, endpoint, row_of(request.args, offered.input) if offered else {})


def description(model: HostedModel) -> dict[str, Any]:
    """Return all facts about a model, from which a schema selects."""
    return {
        **model.metadata,
        **_summary(model),
        "input_schema": model.input_schema,
        "output_schema": model.output_schema,
        "framework": model.framework,
        "loaded": model.status is Status.READY,
        "examples": model.examples,
        "endpoints": [each for each in model.endpoints.values() if each.name != PREDICT],
    }


def _sheet(sheet: csv_file.Sheet, lines: Sequence[csv_file.Line]) -> dict[str, Any]:
    return {
        "columns": sheet.names,
        "known": sheet.known,
        "unknown": sheet.unknown,
        "missing": sheet.missing,
        "decimal": sheet.decimal or None,
        "encoding": sheet.encoding or None,
        "sheet": sheet.title or None,
        "lines": lines,
    }


def _version(model: HostedModel) -> dict[str, Any]:
    spec = model.spec
    return {**_summary(model), "default": spec.default, "aliases": spec.aliases}


def _answer(name: str, endpoint: str, body: Any) -> ResponseReturnValue:
    body = _by_rows(name, endpoint, body)
    g.many_rows = isinstance(body, list)
    g.rows = len(body) if g.many_rows else 1
    fast_predict.raise_known(request.environ)
    said, headers = prediction.answer(current_app.extensions["predictor"], name, body, endpoint)
    return Response(said, content_type="application/json", headers=headers)


def _by_rows(name: str, endpoint: str, body: Any) -> Any:
    """Return the rows of a body in columns; any other body unchanged."""
    if not split_frames.is_likely(body):
        return body
    asked = ModelManager().opened(name).endpoints.get(endpoint)
    if asked is None or not split_frames.are_possible(asked.input_schema):
        return body
    rows = split_frames.rows_of(body, current_app.config["MAX_ROWS"])
    g.columns = body[split_frames.NAMES]
    return rows


def _summary(model: HostedModel) -> dict[str, Any]:
    return {
        "qualified_name": model.name,
        "display_name": model.display_name,
        "description": model.description,
        "version": model.version,
        "tags": model.tags,
        "status": model.status,
        "reason": model.reason,
    }

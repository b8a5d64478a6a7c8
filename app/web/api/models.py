"""The REST API: list, describe and call models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask import Blueprint, Flask, Response, g, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import BaseConverter

from app.serving.calls.methods import PREDICT
from app.serving.explaining.cautions import add_cautions, check_profile
from app.serving.explaining.explanation import EXPLAIN
from app.serving.models.hosted import HostedModel
from app.serving.tables import csv_file
from app.web.api import fast_predict, prediction
from app.web.api.bodies import envelopes, sheets
from app.web.api.bodies.request_body import is_table, read_json, to_row
from app.web.api.schemas import (
    ModelInspection,
    ModelList,
    ModelMetadata,
    ModelVersions,
    SheetRows,
)
from app.web.http import access
from app.web.http.extension import modelhost
from app.web.http.json_provider import dumps
from app.web.http.query import check_query, read_flag
from mlmodel.declarations.endpoints import RESERVED

blueprint = Blueprint("api", __name__, url_prefix="/api")


class EndpointConverter(BaseConverter):
    """Matches the name of an author's endpoint: any name except those of other routes."""

    regex = rf"(?!(?:{'|'.join(sorted(RESERVED))})$)[^/]+"


def init_app(app: Flask) -> None:
    """Register the routes of models."""
    app.url_map.converters["endpoint"] = EndpointConverter
    app.register_blueprint(blueprint)


@blueprint.get("/models")
def index() -> ResponseReturnValue:
    """List the models.
    ---
    get:
      summary: List the models
      operationId: listModels
      responses:
        200:
          description: All models, in the order of `models.yaml`.
          content: {application/json: {schema: ModelList}}
    """
    shown = access.visible(modelhost().manager.defaults())
    return jsonify(ModelList().dump({"models": map(_summary, shown)}))


@blueprint.get("/models/<name>/versions/<version>/metadata")
@blueprint.get("/models/<name>/metadata")
def metadata(name: str, version: str | None = None) -> ResponseReturnValue:
    """Describe a model, or a version of it.
    ---
    get:
      summary: Describe a model
      description: Loads the model if it is `lazy`.
      operationId: describeModel
      responses:
        200:
          description: The model, with the JSON Schemas of its rows and predictions.
          content: {application/json: {schema: ModelMetadata}}
    """
    hosted = modelhost().manager.get_described(prediction.to_public_name(name, version))
    response = jsonify(ModelMetadata().dump(describe(hosted)))
    response.headers.extend(prediction.get_model_headers(hosted))
    return response


@blueprint.get("/models/<name>/versions/<version>")
@blueprint.get("/models/<name>")
def model(name: str, version: str | None = None) -> ResponseReturnValue:
    """Describe a model, or a version of it, as :func:`metadata` does.
    ---
    get:
      summary: Get a model
      description: The same as `/api/models/{name}/metadata`. Loads the model if it is `lazy`.
      operationId: getModel
      responses:
        200:
          description: The model, with the JSON Schemas of its rows and predictions.
          content: {application/json: {schema: ModelMetadata}}
    """
    return metadata(name, version)


@blueprint.post("/models/<name>/versions/<version>/predict")
@blueprint.post("/models/<name>/predict")
def predict(name: str, version: str | None = None) -> ResponseReturnValue:
    """Predict with a model, or with a version of it.
    ---
    post:
      summary: Predict
      description: >-
        Send a row to get one prediction, without an envelope. Send an array of rows, or rows by
        columns as pandas' `to_json(orient="split")` writes them, to get an array of predictions in
        the same order, from one call of the model. With `partial=true`, a row that is rejected, or
        on which the model fails, does not fail the others. Bodies of MLflow (`dataframe_split`,
        `dataframe_records`, `inputs`), of TensorFlow Serving and KServe (`instances`), and objects
        with `data`, `X` or `features` are accepted too, unless the model has such a field. A CSV
        file or a workbook (`Content-Type: text/csv`) is read as by `/api/models/{name}/rows`. With
        `Accept: text/csv`, the response is CSV with a line for each prediction, and with
        `partial=true` a first column `problem`.
      operationId: predict
      parameters:
        - name: partial
          in: query
          description: >-
            Whether to return a `RowResult` for each row, with its prediction or its problem,
            instead of failing if one row fails.
          schema: {type: boolean, default: false}
        - name: caution
          in: query
          description: >-
            Whether to return a `RowResult` for each row, with its prediction and the cautions about
            the row: values outside the data that the model was trained on. In CSV, a column.
          schema: {type: boolean, default: false}
        - name: decimal
          in: query
          description: The decimal mark of a CSV file, if its numbers are ambiguous.
          schema: {type: string, enum: [".", ","]}
      requestBody:
        required: true
        content: {application/json: {schema: {}}}
      responses:
        200:
          description: The prediction, or an array of predictions.
          headers:
            Server-Timing: PredictTime
            X-Logged-Rows: LoggedRows
            X-Model-Version: ModelVersion
            X-Model-Runtime: ModelRuntime
            X-Model-SHA256: ModelSHA256
          content: {application/json: {schema: {anyOf: [{}, RowResult]}}}
        400: InvalidQuery
        403: Forbidden
        422: InvalidInput
        500: ModelFailed
        502: RemoteFailed
        503: ModelUnavailable
        504: ModelTimeout
        508: RemoteLoop
    """
    public_name = prediction.to_public_name(name, version)
    modelhost().manager.get(public_name)
    is_file = is_table()
    check_query("partial", "caution", *["decimal"] * is_file)
    is_partial, is_cautious = read_flag("partial"), read_flag("caution")
    if is_file:
        described = modelhost().manager.get_described(public_name)
        rows = sheets.read_rows(described, is_partial=is_partial)
    else:
        rows = _read_rows(public_name, PREDICT)
    if is_partial or is_cautious:
        return _predict_results(public_name, rows, is_partial=is_partial, is_cautious=is_cautious)
    return _predict(public_name, PREDICT, rows)


@blueprint.get("/models/<name>/versions")
def versions(name: str) -> ResponseReturnValue:
    """List a model's versions.
    ---
    get:
      summary: List a model's versions
      operationId: listVersions
      responses:
        200:
          description: All versions, in the order of `models.yaml`.
          content: {application/json: {schema: ModelVersions}}
    """
    models = modelhost().manager.versions(name)
    return jsonify(ModelVersions().dump({"versions": map(_version, models)}))


@blueprint.post("/models/<name>/rows")
def rows(name: str) -> ResponseReturnValue:
    """Convert a file to rows.
    ---
    post:
      summary: Convert a CSV file or a workbook to rows
      description: >-
        Returns the cells of each line, converted to the types of the model's input schema, without
        predicting. To predict, send the cells of the known columns as rows, without blank cells.
        The first line names the columns. A CSV file has commas, semicolons or tabs between its
        cells, and is in UTF-8, UTF-16 or Windows-1252. The first sheet of a workbook is read. The
        content decides which kind a file is; its own media type, such as `text/csv`, is accepted
        as well as `application/octet-stream`.
      operationId: readRows
      parameters:
        - name: decimal
          in: query
          description: The decimal mark of the file. By default, it is inferred from the numbers.
          schema: {type: string, enum: [".", ","]}
      requestBody:
        required: true
        content:
          application/octet-stream: {schema: {type: string, format: binary}}
      responses:
        200:
          description: The columns, and the lines with their cells.
          content: {application/json: {schema: SheetRows}}
        403: Forbidden
        422: InvalidInput
    """
    model = modelhost().manager.get_described(name)
    check_query("decimal")
    return jsonify(SheetRows().dump(_sheet(*sheets.read_sheet(model))))


@blueprint.get("/models/<name>/rows")
def rows_header(name: str) -> ResponseReturnValue:
    """Return the header line of a CSV file.
    ---
    get:
      summary: Download an empty CSV file for rows
      description: The file contains only the header line.
      operationId: headerOfRows
      responses:
        200:
          description: The names of the row's members; empty if the schema has none.
          content: {text/csv: {schema: {type: string}}}
    """
    model = modelhost().manager.get_described(name)
    response = Response(csv_file.header_line(model.input_schema or True), mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename=f"{model.name}.csv")
    return response


@blueprint.get("/models/<name>/inspect")
def inspect(name: str) -> ResponseReturnValue:
    """Return the versions, parameters and metrics of a model.
    ---
    get:
      summary: Inspect a model
      description: >-
        How the model was built: versions at packaging and now, hyper-parameters, metrics and
        artifacts, without the weights.
      operationId: inspectModel
      responses:
        200:
          description: How the model was built.
          content: {application/json: {schema: ModelInspection}}
    """
    return jsonify(ModelInspection().dump(describe(modelhost().manager.get_described(name))))


@blueprint.route("/models/<name>/<endpoint:endpoint_name>", methods=["GET", "POST"])
def call_endpoint(name: str, endpoint_name: str) -> ResponseReturnValue:
    """Call an endpoint that a model's author exposes in addition to predict.

    The OpenAPI document has a path for each of these endpoints.
    """
    hosted = modelhost().manager.get_described(name).endpoints.get(endpoint_name)
    if hosted and request.method not in hosted.methods:
        raise MethodNotAllowed(list(hosted.methods))
    if hosted is None and endpoint_name == EXPLAIN:  # its POST is a route of its own
        raise MethodNotAllowed(["POST"])
    if request.method == "POST":
        check_query()
        return _predict(name, endpoint_name, _read_rows(name, endpoint_name))
    row = to_row(request.args, hosted.input) if hosted else {}
    return _predict(name, endpoint_name, envelopes.plain_rows(row))


def describe(model: HostedModel) -> dict[str, Any]:
    """Return all facts about a model; each marshmallow schema dumps some of them."""
    return {
        **model.about.metadata,
        **_summary(model),
        "input_schema": model.input_schema,
        "output_schema": model.output_schema,
        "framework": model.about.framework,
        "loaded": model.is_ready,
        "examples": model.about.examples,
        "example_names": model.about.example_names,
        "notes": [*filter(None, [model.about.failing_example]), *model.notes],
        "endpoints": [each for each in model.endpoints.values() if each.name != PREDICT],
    }


def _sheet(sheet: csv_file.CsvFile, lines: Sequence[csv_file.Line]) -> dict[str, Any]:
    return {
        "columns": sheet.columns.names,
        "known": sheet.columns.known,
        "unknown": sheet.columns.unknown,
        "missing": sheet.columns.missing,
        "decimal": sheet.decimal or None,
        "encoding": sheet.dialect.encoding if sheet.dialect else None,
        "sheet": sheet.title or None,
        "lines": lines,
    }


def _version(model: HostedModel) -> dict[str, Any]:
    spec = model.spec
    return {**_summary(model), "default": spec.default, "aliases": spec.aliases}


def _predict(name: str, endpoint: str, rows: envelopes.Rows) -> ResponseReturnValue:
    g.rows = rows.size
    predictor = modelhost().predictor
    fast_predict.raise_recorded(request.environ)
    if sheets.is_csv_accepted():
        _, predictions, headers = prediction.call_rows(predictor, name, rows, endpoint)
        return Response(sheets.to_csv(predictions), mimetype=sheets.CSV, headers=headers)
    content, headers = prediction.predict(predictor, name, rows, endpoint)
    return Response(content, content_type="application/json", headers=headers)


def _predict_results(
    name: str, rows: envelopes.Rows, *, is_partial: bool, is_cautious: bool
) -> ResponseReturnValue:
    g.rows = rows.size
    predictor = modelhost().predictor
    values = rows.value if isinstance(rows.value, list) else [rows.value]
    if is_cautious:
        check_profile(modelhost().manager.get_described(name))
    if is_partial:
        model, results, headers = prediction.predict_each(predictor, name, rows)
    else:
        model, predictions, headers = prediction.call_rows(predictor, name, rows, PREDICT)
        results = [{"prediction": each} for each in predictions]
    if sheets.is_csv_accepted():
        lines = _to_lines(model, values, results, is_partial=is_partial, is_cautious=is_cautious)
        return Response(sheets.to_csv(lines), mimetype=sheets.CSV, headers=headers)
    if is_cautious:
        results = prediction.with_cautions(model, values, results)
    content = dumps(results if isinstance(rows.value, list) else results[0])
    return Response(content, content_type="application/json", headers=headers)


def _to_lines(
    model: HostedModel,
    rows: Sequence[Any],
    results: Sequence[Mapping[str, Any]],
    *,
    is_partial: bool,
    is_cautious: bool,
) -> Iterator[Any]:
    """Yield the columns of CSV for each row: its prediction, cautions and problem."""
    pairs = [each for each in zip(rows, results, strict=True) if "prediction" in each[1]]
    predictions = [result["prediction"] for _, result in pairs]
    if is_cautious:
        predictions = add_cautions(model, [row for row, _ in pairs], predictions)
    found = iter(predictions)
    for result in results:
        problem = result.get("problem")
        line = next(found) if problem is None else {}
        yield sheets.with_problem(line, problem) if is_partial else line


def _read_rows(name: str, endpoint: str) -> envelopes.Rows:
    return prediction.to_rows(modelhost().predictor, name, read_json(), endpoint)


def _summary(model: HostedModel) -> dict[str, Any]:
    return {
        "qualified_name": model.name,
        "display_name": model.display_name,
        "description": model.description,
        "version": model.version,
        "tags": model.spec.tags,
        "status": model.status,
        "reason": model.reason,
    }

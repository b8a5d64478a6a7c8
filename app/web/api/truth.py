"""The truth of logged predictions: clients send it, and read metrics of past predictions."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from app.serving.calls.caller import CALLER
from app.serving.errors import TooManyRows
from app.serving.models.hosted import HostedModel
from app.serving.prediction_log.truth_files import MAX_VIOLATIONS, read_truths
from app.serving.prediction_log.truths import INDEX, Truth, parse_time, store_truths
from app.web.api.bodies.request_body import is_table, read_json, read_table
from app.web.api.schemas import StoredTruths, TruthMetrics
from app.web.http import access
from app.web.http.extension import modelhost
from app.web.http.query import check_query, read_choice
from mlmodel.errors import InvalidInput, TooLarge
from mlmodel.schema.texts.numerals import COMMA, POINT
from mlmodel.schema.validator import Schema

blueprint = Blueprint("truth", __name__, url_prefix="/api")

#: The schema of a JSON body.
BODY = Schema(
    {
        "type": "object",
        "properties": {
            "request_id": {"type": "string", "minLength": 1},
            "row": INDEX,
            "line": INDEX | {"minimum": 1},
            "time": {"type": "string"},
            "truth": {},
        },
        "required": ["request_id", "truth"],
        "additionalProperties": False,
    }
)


@blueprint.post("/models/<name>/truth")
def give(name: str) -> ResponseReturnValue:
    """Store the truth of logged predictions.
    ---
    post:
      summary: Report the actual outcome of a prediction
      description: >-
        Send the request id of a logged prediction and the true value, an object with the true
        values of some outputs, or null to remove an earlier truth. `row` is the index of the row in
        the request, by default 0. For a job, whose id is the request id, send the `line` in its
        result instead. An array without `row` has a truth or null for each row of the request. If
        predictions of different users or inputs have the request id, the truth is for that of
        `time`, else for that of the key of this request. The body may also be an array of such
        objects, each with one truth. A CSV file or a workbook (`Content-Type: text/csv`) has the
        columns `request_id`, `row` (or `index` or `line`), `truth` and, if needed, `time`; rows
        without a truth are skipped. Only the user who gave a truth, or a key with the scope
        `admin`, can replace or remove it.
      operationId: giveTruth
      parameters:
        - name: decimal
          in: query
          description: The decimal mark of a CSV file, if its numbers are ambiguous.
          schema: {type: string, enum: [".", ","]}
      requestBody:
        required: true
        content:
          application/json:
            schema:
              oneOf: [GivenTruth, {type: array, items: GivenTruth}]
      responses:
        200:
          description: How many truths were stored.
          content: {application/json: {schema: StoredTruths}}
        403: Forbidden
        404: PredictionNotLogged
        409: TruthConflict
        422: InvalidInput
        503: LogUnavailable
    """
    model = modelhost().manager.get(name)
    are_texts = is_table()
    check_query(*["decimal"] * are_texts)
    truths, are_all = (_read_table(model), False) if are_texts else _read_body()
    max_rows = current_app.config["MAX_ROWS"]
    if len(truths) > max_rows:
        raise TooManyRows(max_rows, len(truths))
    caller = CALLER.get()
    stored = store_truths(
        modelhost().predictor.prediction_log,
        model.name,
        model.spec.log,
        truths,
        model.output_schema,
        unique_name=model.unique_name,
        who=caller.who if caller else None,
        are_texts=are_texts,
        are_all=are_all,
        may_replace=access.has_scope(access.Scope.ADMIN),
    )
    return jsonify(StoredTruths().dump({"stored": stored, "not_logged": len(truths) - stored}))


@blueprint.get("/models/<name>/truth")
def metrics(name: str) -> ResponseReturnValue:
    """Return the metrics of predictions whose truth is known.
    ---
    get:
      summary: Get metrics of predictions whose truth is known
      description: >-
        Of the last 26 weeks, for each week (from Monday, in UTC) in which a prediction was made,
        and for all of them together. A metric that is not defined for these rows is left out.
      operationId: getTruthMetrics
      responses:
        200:
          description: The metrics, and those that the model's file has from its training.
          content: {application/json: {schema: TruthMetrics}}
        400: InvalidBody
        503: LogUnavailable
    """
    check_query()
    model = modelhost().manager.get_described(name)
    total, weeks = modelhost().health.get_truth(model)
    facts = {"file": model.about.metadata.get("metrics") or {}, "total": asdict(total)}
    return jsonify(TruthMetrics().dump({**facts, "weeks": [asdict(each) for each in weeks]}))


def _read_body() -> tuple[list[Truth], bool]:
    """Return the truths, and whether they are those of all rows of the request."""
    body: Any = read_json()
    bodies = body if isinstance(body, list) else [body]
    places = [f"/{at}" for at in range(len(bodies))] if isinstance(body, list) else [""]
    violations = [
        replace(each, pointer=f"{place}{each.pointer}")
        for place, one in zip(places, bodies, strict=True)
        for each in BODY.violations(one)
    ]
    if violations:
        raise InvalidInput("the body is not a truth", violations=violations[:MAX_VIOLATIONS])
    times = [_get_time(one, place) for place, one in zip(places, bodies, strict=True)]
    if bodies is not body and not {"row", "line"} & set(body) and isinstance(body["truth"], list):
        each_row = [
            Truth(body["request_id"], at, each, f"/truth/{at}", time=times[0])
            for at, each in enumerate(body["truth"])
        ]
        return each_row, True
    truths: dict[tuple[str, int, str | None], Truth] = {}
    for place, one, time in zip(places, bodies, times, strict=True):
        key = one["request_id"], _get_index(one, place), time
        if key in truths:
            first = truths[key].pointer.removesuffix("/truth")
            raise InvalidInput(f"has the same row as {first}", pointer=place)
        request_id, row, _ = key
        truths[key] = Truth(request_id, row, one["truth"], f"{place}/truth", time=time)
    return list(truths.values()), False


def _get_index(body: dict[str, Any], place: str) -> int:
    if "row" in body and "line" in body:
        raise InvalidInput("must have only one of 'row' and 'line'", pointer=place)
    index: int = body.get("line", body.get("row", 0))
    return index


def _get_time(body: dict[str, Any], place: str) -> str | None:
    try:
        return parse_time(body.get("time"))
    except ValueError as error:
        raise InvalidInput(str(error), pointer=f"{place}/time") from error


def _read_table(model: HostedModel) -> list[Truth]:
    decimal = read_choice("decimal", ("", POINT, COMMA))
    content, charset = read_table()
    limit, max_rows = current_app.config["MAX_BODY_BYTES"], current_app.config["MAX_ROWS"]
    try:
        return read_truths(
            content,
            max_rows,
            model.output_schema,
            decimal=decimal,
            charset=charset,
            max_bytes=limit,
        )
    except TooLarge as error:
        raise RequestEntityTooLarge(f"the file expands to more than {limit:,} bytes") from error

"""The REST API of explanations: why the prediction for a row is what it is."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, g, jsonify, request
from flask.typing import ResponseReturnValue

from app.serving.calls.methods import PREDICT
from app.serving.explaining.explanation import EXPLAIN, Explanation, OwnExplanation, explain
from app.web.api import models, prediction
from app.web.api.bodies.request_body import read_json
from app.web.api.schemas import Explanation as ExplanationBody
from app.web.http.extension import modelhost
from app.web.http.query import check_query
from mlmodel.errors import InvalidInput

blueprint = Blueprint("explanations", __name__, url_prefix="/api")


@blueprint.post("/models/<name>/versions/<version>/explain")
@blueprint.post("/models/<name>/explain")
def explain_prediction(name: str, version: str | None = None) -> ResponseReturnValue:
    """Explain the prediction for a row.
    ---
    post:
      summary: Explain a prediction
      description: >-
        Predicts one row, and returns what each field adds to the prediction, compared with typical
        rows from the reference profile of the model (interventional Shapley values). For a model of
        texts, words are left out instead. Nothing is logged as a prediction. If the author of the
        model exposes an endpoint `explain`, that endpoint is called.
      operationId: explain
      parameters:
        - name: class
          in: query
          description: The class whose probability is explained. By default, the predicted one.
          schema: {type: string}
        - name: output
          in: query
          description: >-
            The value of the prediction to explain, by its JSON Pointer, such as
            `/prediction/width`, or its name in the prediction. By default, the main one.
          schema: {type: string}
      requestBody:
        required: true
        content: {application/json: {schema: {}}}
      responses:
        200:
          description: The explanation.
          headers:
            X-Model-Version: ModelVersion
            X-Model-Runtime: ModelRuntime
            X-Model-SHA256: ModelSHA256
          content: {application/json: {schema: Explanation}}
        422: CannotExplain
        500: ModelFailed
        502: RemoteFailed
        503: ModelUnavailable
        504: ModelTimeout
        508: RemoteLoop
    """
    public_name = prediction.to_public_name(name, version)
    predictor = modelhost().predictor
    hosted = predictor.manager.get_described(public_name)
    if EXPLAIN in hosted.endpoints:
        return models.call_endpoint(public_name, EXPLAIN)
    check_query("class", "output")
    rows = prediction.to_rows(predictor, public_name, read_json(), PREDICT)
    g.rows = rows.size
    if isinstance(rows.value, list) and rows.size != 1:
        raise InvalidInput(f"expected one row, got {rows.size}")
    row = rows.value[0] if isinstance(rows.value, list) else rows.value
    try:
        chosen = (request.args.get(each, "") for each in ("class", "output"))
        found = explain(predictor, public_name, row, *chosen)
    except InvalidInput as error:
        raise rows.point_into_body(error) from error
    response = jsonify(to_body(found))
    response.headers.extend(prediction.get_model_headers(hosted))
    return response


def to_body(explanation: Explanation | OwnExplanation) -> Any:
    """Return an explanation as JSON."""
    if isinstance(explanation, OwnExplanation):
        return explanation.value
    number = explanation.number
    explained = {"explains": number.kind, "class": number.class_name, "output": number.output}
    return ExplanationBody().dump({**vars(explanation), **explained})

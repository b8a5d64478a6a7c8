"""The Open Inference Protocol: describe models, and predict with them."""

from __future__ import annotations

from flask import Blueprint, Response, g, jsonify, request
from flask.typing import ResponseReturnValue

from app.serving.tensors.inputs import describe_inputs
from app.serving.tensors.outputs import describe_outputs
from app.web.api import fast_predict, prediction
from app.web.api.operations import find_missing, is_available
from app.web.api.v2 import tensor_prediction
from app.web.api.v2.v2_schemas import (
    InferenceHealth,
    InferenceModel,
    InferenceReadiness,
    InferenceServer,
)
from app.web.http import access
from app.web.http.extension import VERSION, modelhost

blueprint = Blueprint("inference", __name__, url_prefix="/v2")

#: Extensions of the protocol that the server supports, by the names that Triton gives them.
EXTENSIONS = ["binary_tensor_data", "model_repository"]


@blueprint.get("")
@access.needs(None)
def server() -> ResponseReturnValue:
    """Describe the server.
    ---
    get:
      summary: Describe the inference server
      operationId: describeInferenceServer
      responses:
        200:
          description: The server and its extensions.
          content: {application/json: {schema: InferenceServer}}
    """
    about = {"name": "modelhost", "version": VERSION, "extensions": EXTENSIONS}
    return jsonify(InferenceServer().dump(about))


@blueprint.get("/health/live")
@access.needs(None)
def live() -> ResponseReturnValue:
    """Return that the process is alive.
    ---
    get:
      summary: Check that the inference server is alive
      operationId: isInferenceServerLive
      responses:
        200:
          description: The process is alive.
          content: {application/json: {schema: InferenceHealth}}
    """
    return jsonify(InferenceHealth().dump({"live": True}))


@blueprint.get("/health/ready")
@access.needs(None)
def ready() -> ResponseReturnValue:
    """Return whether the models that `READY_WHEN` specifies are available.
    ---
    get:
      summary: Check that the inference server is ready
      description: Equals `/readyz`, without the states of models.
      operationId: isInferenceServerReady
      responses:
        200:
          description: The required models are available.
          content: {application/json: {schema: InferenceHealth}}
        503:
          description: A required model is not available.
          content: {application/json: {schema: InferenceHealth}}
    """
    if not find_missing():
        return jsonify(InferenceHealth().dump({"ready": True}))
    return {"ready": False, "error": "a model that READY_WHEN requires is not available"}, 503


@blueprint.get("/models/<name>/versions/<version>")
@blueprint.get("/models/<name>")
def describe(name: str, version: str | None = None) -> ResponseReturnValue:
    """Describe the tensors of a model, or of a version of it.
    ---
    get:
      summary: Describe the tensors of a model
      description: Loads the model if its schemas cannot be read before.
      operationId: describeTensors
      responses:
        200:
          description: The model, with its inputs and outputs.
          content: {application/json: {schema: InferenceModel}}
        503: InferenceError
    """
    model = modelhost().manager.get_described(prediction.to_public_name(name, version))
    if not is_available(model):
        raise model.build_error()
    versions = [each.version for each in modelhost().manager.versions(model.name)]
    about = {
        "name": model.name,
        "versions": [each for each in versions if each],
        "platform": model.about.framework or "python",
        "inputs": describe_inputs(model.input_schema),
        "outputs": describe_outputs(model.output_schema),
    }
    return jsonify(InferenceModel().dump(about))


@blueprint.get("/models/<name>/versions/<version>/ready")
@blueprint.get("/models/<name>/ready")
def model_ready(name: str, version: str | None = None) -> ResponseReturnValue:
    """Return whether a model, or a version of it, is available.
    ---
    get:
      summary: Check that a model is available
      description: A `lazy` model is available; the first prediction loads it.
      operationId: isModelReady
      responses:
        200:
          description: The model is available.
          content: {application/json: {schema: InferenceReadiness}}
        503: InferenceError
    """
    model = modelhost().manager.get(prediction.to_public_name(name, version))
    if not is_available(model):
        raise model.build_error()
    return jsonify(InferenceReadiness().dump({"name": model.name, "ready": True}))


@blueprint.post("/models/<name>/versions/<version>/infer")
@blueprint.post("/models/<name>/infer")
def infer(name: str, version: str | None = None) -> ResponseReturnValue:
    """Predict rows that are sent as tensors.
    ---
    post:
      summary: Predict with tensors
      description: >-
        Send a matrix of the shape `[n, k]` with a column for each member of the row, or an input
        for each member. The data of a tensor may follow the JSON in bytes; then
        `Inference-Header-Content-Length` is the length of the JSON.
      operationId: infer
      requestBody:
        required: true
        content:
          application/json: {schema: InferenceRequestBody}
          application/octet-stream: {schema: {}}
      responses:
        200:
          description: The predictions.
          headers:
            Server-Timing: PredictTime
            X-Logged-Rows: LoggedRows
            X-Model-Version: ModelVersion
            X-Model-Runtime: ModelRuntime
            X-Model-SHA256: ModelSHA256
          content:
            application/json: {schema: InferenceResponseBody}
            application/octet-stream: {schema: {}}
        403: InferenceError
        422: InferenceError
        502: InferenceError
        503: InferenceError
        504: InferenceError
        508: InferenceError
    """
    public_name = prediction.to_public_name(name, version)
    predictor = modelhost().predictor
    predictor.manager.get(public_name)
    inference = tensor_prediction.read_request()
    rows = tensor_prediction.to_rows(predictor, public_name, inference)
    g.rows = len(rows)
    fast_predict.raise_recorded(request.environ)
    content, headers = tensor_prediction.infer(predictor, public_name, rows, inference)
    return Response(content, headers=headers)

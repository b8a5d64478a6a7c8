"""The model repository extension: list, load and unload models.

Source: Triton, "Model Repository Extension".
"""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from app.serving.errors import ModelUnavailable
from app.serving.models.hosted import HostedModel
from app.serving.models.state import Status
from app.serving.tensors.tensor import get_parameters
from app.web.api.operations import is_available
from app.web.api.v2.tensor_prediction import read_object
from app.web.api.v2.v2_schemas import RepositoryModel
from app.web.http import access
from app.web.http.extension import modelhost

blueprint = Blueprint("repository", __name__, url_prefix="/v2/repository")


@blueprint.post("/index")
def index() -> ResponseReturnValue:
    """List all versions of all models.
    ---
    post:
      summary: List the models and their states
      operationId: listRepository
      requestBody:
        content: {application/json: {schema: RepositoryFilter}}
      responses:
        200:
          description: All versions of all models, in the order of `models.yaml`.
          content:
            application/json: {schema: {type: array, items: RepositoryModel}}
        403: InferenceError
    """
    only_ready = read_object().get("ready", False)
    if not isinstance(only_ready, bool):
        raise BadRequest("ready must be true or false")
    models = access.visible(modelhost().manager.models())
    shown = [_describe(model) for model in models if is_available(model) or not only_ready]
    return jsonify(RepositoryModel(many=True).dump(shown))


@blueprint.post("/models/<name>/load")
@access.needs(access.Scope.ADMIN)
def load(name: str) -> ResponseReturnValue:
    """Load all versions of a model, or reload them.
    ---
    post:
      summary: Load or reload a model
      description: >-
        Loads all versions of the model in all processes of the server, or the one that the name
        includes, as in `iris@2`. A loaded version is replaced once the new one has predicted its
        example.
      operationId: loadFromRepository
      responses:
        200:
          description: The model is loaded.
          content: {application/json: {schema: {type: object}}}
        400: InferenceError
        403: InferenceError
        409: InferenceError
        413: InferenceError
        415: InferenceError
        503: InferenceError
    """
    parameters = get_parameters(read_object())
    if parameters:
        names = ", ".join(sorted(parameters))
        raise BadRequest(
            f"models.yaml configures the models; parameters are not supported: {names}"
        )
    for model in _find(name):
        _load(model)
    return jsonify({})


@blueprint.post("/models/<name>/unload")
@access.needs(access.Scope.ADMIN)
def unload(name: str) -> ResponseReturnValue:
    """Unload all versions of a model.
    ---
    post:
      summary: Unload a model
      description: >-
        Unloads all versions of the model in all processes of the server, or the one that the name
        includes, as in `iris@2`. Calls in progress are completed.
      operationId: unloadFromRepository
      responses:
        200:
          description: The model is unloaded.
          content: {application/json: {schema: {type: object}}}
        403: InferenceError
        503: InferenceError
    """
    for model in _find(name):
        if not modelhost().reloader.unload(model.unique_name).is_done:
            raise ModelUnavailable(model.name, "still unloading", None)
    return jsonify({})


def _find(name: str) -> list[HostedModel]:
    manager = modelhost().manager
    return [manager.get(name)] if "@" in name else manager.versions(name)


def _load(model: HostedModel) -> None:
    """Load a model; if it is loaded, replace it.

    :raises ModelUnavailable: if that fails, or takes longer than a call.
    """
    is_loaded = model.is_ready
    reloader = modelhost().reloader
    result = (reloader.reload_model if is_loaded else reloader.load)(model.unique_name)
    reason = result.changes.failed.get(model.unique_name)
    if reason is not None:
        raise ModelUnavailable(
            model.name, "not reloaded; the loaded model continues to serve", reason
        )
    if not result.is_done:
        raise ModelUnavailable(model.name, "still loading", None)


def _describe(model: HostedModel) -> dict[str, str]:
    state = "LOADING" if model.status is Status.LOADING else "UNAVAILABLE"
    about = {"name": model.name, "state": "READY" if is_available(model) else state}
    version = {"version": model.version} if model.version else {}
    return {**about, **version, "reason": model.reason or ""}

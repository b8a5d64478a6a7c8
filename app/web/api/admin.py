"""Administration routes: load, unload and reload models in all processes of the server."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from app.serving.reload.reloader import ReloadResult
from app.web.api.models import describe
from app.web.api.schemas import ModelMetadata, Reloaded
from app.web.http import access
from app.web.http.extension import modelhost

blueprint = Blueprint("admin", __name__, url_prefix="/api")


@blueprint.post("/models/<name>/load")
@access.needs(access.Scope.ADMIN)
def load(name: str) -> ResponseReturnValue:
    """Load a model.
    ---
    post:
      summary: Load a model
      description: >-
        Loads a failed or unloaded model in all processes of the server. Has no effect on a loaded
        one.
      operationId: loadModel
      responses:
        200:
          description: The loaded model.
          content: {application/json: {schema: ModelMetadata}}
        202:
          description: The model is still loading, or waits for another change.
          content: {application/json: {schema: ModelMetadata}}
        403: Forbidden
        503: ModelUnavailable
    """
    return _model_response(name, modelhost().reloader.load(name))


@blueprint.post("/models/<name>/unload")
@access.needs(access.Scope.ADMIN)
def unload(name: str) -> ResponseReturnValue:
    """Unload a model.
    ---
    post:
      summary: Unload a model
      description: >-
        Unloads the model in all processes of the server. Calls in progress are completed; later
        ones are rejected until the model is loaded again. The next call of a model with
        `load: lazy` loads it again.
      operationId: unloadModel
      responses:
        200:
          description: The unloaded model.
          content: {application/json: {schema: ModelMetadata}}
        202:
          description: Calls of the model are still in progress, or it waits for another change.
          content: {application/json: {schema: ModelMetadata}}
        403: Forbidden
        503: ModelUnavailable
    """
    return _model_response(name, modelhost().reloader.unload(name))


@blueprint.post("/models/<name>/reload")
@access.needs(access.Scope.ADMIN)
def reload_model(name: str) -> ResponseReturnValue:
    """Reload a model.
    ---
    post:
      summary: Reload a model
      description: >-
        Loads the model again in all processes of the server, even if nothing has changed. The
        loaded model serves until the new one has predicted its example, and continues to serve if
        that fails.
      operationId: reloadModel
      responses:
        200:
          description: The result of the reload.
          content: {application/json: {schema: Reloaded}}
        202:
          description: The reload is still in progress.
          content: {application/json: {schema: Reloaded}}
        403: Forbidden
        409: InvalidCatalog
    """
    return _reload_response(modelhost().reloader.reload_model(name))


@blueprint.post("/models/reload")
@access.needs(access.Scope.ADMIN)
def reload() -> ResponseReturnValue:
    """Reload models.yaml.
    ---
    post:
      summary: Reload models.yaml
      description: >-
        Loads new and changed models in all processes of the server. A loaded model serves until
        the new one has predicted its example, and continues to serve if that fails. If the file
        has mistakes, nothing changes.
      operationId: reload
      responses:
        200:
          description: The result of the reload.
          content: {application/json: {schema: Reloaded}}
        202:
          description: The reload is still in progress.
          content: {application/json: {schema: Reloaded}}
        403: Forbidden
        409: InvalidCatalog
    """
    return _reload_response(modelhost().reloader.reload())


def _model_response(name: str, followed: ReloadResult) -> ResponseReturnValue:
    about = {**describe(modelhost().manager.get(name)), "processes": _count_processes(followed)}
    return jsonify(ModelMetadata().dump(about)), _status(followed)


def _reload_response(followed: ReloadResult) -> ResponseReturnValue:
    about = {
        **asdict(followed.changes),
        "done": followed.is_done,
        "generation": followed.generation,
        "processes": _count_processes(followed),
    }
    return jsonify(Reloaded().dump(about)), _status(followed)


def _status(followed: ReloadResult) -> int:
    return 200 if followed.is_done else 202


def _count_processes(followed: ReloadResult) -> dict[str, int]:
    return {"following": followed.following, "all": followed.processes}

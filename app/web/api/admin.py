"""Administration routes: load, unload and reload models in all processes of the server.

The part of a view's docstring below ``---`` is its operation in the OpenAPI document.
"""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Flask, current_app, jsonify
from flask.typing import ResponseReturnValue

from app.serving.models.manager import ModelManager
from app.serving.reload.reloader import Followed, Generations
from app.web.api.models import description
from app.web.api.schemas import ModelMetadata, Reloaded
from app.web.http import access

blueprint = Blueprint("changes", __name__, url_prefix="/api")


def init_app(app: Flask) -> None:
    """Register the administration routes."""
    app.register_blueprint(blueprint)


@blueprint.post("/models/<name>/load")
@access.needs(access.Scope.ADMIN)
def load(name: str) -> ResponseReturnValue:
    """Load a model.
    ---
    post:
      summary: Load a model
      description: >-
        Nothing changes if it is loaded. A failed or unloaded model is tried again. All processes
        of the server do so.
      operationId: loadModel
      tags: [Operations]
      parameters: [ModelName]
      responses:
        200:
          description: The loaded model.
          content: {application/json: {schema: ModelMetadata}}
        403: Forbidden
        404: ModelNotFound
        429: TooManyRequests
        500: InternalError
        503: ModelUnavailable
    """
    return _changed(name, _generations().load(name))


@blueprint.post("/models/<name>/unload")
@access.needs(access.Scope.ADMIN)
def unload(name: str) -> ResponseReturnValue:
    """Unload a model.
    ---
    post:
      summary: Unload a model
      description: >-
        Calls that run are finished, new ones are refused until the model is loaded again. All
        processes of the server do so.
      operationId: unloadModel
      tags: [Operations]
      parameters: [ModelName]
      responses:
        200:
          description: The unloaded model.
          content: {application/json: {schema: ModelMetadata}}
        403: Forbidden
        404: ModelNotFound
        429: TooManyRequests
        500: InternalError
    """
    return _changed(name, _generations().unload(name))


@blueprint.post("/models/<name>/reload")
@access.needs(access.Scope.ADMIN)
def reload_model(name: str) -> ResponseReturnValue:
    """Reload a model.
    ---
    post:
      summary: Make a model again
      description: >-
        It is loaded and tried beside the old one, which answers until the new one takes its place,
        and goes on if that cannot. All processes of the server do so.
      operationId: reloadModel
      tags: [Operations]
      parameters: [ModelName]
      responses:
        200:
          description: What became of it.
          content: {application/json: {schema: Reloaded}}
        202:
          description: It takes long, and goes on.
          content: {application/json: {schema: Reloaded}}
        403: Forbidden
        404: ModelNotFound
        409: InvalidCatalog
        429: TooManyRequests
        500: InternalError
    """
    return _reloaded(_generations().reload_model(name))


@blueprint.post("/models/reload")
@access.needs(access.Scope.ADMIN)
def reload() -> ResponseReturnValue:
    """Reload models.yaml.
    ---
    post:
      summary: Read `models.yaml` again
      description: >-
        What is new or has changed is loaded and tried beside what was, which answers until then.
        If the file has mistakes, nothing changes. All processes of the server do so.
      operationId: reload
      tags: [Operations]
      responses:
        200:
          description: What became of the models.
          content: {application/json: {schema: Reloaded}}
        202:
          description: It takes long, and goes on.
          content: {application/json: {schema: Reloaded}}
        403: Forbidden
        409: InvalidCatalog
        429: TooManyRequests
        500: InternalError
    """
    return _reloaded(_generations().reload())


def _generations() -> Generations:
    generations: Generations = current_app.extensions["generations"]
    return generations


def _changed(name: str, followed: Followed) -> ResponseReturnValue:
    about = {**description(ModelManager().get(name)), "processes": _processes(followed)}
    return jsonify(ModelMetadata().dump(about))


def _reloaded(followed: Followed) -> ResponseReturnValue:
    about = {
        **asdict(followed.changes),
        "done": followed.is_done,
        "generation": followed.generation,
        "processes": _processes(followed),
    }
    return jsonify(Reloaded().dump(about)), 200 if followed.is_done else 202


def _processes(followed: Followed) -> dict[str, int]:
    return {"following": followed.following, "all": followed.processes}

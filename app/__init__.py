"""Modelhost: many machine-learning models behind one Flask application."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from flask import Flask
from flask_bootstrap import Bootstrap5

import config
from app import cli
from app.cli.hosting import Hosting
from app.serving import board
from app.serving.board import Board
from app.serving.generations import Generations, Source
from app.serving.lane import Limits
from app.serving.manager import ModelManager
from app.serving.predictor import Predictor
from app.web import access, api, artifacts, door, guard, looks, operations, pages, problems, writing
from app.web.forms import MAX_POSTED

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def create_app(
    environ: Mapping[str, str], *, with_models: bool = True, before_fork: bool = False
) -> Flask:
    """Return the application, its models loaded.

    :param environ: settings, as :mod:`config` reads them, and what ``${NAME}`` in
        ``models.yaml`` stands for.
    :param with_models: false for its commands alone, which open the models that they need.
    :param before_fork: leave the models that a fork would break to each forked process.
    :raises InvalidSetting: if a setting is unknown or has a wrong value.
    :raises InvalidCatalog: if ``models.yaml`` has mistakes.
    """
    app = Flask(
        "modelhost",
        root_path=str(config.ROOT),
        template_folder="templates",
        static_folder="static",
    )
    app.config.from_mapping(config.settings(environ))
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_BODY_BYTES"]
    # A form without JavaScript brings its files back as text, and each added row in parts.
    app.config["MAX_FORM_MEMORY_SIZE"] = app.config["MAX_BODY_BYTES"]
    app.config["MAX_FORM_PARTS"] = MAX_POSTED
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True
    app.json = writing.Writer(app)
    app.url_map.merge_slashes = False  # a redirect would lose the body, and is no JSON
    logging.basicConfig(level=app.config["LOG_LEVEL"], format=LOG_FORMAT)
    Bootstrap5(app)
    hosting = _hosting(app, environ)
    predictor = Predictor(ModelManager(), hosting.limits)
    app.extensions["predictor"] = predictor
    source = Source(hosting.path, environ, hosting.limits, app.config["WATCH_SECONDS"])
    generations = Generations(source, Board(environ.get(board.FOLDER)), predictor)
    app.extensions["generations"] = generations
    if with_models:
        generations.open(before_fork=before_fork)
    cli.init_app(app, hosting)
    for part in (problems, access, guard, looks, api, operations, pages, artifacts, door):
        part.init_app(app)
    return app


def _hosting(app: Flask, environ: Mapping[str, str]) -> Hosting:
    limits = Limits(
        rows=app.config["MAX_ROWS"],
        threads=app.config["MODEL_THREADS"],
        waiting=app.config["MODEL_WAITING"],
        seconds=app.config["PREDICT_SECONDS"],
    )
    return Hosting(config.ROOT / app.config["MODELS_FILE"], environ, limits)

"""Creates the Flask application."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Mapping

from flask import Flask

import config
import logs
from app.serving.calls.limits import Limits
from app.serving.fetching.fetched_file import Fetching
from app.serving.jobs.jobs import Jobs
from app.serving.models.manager import ModelManager
from app.serving.models.predictor import Predictor
from app.serving.monitoring.monitor import HealthMonitor
from app.serving.prediction_log.store import PredictionStore
from app.serving.prediction_log.writer import PredictionLog
from app.serving.reload import shared_state
from app.serving.reload.models_file import ModelsFile
from app.serving.reload.reloader import Reloader
from app.serving.reload.shared_state import SharedState
from app.web.api import (
    admin,
    explanations,
    fast_predict,
    jobs_api,
    model_health,
    models,
    operations,
    truth,
)
from app.web.api.v2 import inference, repository
from app.web.assets import bundles
from app.web.http import (
    access,
    access_log,
    compression,
    extension,
    json_provider,
    problems,
    security_headers,
)
from app.web.http.access import AccessControl, callers
from app.web.http.access.keys import InvalidKeys, Keys, load_keys
from app.web.http.access.rates import Rates
from app.web.http.access_log import AccessLog
from app.web.http.extension import Modelhost
from app.web.mcp import messages as mcp
from app.web.openapi import document
from app.web.pages import artifacts, health, views
from app.web.pages.display import branding
from mlmodel.trust.trial import bounded_fork

log = logging.getLogger(__name__)


def create_app(environ: Mapping[str, str], *, before_fork: bool = False) -> Flask:
    """Create the application and load its models.

    :param environ: the settings, see :mod:`config`, and the values of ``${NAME}`` in
        ``models.yaml``.
    :param before_fork: skip models that do not survive a fork; each worker loads them itself.
    :raises InvalidSetting: if a setting is unknown or has a wrong value, or keys have mistakes.
    :raises InvalidCatalog: if ``models.yaml`` has mistakes.
    """
    app = Flask(
        "modelhost",
        root_path=str(config.ROOT),
        template_folder="templates",
        static_folder=None,  # app.web.assets sends these files
    )
    app.config.from_mapping(config.settings(environ))
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_BODY_BYTES"]
    app.config["SECRET_KEY"] = app.config["SECRET_KEY"] or secrets.token_hex()
    app.json = json_provider.JSONProvider(app)
    app.url_map.merge_slashes = False  # a redirect would lose the body, and is not JSON
    logs.configure(app.config)
    keys = _keys(app, environ)
    limits = Limits.from_settings(app.config)
    manager = ModelManager()
    predictor = Predictor(
        manager, limits, PredictionLog(config.get_folder(app.config, "PREDICTION_LOG_FOLDER"))
    )
    bounded_fork.TimeLimit.seconds = app.config["LOAD_SECONDS"] or math.inf
    file = ModelsFile(
        config.ROOT / app.config["MODELS_FILE"],
        environ,
        limits,
        app.config["WATCH_SECONDS"],
        app.config["UNPINNED"],
        app.config["ONLY_MODELS"].split(),
        Fetching.from_settings(app.config, config.get_models_folder(app.config)),
    )
    state = SharedState(environ.get(shared_state.FOLDER))
    reloader = Reloader(file, state, manager)
    control = AccessControl(
        keys,
        is_for_all=app.config["KEYS_FOR"] == "all",
        user_header=app.config["USER_HEADER"],
    )
    limit, storage = app.config["RATE_LIMIT"], app.config["RATE_STORAGE"]
    app.extensions[extension.NAME] = Modelhost(
        manager,
        predictor,
        reloader,
        control,
        AccessLog(logs.access(app.config)),
        Rates(limit, storage) if limit else None,
        HealthMonitor(manager, PredictionStore(predictor.prediction_log.folder), state.folder),
        Jobs.from_settings(app.config, config.get_folder(app.config, "JOBS_FOLDER")),
    )
    reloader.load_models(before_fork=before_fork)
    for part in (
        problems,
        access_log,  # before all that change responses
        compression,
        access,
        security_headers,
        bundles,
        branding,
        models,
        views,
        fast_predict,
    ):
        part.init_app(app)
    for routes in (
        explanations,
        admin,
        jobs_api,
        operations,
        model_health,
        truth,
        inference,
        repository,
        document,
        mcp,
        artifacts,
        health,
    ):
        app.register_blueprint(routes.blueprint)
    callers.keep_via(app)  # in front of the fast path
    access.trust_proxies(app)
    if not keys.are_set and not config.is_loopback(app.config["HOST"]):
        log.warning(
            "%s accepts connections from other machines, and no API keys are configured: all "
            "clients can call every model; create a key with the command `keys new`, and list it "
            "in KEYS_FILE",
            app.config["HOST"],
        )
    return app


def _keys(app: Flask, environ: Mapping[str, str]) -> Keys:
    try:
        return load_keys(app.config, config.ROOT, environ)
    except InvalidKeys as error:
        raise config.InvalidSetting(str(error)) from error

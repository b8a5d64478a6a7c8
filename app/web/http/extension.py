"""The parts of one application: the object in ``app.extensions["modelhost"]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import Flask, current_app

if TYPE_CHECKING:  # the parts import this module to find each other
    from app.serving.jobs.jobs import Jobs
    from app.serving.models.manager import ModelManager
    from app.serving.models.predictor import Predictor
    from app.serving.monitoring.monitor import HealthMonitor
    from app.serving.reload.reloader import Reloader
    from app.web.http.access.authorization import AccessControl
    from app.web.http.access.rates import Rates
    from app.web.http.access_log import AccessLog

#: The version of Modelhost, also of its package, see pyproject.toml.
VERSION = "0.1.0"
#: The name in ``app.extensions``.
NAME = "modelhost"


@dataclass(frozen=True)
class Modelhost:
    """The parts that views share. ``create_app`` makes them once, for the whole application.

    ``rates`` is ``None`` unless requests are limited in rate.
    """

    manager: ModelManager
    predictor: Predictor
    reloader: Reloader
    access_control: AccessControl
    access_log: AccessLog
    rates: Rates | None
    health: HealthMonitor
    jobs: Jobs


def modelhost(app: Flask = current_app) -> Modelhost:
    """Return the parts of an application; without an argument, of the current one."""
    return cast("Modelhost", app.extensions[NAME])

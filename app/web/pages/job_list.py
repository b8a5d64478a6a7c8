"""The page of jobs."""

from __future__ import annotations

from flask import Blueprint, Flask, render_template

blueprint = Blueprint("job_list", __name__)


def init_app(app: Flask) -> None:
    """Register the page."""
    app.register_blueprint(blueprint)


@blueprint.get("/jobs")
def index() -> str:
    """Show the jobs of the client."""
    return render_template("jobs.html")

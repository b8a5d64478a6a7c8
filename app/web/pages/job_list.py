"""The page of jobs."""

from __future__ import annotations

from flask import Blueprint, render_template

blueprint = Blueprint("job_list", __name__)


@blueprint.get("/jobs")
def index() -> str:
    """Show the jobs of the client."""
    return render_template("jobs.html")

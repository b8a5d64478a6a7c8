"""The baseline: a plain Flask application on gunicorn's sync worker."""

from __future__ import annotations

from benchmarks.entries.apps import APPS, manifest
from benchmarks.entry import ROW, Command, Entry, Stage, labelled, row_or_rows


def start(stage: Stage) -> Command:
    """Run gunicorn as its documentation begins."""
    gunicorn = str(stage.programs / "gunicorn")
    return Command(
        [gunicorn, f"--workers={stage.workers}", f"--bind=127.0.0.1:{stage.port}", "flask_app:app"],
        APPS,
        manifest(stage),
    )


def path(model: str, form: str) -> str:
    """Return the path of a view: one for a row, one for many."""
    return f"/{model}/predict" if form == ROW else f"/{model}/predict_many"


ENTRY = Entry(
    name="flask",
    about="a plain Flask application on gunicorn's sync worker; label and probabilities",
    start=start,
    path=path,
    body=row_or_rows,
    answers=labelled,
    requirements="flask",
)

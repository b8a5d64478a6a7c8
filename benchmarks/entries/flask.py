"""The baseline: a plain Flask application on gunicorn's sync worker."""

from __future__ import annotations

from benchmarks.entries.apps import APPS, manifest
from benchmarks.entry import ROW, Command, Entry, Stage, parse_labels, row_or_rows


def start(stage: Stage) -> Command:
    """Return the command that runs gunicorn with its defaults."""
    gunicorn = str(stage.programs / "gunicorn")
    return Command(
        [gunicorn, f"--workers={stage.workers}", f"--bind=127.0.0.1:{stage.port}", "flask_app:app"],
        APPS,
        manifest(stage),
    )


def path(model: str, form: str) -> str:
    """Return the path of the view for one row or for many."""
    return f"/{model}/predict" if form == ROW else f"/{model}/predict_many"


ENTRY = Entry(
    name="flask",
    about="a plain Flask application on gunicorn's sync worker; label and probabilities",
    start=start,
    path=path,
    body=row_or_rows,
    parse=parse_labels,
    requirements="flask",
)

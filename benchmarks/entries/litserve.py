"""LitServe: an API process and a worker process for each of the workers."""

from __future__ import annotations

from benchmarks.entries.apps import APPS, manifest
from benchmarks.entry import Command, Entry, Stage, labelled, row_or_rows


def start(stage: Stage) -> Command:
    """Run the script, as LitServe's documentation does."""
    python = str(stage.programs / "python")
    return Command(
        [python, "litserve_app.py", str(stage.port), str(stage.workers)], APPS, manifest(stage)
    )


def path(model: str, _: str) -> str:
    """Return the one path of a model."""
    return f"/{model}/predict"


ENTRY = Entry(
    name="litserve",
    about="LitServe, its defaults; label and probabilities",
    start=start,
    path=path,
    body=row_or_rows,
    answers=labelled,
    requirements="litserve",
)

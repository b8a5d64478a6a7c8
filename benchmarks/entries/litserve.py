"""LitServe: one API process, and worker processes for each model."""

from __future__ import annotations

import functools

from benchmarks.entries.apps import APPS, manifest
from benchmarks.entry import Command, Entry, Stage, parse_labels, row_or_rows


def start(stage: Stage, script: str) -> Command:
    """Return the command that runs the script, as in LitServe's documentation."""
    python = str(stage.programs / "python")
    return Command([python, script, str(stage.port), str(stage.workers)], APPS, manifest(stage))


def path(model: str, _: str) -> str:
    """Return the path of a model, the same for all forms."""
    return f"/{model}/predict"


ENTRIES = [
    Entry(
        name=name,
        about=f"LitServe, {about}; label and probabilities",
        start=functools.partial(start, script=script),
        path=path,
        body=row_or_rows,
        parse=parse_labels,
        requirements="litserve",
    )
    for name, about, script in (
        ("litserve", "its defaults", "litserve_app.py"),
        ("litserve-batch", "batches of up to 16 within 5 ms", "litserve_batch_app.py"),
    )
]

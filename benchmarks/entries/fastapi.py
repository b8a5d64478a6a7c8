"""FastAPI on uvicorn with uvloop and httptools, a pydantic model for each row."""

from __future__ import annotations

from benchmarks.entries import flask
from benchmarks.entries.apps import APPS, manifest
from benchmarks.entry import Command, Entry, Stage, labelled, row_or_rows


def start(stage: Stage) -> Command:
    """Run the application with what apps/scoring.py needs."""
    return Command(uvicorn(stage, "fastapi_app:app"), APPS, manifest(stage))


def uvicorn(stage: Stage, app: str) -> list[str]:
    """Run uvicorn with its own worker processes, without a line of log for each request."""
    return [
        str(stage.programs / "uvicorn"),
        app,
        f"--workers={stage.workers}",
        f"--port={stage.port}",
        "--loop=uvloop",
        "--http=httptools",
        "--no-access-log",
    ]


ENTRY = Entry(
    name="fastapi",
    about="FastAPI, pydantic, uvicorn with uvloop and httptools; label and probabilities",
    start=start,
    path=flask.path,
    body=row_or_rows,
    answers=labelled,
    requirements="fastapi",
)

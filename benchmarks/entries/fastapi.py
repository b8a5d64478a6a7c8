"""FastAPI on uvicorn with uvloop and httptools, a pydantic model for each row."""

from __future__ import annotations

import functools

from benchmarks.entries import flask
from benchmarks.entries.apps import APPS, manifest
from benchmarks.entry import Command, Entry, Stage, parse_labels, row_or_rows


def start(stage: Stage, views: str) -> Command:
    """Return the command that runs the application."""
    environ = {**manifest(stage), "BENCHMARK_VIEWS": views}
    return Command(uvicorn(stage, "fastapi_app:app"), APPS, environ)


def uvicorn(stage: Stage, app: str) -> list[str]:
    """Return the arguments of uvicorn: own worker processes, no access log."""
    return [
        str(stage.programs / "uvicorn"),
        app,
        f"--workers={stage.workers}",
        f"--port={stage.port}",
        "--loop=uvloop",
        "--http=httptools",
        "--no-access-log",
    ]


ENTRIES = [
    Entry(
        name=name,
        about=f"FastAPI ({views} def), pydantic, uvicorn with uvloop and httptools; label and "
        "probabilities",
        start=functools.partial(start, views=views),
        path=flask.path,
        body=row_or_rows,
        parse=parse_labels,
        requirements="fastapi",
    )
    for name, views in (("fastapi", "async"), ("fastapi-def", "plain"))
]

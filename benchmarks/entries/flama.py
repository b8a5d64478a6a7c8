"""Flama with its own model endpoint, on uvicorn as FastAPI is."""

from __future__ import annotations

import json
from pathlib import Path

import joblib
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from benchmarks.entries import fastapi
from benchmarks.entries.apps import APPS
from benchmarks.entry import Command, Entry, Stage, to_json
from benchmarks.models import Answer, Model, Row
from mlmodel import dump


def start(stage: Stage) -> Command:
    """Run uvicorn with an application that loads .flm files."""
    files = {name: str(_file(name, stage)) for name in stage.models}
    written = stage.scratch / "models.json"
    written.write_text(json.dumps(files))
    environ = {"BENCHMARK_MODELS": str(written), "PYTHONPATH": str(APPS)}
    return Command(fastapi.uvicorn(stage, "flama_app:app"), APPS, environ)


def path(model: str, _: str) -> str:
    """Return the path that Flama gives a model's predict."""
    return f"/{model}/predict/"


def body(_: Model, rows: list[Row], __: str) -> bytes:
    """Write the values of the rows; Flama knows no names."""
    return to_json({"input": [list(row.values()) for row in rows]})


def answers(_: Model, content: bytes, __: str) -> list[Answer]:
    """Read the labels; Flama tells no probabilities."""
    return [Answer(label) for label in json.loads(content)["output"]]


def _file(name: str, stage: Stage) -> Path:
    """Return a file whose model takes plain lists, as Flama's endpoint passes them on."""
    fields = json.loads((stage.folder / f"{name}.fields.json").read_text())
    if set(fields.values()) == {"number"}:
        return stage.folder / f"{name}.flm"
    estimator = joblib.load(stage.folder / f"{name}.joblib")
    frame = FunctionTransformer(pd.DataFrame, kw_args={"columns": list(fields)})
    dump(make_pipeline(frame, estimator), stage.scratch / f"{name}.flm")
    return stage.scratch / f"{name}.flm"


ENTRY = Entry(
    name="flama",
    about="Flama 2.2.2, its own model endpoint, uvicorn with uvloop and httptools; label alone",
    start=start,
    path=path,
    body=body,
    answers=answers,
    requirements="flama",
)

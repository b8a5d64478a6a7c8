"""Flama with its own model endpoint, on uvicorn like FastAPI."""

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
from benchmarks.models import Model, Prediction, Row
from mlmodel import dump


def start(stage: Stage) -> Command:
    """Return the command that runs an application that loads .flm files."""
    files = {name: str(_file(name, stage)) for name in stage.models}
    written = stage.scratch / "models.json"
    written.write_text(json.dumps(files))
    environ = {"BENCHMARK_MODELS": str(written), "PYTHONPATH": str(APPS)}
    return Command(fastapi.uvicorn(stage, "flama_app:app"), APPS, environ)


def path(model: str, _: str) -> str:
    """Return Flama's path for predictions of a model."""
    return f"/{model}/predict/"


def body(_: Model, rows: list[Row], __: str) -> bytes:
    """Write the values of the rows, without names."""
    return to_json({"input": [list(row.values()) for row in rows]})


def parse(_: Model, content: bytes, __: str) -> list[Prediction]:
    """Parse the labels. Flama returns no probabilities."""
    return [Prediction(label) for label in json.loads(content)["output"]]


def _file(name: str, stage: Stage) -> Path:
    """Return a file whose model accepts lists, which Flama passes to it."""
    fields = json.loads((stage.folder / f"{name}.fields.json").read_text())
    if set(fields.values()) == {"number"}:
        return stage.folder / f"{name}.flm"
    estimator = joblib.load(stage.folder / f"{name}.joblib")
    frame = FunctionTransformer(pd.DataFrame, kw_args={"columns": list(fields)})
    dump(make_pipeline(frame, estimator), stage.scratch / f"{name}.flm")
    return stage.scratch / f"{name}.flm"


ENTRY = Entry(
    name="flama",
    about="Flama 2.2.2, its own model endpoint, uvicorn with uvloop and httptools; label only",
    start=start,
    path=path,
    body=body,
    parse=parse,
    requirements="flama",
)

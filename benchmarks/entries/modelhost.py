"""Modelhost, as ``make run`` starts it and with gunicorn's own threads, by runtime."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from benchmarks.entry import (
    COLUMNS,
    ROW,
    ROWS,
    Command,
    Entry,
    Stage,
    parse_labels,
    row_or_rows,
    to_json,
)
from benchmarks.models import Model, Row

ROOT = Path(__file__).parents[2]


def start(stage: Stage, server: str, runtime: str | None) -> Command:
    """Return the command of ``make run SERVER=...``."""
    environ = {**_environ(stage, runtime), "SERVER": server}
    return Command([str(stage.programs / "gunicorn")], ROOT, environ)


def path(model: str, _: str) -> str:
    """Return the path of a model, the same for all forms."""
    return f"/api/models/{model}/predict"


def body(model: Model, rows: list[Row], form: str) -> bytes:
    """Write rows as objects, or columns in pandas' format ``orient="split"``."""
    if form != COLUMNS:
        return row_or_rows(model, rows, form)
    return to_json({"columns": list(rows[0]), "data": [list(row.values()) for row in rows]})


def _environ(stage: Stage, runtime: str | None) -> dict[str, str]:
    more = {} if runtime is None else {"runtime": runtime}
    models = [{"file": str(stage.folder / f"{name}.flm"), **more} for name in stage.models]
    catalog = stage.scratch / "models.yaml"
    # JSON is YAML.
    catalog.write_text(json.dumps({"models": models}))
    return {
        "MODELHOST_MODELS_FILE": str(catalog),
        # The other servers do not log requests either.
        "MODELHOST_ACCESS_LOG": "false",
        "PORT": str(stage.port),
        "WORKERS": str(stage.workers),
    }


ENTRIES = [
    Entry(
        name=name,
        about=f"Modelhost on {about}; label and probabilities",
        start=functools.partial(start, server=server, runtime=runtime),
        path=path,
        body=body,
        parse=parse_labels,
        forms=(ROW, ROWS, COLUMNS),
    )
    for name, about, server, runtime in (
        ("modelhost", "granian", "granian", None),
        ("modelhost-onnx", "granian, runtime: onnx", "granian", "onnx"),
        ("gthread", "gthread", "gthread", None),
        ("gthread-onnx", "gthread, runtime: onnx", "gthread", "onnx"),
    )
]

"""MLServer with its scikit-learn runtime, which returns probabilities over the V2 protocol."""

from __future__ import annotations

import functools
import json
from typing import Any

from benchmarks.entry import Command, Entry, Stage, to_json
from benchmarks.models import TEXT, Model, Prediction, Row

RUNTIME = "mlserver_sklearn.SKLearnModel"


def start(stage: Stage, more: dict[str, Any]) -> Command:
    """Write the settings of the server and its models, and return the command."""
    settings = {
        "debug": False,
        "host": "127.0.0.1",
        "http_port": stage.port,
        "grpc_port": stage.port + 1,
        "metrics_port": stage.port + 2,
        "parallel_workers": stage.workers,
    }
    (stage.scratch / "settings.json").write_text(json.dumps(settings))
    for name in stage.models:
        folder = stage.scratch / name
        folder.mkdir()
        model = {
            "name": name,
            "implementation": RUNTIME,
            "parameters": {"uri": str(stage.folder / f"{name}.joblib")},
            **more,
        }
        (folder / "model-settings.json").write_text(json.dumps(model))
    mlserver = str(stage.programs / "mlserver")
    return Command([mlserver, "start", str(stage.scratch)], stage.scratch)


def path(model: str, _: str) -> str:
    """Return the path of a model in the V2 protocol."""
    return f"/v2/models/{model}/infer"


def body(model: Model, rows: list[Row], _: str) -> bytes:
    """Write one tensor, or one for each column if the fields are mixed."""
    outputs = [{"name": "predict_proba"}]
    if not model.is_mixed:
        return to_json({"inputs": [_tensor(rows)], "outputs": outputs})
    inputs = [_column(rows, name, kind) for name, kind in model.fields.items()]
    return to_json({"parameters": {"content_type": "pd"}, "inputs": inputs, "outputs": outputs})


def parse(model: Model, content: bytes, _: str) -> list[Prediction]:
    """Parse the probabilities. The label is the most probable one."""
    output = json.loads(content)["outputs"][0]
    classes = [str(label) for label in model.estimator.classes_]
    numbers, width = output["data"], len(classes)
    rows = [numbers[at : at + width] for at in range(0, len(numbers), width)]
    return [
        Prediction(classes[row.index(max(row))], dict(zip(classes, row, strict=True)))
        for row in rows
    ]


def _tensor(rows: list[Row]) -> dict[str, Any]:
    values = [value for row in rows for value in row.values()]
    shape = [len(rows), len(rows[0])]
    return {"name": "input", "datatype": "FP64", "shape": shape, "data": values}


def _column(rows: list[Row], name: str, kind: str) -> dict[str, Any]:
    datatype = "BYTES" if kind == TEXT else "FP64"
    more = {"parameters": {"content_type": "str"}} if kind == TEXT else {}
    data = [row[name] for row in rows]
    return {"name": name, "datatype": datatype, "shape": [len(rows), 1], "data": data, **more}


ENTRIES = [
    Entry(
        name=name,
        about=f"MLServer, scikit-learn runtime, V2 tensors, {about}; probabilities only",
        start=functools.partial(start, more=more),
        path=path,
        body=body,
        parse=parse,
        requirements="mlserver",
    )
    for name, about, more in (
        ("mlserver", "its defaults", {}),
        ("mlserver-batch", "adaptive batching", {"max_batch_size": 16, "max_batch_time": 0.005}),
    )
]

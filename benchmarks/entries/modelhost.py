"""Modelhost, as ``make run`` starts it and with gunicorn's own threads, by runtime."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

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
#: Seconds in which the models are compiled, and responses that show it for all processes.
COMPILE_SECONDS, SURE_RESPONSES = 120, 20


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
        # As at the first start.
        "MODELHOST_CACHE_FOLDER": str(stage.scratch / "cache"),
        "PORT": str(stage.port),
        "WORKERS": str(stage.workers),
    }


#: What browsers' clients, load balancers and tracing add to a request.
CLOUD_HEADERS = {
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate",
    "Baggage": "userId=alice",
    "CF-Ray": "8a1b2c3d4e5f6789-FRA",
    "Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "User-Agent": "python-requests/2.32.3",
    "Via": "1.1 google",
    "X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678",
    "X-B3-TraceId": "80f198ee56343ba864fe8b2a57d3eff7",
    "X-Cloud-Trace-Context": "105445aa7843bc8bf206b12000100000/1;o=1",
    "X-Envoy-External-Address": "192.0.2.1",
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Proto": "https",
    "X-Request-ID": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
}


def wait_for_runtimes(port: int, models: Sequence[str]) -> None:
    """Wait until each process has compiled the models, or knows why it does not."""
    end, sure = time.monotonic() + COMPILE_SECONDS, 0
    while sure < SURE_RESPONSES and time.monotonic() < end:
        found = [
            httpx.get(f"http://127.0.0.1:{port}/api/models/{name}/metadata", timeout=30).json()
            for name in models
        ]
        sure = sure + 1 if all("runtime" in each for each in found) else 0


ENTRIES = [
    Entry(
        name=name,
        about=f"Modelhost on {about}; label and probabilities",
        start=functools.partial(start, server=server, runtime=runtime),
        path=path,
        body=body,
        parse=parse_labels,
        forms=(ROW, ROWS, COLUMNS),
        headers=headers,
        settle=wait_for_runtimes if server == "granian" else None,
    )
    for name, about, server, runtime, headers in (
        ("modelhost", "granian", "granian", None, {}),
        ("modelhost-cloud", "granian, behind a load balancer", "granian", None, CLOUD_HEADERS),
        ("modelhost-onnx", "granian, runtime: onnx", "granian", "onnx", {}),
        ("gthread", "gthread", "gthread", None, {}),
        ("gthread-onnx", "gthread, runtime: onnx", "gthread", "onnx", {}),
    )
]

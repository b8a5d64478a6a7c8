"""The folder of the peers' applications, and the manifest of their models."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.entry import Stage

APPS = Path(__file__).parents[1] / "apps"


def manifest(stage: Stage) -> dict[str, str]:
    """Write models.json, which apps/scoring.py reads, and return the variable that names it."""
    described = {
        name: {
            "path": str(stage.folder / f"{name}.joblib"),
            "fields": json.loads((stage.folder / f"{name}.fields.json").read_text()),
        }
        for name in stage.models
    }
    written = stage.scratch / "models.json"
    written.write_text(json.dumps(described))
    return {"BENCHMARK_MODELS": str(written), "PYTHONPATH": str(APPS)}

"""Ray Serve on two local nodes, in the environment that `make ray` makes."""

import json
import os
import subprocess
from pathlib import Path

import pytest

import mlmodel
from tests import ROOT

RAY = Path(os.environ.get("RAY_ENVIRONMENT", ROOT / ".venv-ray")) / "bin"
SECONDS = 280


def test_death_of_a_node_loses_no_request(tmp_path):
    if not (RAY / "modelhost").exists():
        pytest.skip("ray is not installed: make ray")
    file = ROOT / "examples" / "models" / "loan.flm"
    models = f"models:\n  - {{file: {file}, name: loan, ray: {{num_replicas: 2}}}}\n"
    (tmp_path / "models.yaml").write_text(models)
    model = mlmodel.load(file)
    model.load()
    [row, *_] = model.examples

    run([RAY / "modelhost", "ray", "--output", "serve.yaml"], tmp_path)
    script = ROOT / "tests" / "clients" / "with_ray.py"
    text = run([RAY / "python", script, "serve.yaml", "loan", json.dumps(row)], tmp_path)

    found = json.loads(text.rpartition("RESULT")[2])
    assert found["prediction"] == model.predict(row)
    assert found["killed"] == 1
    assert found["others"] == []
    assert min(found["before"], found["after"]) > 0


def run(words, folder):
    ended = subprocess.run(
        words,
        cwd=folder,
        env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-5000:]
    return ended.stdout

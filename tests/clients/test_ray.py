"""Ray Serve on two local nodes, in the environment that `make ray` makes; a replica without Ray."""

import asyncio
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.requests import Request

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


@pytest.fixture
def respond(make_app, make_environ, monkeypatch):
    """A function that sends a request to a replica of the model ``doubler``."""
    models = "models: [{class: tests.models.simple.Doubler}]"
    make_app(models)  # closed at the end, with the models of the replica
    environ = make_environ(models, MAX_BODY_BYTES=1000, RATE_LIMIT="2 per hour")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(ROOT / "servers")
    monkeypatch.setattr(sys, "path", [*sys.path])
    ray_serve = importlib.import_module("modelhost.ray_serve")
    replica = ray_serve.Replica(environ["MODELHOST_MODELS_FILE"], "doubler", 1)

    def send(path, *pieces, client="10.0.0.1", media_type=b"application/json"):
        scope = {
            "type": "http",
            "method": "POST",
            "scheme": "http",
            "path": f"/credit{path}",
            "root_path": "/credit",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"content-type", media_type)],
            "client": (client, 1),
        }
        messages = [{"type": "http.request", "body": each, "more_body": True} for each in pieces]
        waiting = iter([*messages, {"type": "http.request"}])

        async def receive():
            return next(waiting)

        status = asyncio.run(replica(Request(scope, receive))).status_code
        return status, len(list(waiting))

    return send


def test_replica_has_the_limits_of_a_server(respond):
    predict = "/api/models/doubler/predict"

    assert respond(predict, b'{"x":', b" 1}") == (200, 0)
    assert respond(predict, *[b"x" * 600] * 9) == (413, 8)  # the rest is not read
    assert respond(predict, b'{"x": 1}')[0] == 429
    assert respond(predict, b'{"x": 1}', client="10.0.0.2")[0] == 200
    assert respond(f"//evil{predict}", b'{"x": 1}', client="10.0.0.3")[0] == 404
    jobs = "/api/models/doubler/jobs"
    assert respond(jobs, b"x\n1\n", client="10.0.0.4", media_type=b"text/csv")[0] == 403


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

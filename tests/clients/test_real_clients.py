"""Real clients of the Open Inference Protocol, a real registry of MLflow, and readers of `deploy/`.

Each is in an environment of its own, which `make clients` makes.
"""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests import DATA, ROOT
from tests.conftest import EXAMPLES
from tests.running_server import ADMIN, WITH_ADMIN, serving

FOLDER = Path(os.environ.get("CLIENTS", ROOT / ".venv-clients"))
MODELS = ("iris", "wine", "diabetes", "loan", "tickets")
SECONDS = 120
MAKE_CERTIFICATE = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout - -out -"


def find_python(name):
    python = FOLDER / name / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{name} is not installed: make clients")
    return python


@pytest.fixture(scope="module", params=["tritonclient", "kserve", "mlserver"])
def client(request):
    return request.param, find_python(request.param)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    environ = WITH_ADMIN | {"WORKERS": 2, "MODELHOST_MODELS_FILE": EXAMPLES}
    with serving("granian", folder, "models: []", **environ) as server:
        yield server


def test_client_receives_the_predictions_of_the_api(client, server):
    name, python = client
    rows = {each: server.ask(f"/api/models/{each}/metadata")[1]["examples"] for each in MODELS}

    found = call(name, python, server.port, rows)

    predictions = {
        each: server.ask(f"/api/models/{each}/predict", rows[each])[1] for each in MODELS
    }
    assert found == EXPECTED[name](predictions)


def test_versions_of_an_mlflow_registry_are_fetched(tmp_path, monkeypatch):
    python = find_python("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/registry.db")
    (tmp_path / "fetched").mkdir()

    found = run("mlflow", python, ROOT, tmp_path / "fetched")

    # MLflow adds a file with the name and the version.
    files = {
        name: sorted(
            [*(each.name for each in (DATA / "mlflow" / name).rglob("*")), "registered_model_meta"]
        )
        for name in ("iris-named", "iris-onnx")
    }
    assert found == {
        "first": "models:/credit/1",
        "files": files["iris-named"],
        "unchanged": None,
        "moved": ["models:/credit/2", files["iris-onnx"]],
        "failure": "it has more than 10 bytes (FETCH_MAX_BYTES)",
    }


@pytest.mark.parametrize(("library", "scheme"), [("gcsfs", "gs"), ("adlfs", "az")])
def test_untrusted_certificate_of_a_store_is_not_retried(library, scheme, tmp_path):
    """Both libraries retry for more than a minute."""
    python = find_python(library)
    made = subprocess.run(MAKE_CERTIFICATE.split(), capture_output=True, check=True)
    (tmp_path / "pem").write_bytes(made.stdout)
    started = time.monotonic()

    failure = run("stores", python, ROOT, tmp_path / "pem", f"{scheme}://bucket/credit.flm")

    assert failure.startswith("the certificate of the server cannot be verified; if your own CA")
    assert time.monotonic() - started < 30


def test_kserve_knows_each_member_of_the_runtime():
    python = find_python("kserve")
    runtime = yaml.safe_load((ROOT / "deploy" / "kserve-runtime.yaml").read_text())

    assert run("kserve_runtime", python, json.dumps(runtime)) == runtime


def test_grafana_knows_each_member_of_the_dashboard():
    python = find_python("grafana-foundation-sdk")
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text())

    found = run("grafana_foundation_sdk", python, json.dumps(dashboard))

    assert list(find_lost(dashboard, found)) == []


def find_lost(value, other, path=""):
    """Yield the paths of members and items that another value does not have."""
    if isinstance(value, dict) and isinstance(other, dict):
        for name, member in value.items():
            yield from find_lost(member, other.get(name), f"{path}/{name}")
    elif isinstance(value, list) and isinstance(other, list) and len(value) == len(other):
        for index, item in enumerate(value):
            yield from find_lost(item, other[index], f"{path}/{index}")
    elif value != other:
        yield path


def call(name, python, port, rows):
    """Return what the script of a client writes that calls a server."""
    return run(name, python, f"127.0.0.1:{port}", ADMIN.text, json.dumps(rows))


def run(name, python, *arguments):
    """Return what the script of a client writes."""
    script = ROOT / "tests" / "clients" / f"with_{name}.py"
    ended = subprocess.run(
        [python, "-W", "ignore", script, *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def expect_tritonclient(predictions):
    return {
        "live": True,
        "ready": True,
        "metadata": ["binary_tensor_data", "model_repository"],
        "inputs": [-1, 4],
        "index": list(MODELS),
        "iris": [[each["species"] for each in predictions["iris"]]] * 12,
        "loan": to_loan(predictions),
        "unknown": ["404", "Model not found: unknown model 'nobody'"],
        "forbidden": [
            "401",
            "API key required: send an API key as `Authorization: Bearer <key>`, or log in at /login",
        ],
        "unloaded": [False] * 10,
        "loaded": [True] * 10,
    }


def expect_kserve(predictions):
    return {
        "live": True,
        "ready": True,
        "model": True,
        "iris": [[each["species"] for each in predictions["iris"]]] * 4,
        "unknown": [404, "Model not found: unknown model 'nobody'"],
    }


def expect_mlserver(predictions):
    return {
        "server": "modelhost",
        "inputs": [
            "annual_income",
            "loan_amount",
            "term_months",
            "purpose",
            "home",
            "years_employed",
            "earlier_defaults",
            "card_use",
            "savings",
        ],
        "index": list(MODELS),
        "iris": [each["species"] for each in predictions["iris"]],
        "loan": to_loan(predictions),
        "tickets": [each["prediction"] for each in predictions["tickets"]],
    }


def to_loan(predictions):
    """Return predictions, and probabilities in the order of the classes."""
    answers = [each["prediction"] for each in predictions["loan"]]
    return [answers, [list(each["probabilities"].values()) for each in predictions["loan"]]]


EXPECTED = {
    "tritonclient": expect_tritonclient,
    "kserve": expect_kserve,
    "mlserver": expect_mlserver,
}

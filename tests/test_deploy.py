"""The files in deploy/, checked with the schemas and programs that read them."""

import json
import re
import shutil
import subprocess
from urllib.parse import urlsplit

import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema import Draft202012Validator, validators
from sklearn.linear_model import LinearRegression

from app.serving.catalog import catalog
from config import settings
from mlmodel import dump
from tests import ROOT

DEPLOY = ROOT / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana/dashboard.json").read_text(encoding="utf-8"))
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def read_yaml(name):
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def test_compose_file_fits_its_schema():
    schema = get_builtin_schema("vendor.compose-spec")
    validator = validators.validator_for(schema, Draft202012Validator)(schema)

    assert [error.message for error in validator.iter_errors(read_yaml("compose.yaml"))] == []


def test_mounted_files_exist():
    mounts = [
        each
        for service in read_yaml("compose.yaml")["services"].values()
        for each in service.get("volumes", ())
    ]
    files = [DEPLOY / mount.partition(":")[0] for mount in mounts if mount.startswith("./")]

    assert [file.name for file in files if not file.exists()] == ["models"]


@pytest.mark.parametrize("name", ["compose.yaml", "Dockerfile", "modelhost.service", "nginx.conf"])
def test_settings_in_files_exist(name):
    text = (DEPLOY / name).read_text(encoding="utf-8")
    known = settings({"APP_SETTINGS": "testing"}).keys() | {"NAME"}

    assert {*re.findall(r"MODELHOST_([A-Z_]+)", text)} <= known


def test_proxy_accepts_the_files_of_jobs():
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    [(pattern, size)] = re.findall(r"location ~ (\S+) \{[^}]*client_max_body_size (\d+)g;", text)

    assert int(size) << 30 >= settings({"APP_SETTINGS": "testing"})["JOBS_MAX_BYTES"]
    assert re.search(pattern, "/api/models/loan/versions/2/jobs")


@pytest.mark.parametrize("name", ["Dockerfile", "modelhost.service"])
def test_jobs_and_log_are_in_a_writable_folder(name):
    text = (DEPLOY / name).read_text(encoding="utf-8")
    folders = dict(re.findall(r"MODELHOST_(JOBS|PREDICTION_LOG)_FOLDER=(\S+)", text))

    assert folders == {
        "JOBS": "/var/lib/modelhost/jobs",
        "PREDICTION_LOG": "/var/lib/modelhost/prediction-log",
    }


def test_dashboard_queries_documented_metrics():
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    used = {name for each in EXPRESSIONS for name in re.findall(r"modelhost_\w+", each)}

    known = set(re.findall(r"`(modelhost_\w+)`", text))
    assert {name.removesuffix("_bucket") for name in used} <= known


def test_dashboard_finds_its_data_source():
    [source] = read_yaml("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    [scrape] = read_yaml("prometheus.yml")["scrape_configs"]
    [targets] = scrape["static_configs"]
    [provider] = read_yaml("grafana/provisioning/dashboards/modelhost.yaml")["providers"]
    services = read_yaml("compose.yaml")["services"]

    addresses = [source["url"], *(f"http://{target}" for target in targets["targets"])]
    assert {urlsplit(address).hostname for address in addresses} <= services.keys()
    mounts = [each.split(":")[1] for each in services["grafana"]["volumes"]]
    assert f"{provider['options']['path']}/modelhost.json" in mounts
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {source["uid"]}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_systemd_unit_is_valid(tmp_path):
    unit = tmp_path / "modelhost.service"
    text = (DEPLOY / "modelhost.service").read_text(encoding="utf-8")
    unit.write_text(text.replace("/opt/modelhost/bin/modelhost", "/bin/true"), encoding="utf-8")

    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert [line for line in checked.stderr.splitlines() if "modelhost.service" in line] == []


@pytest.mark.parametrize("is_folder", [False, True], ids=["file", "mlflow folder"])
def test_kserve_runtime_serves_its_folder(tmp_path, is_folder):
    folder, programs = tmp_path / "model", tmp_path / "bin"
    for each in (folder, programs):
        each.mkdir()
    dump(LinearRegression().fit([[1.0], [2.0]], [1, 2]), folder / "linear.flm")
    if is_folder:
        (folder / "MLmodel").touch()
    (programs / "modelhost").symlink_to("/bin/true")
    [container] = read_yaml("kserve-runtime.yaml")["spec"]["containers"]
    script = container["args"][0].replace("{{.Name}}", "house-prices")
    script = script.replace("/tmp/models.yaml", str(tmp_path / "models.yaml"))
    environ = {"PATH": f"{programs}:/usr/bin:/bin", "MODEL_DIR": str(folder)}

    subprocess.run(["sh", "-c", script], env=environ, check=True, timeout=60)

    [spec] = catalog.read(tmp_path / "models.yaml", {})
    expected = folder if is_folder else folder / "linear.flm"
    assert (spec.name, spec.file) == ("house-prices", expected)


def test_kserve_runtime_rejects_several_files(tmp_path):
    for name in ("metadata.json", "model.joblib"):
        (tmp_path / name).touch()
    [container] = read_yaml("kserve-runtime.yaml")["spec"]["containers"]
    command = ["sh", "-c", container["args"][0]]

    environ = {"PATH": "/usr/bin:/bin", "MODEL_DIR": str(tmp_path)}
    ended = subprocess.run(command, env=environ, capture_output=True, check=False, text=True)

    assert ended.returncode == 1
    assert f"expected one file in {tmp_path}, or a folder of MLflow, got:" in ended.stderr
    assert f"{tmp_path}/metadata.json\n" in ended.stderr


def test_kserve_runtime_lists_formats_of_the_image():
    formats = read_yaml("kserve-runtime.yaml")["spec"]["supportedModelFormats"]
    packages = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    libraries = {"flm": "scikit-learn", "sklearn": "scikit-learn", "mlflow": "scikit-learn"}
    libraries["onnx"] = "onnxruntime"

    for each in formats:
        assert f"\n{libraries.get(each['name'], each['name'])}==" in packages


def test_kserve_runtime_has_what_kserve_requires():
    runtime = read_yaml("kserve-runtime.yaml")

    assert (runtime["apiVersion"], runtime["kind"]) == (
        "serving.kserve.io/v1alpha1",
        "ClusterServingRuntime",
    )
    assert runtime["spec"]["protocolVersions"] == ["v2"]
    assert [each["name"] for each in runtime["spec"]["containers"]] == ["kserve-container"]
    assert all(
        isinstance(each["version"], str) for each in runtime["spec"]["supportedModelFormats"]
    )

"""The wheel in an environment of its own, with the dependencies of this one."""

import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import joblib
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from mlmodel import dump
from tests import DATA, ROOT
from tests.ports import find_port
from tests.running_server import PATIENCE, Running
from tests.waiting import wait_until

NUMBERS = pd.DataFrame({"x": [0.0, 1.0, 2.0]})
#: Compiling takes seconds of processor time.
NATIVE = {"MODELHOST_RUNTIME": "native"}
#: A class of a model in the current folder, beside a module named like one of the application.
TEAM = """
from mlmodel import MLModel

class Doubler(MLModel):
    qualified_name = "doubler"

    def predict(self, row):
        return 2 * row
"""
FAILING = """
from mlmodel import MLModel

class Inverse(MLModel):
    qualified_name = "inverse"
    examples = (0,)

    def predict(self, row):
        return 1 / row

class Unloadable(MLModel):
    qualified_name = "unloadable"

    def load(self):
        raise RuntimeError("no weights")

    def predict(self, row):
        return row
"""
SCRIPT = """
import errno, json, sys, urllib.request
import joblib
import modelhost
import pandas as pd
import team
from sklearn.linear_model import LinearRegression
from mlmodel import MLModel

def predict(server, name, row):
    url, body = f"{server.url}api/models/{name}/predict", json.dumps(row).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))

class Product(MLModel):
    qualified_name = "product"
    factor = 1

    def predict(self, row):
        return self.factor * row

numbers = pd.DataFrame({"x": [0.0, 1.0, 2.0]})
fitted = LinearRegression().fit(numbers, [0.0, 2.0, 4.0])
server = modelhost.serve(fitted, name="line", sample=numbers)
print(predict(server, "line", {"x": 3})["prediction"])
server.stop()
print(server)

product = Product()
product.factor = 5
try:
    modelhost.serve(product, port=int(sys.argv[1]))
except OSError as error:
    print(error.errno == errno.EADDRINUSE)
with modelhost.serve(product) as server:
    print(predict(server, "product", 4))
print(server)
fitted.origin = team.Doubler
joblib.dump(fitted, "unknown.joblib")
for file in "broken.flm", "unknown.joblib":
    try:
        modelhost.serve(file)
    except RuntimeError as error:
        print(error)
with modelhost.serve("unknown.joblib", "given", trust="all") as server:
    print(predict(server, "given", {"x": 3})["prediction"])
del Product.qualified_name
with modelhost.serve(Product(), name="given") as server:
    print(predict(server, "given", 4))
"""
KILLED = """
import os, signal, sys
import modelhost
from mlmodel import MLModel

class Echo(MLModel):
    qualified_name = "echo"

    def predict(self, row):
        return row

modelhost.serve(Echo)
sys.stdout.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The scripts of an environment that has the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    [packages] = (folder / "env" / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    install = ["install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *install], check=True)
    return python.parent


@pytest.fixture
def run(environment, tmp_path):
    """A function that runs a script of the environment in an empty folder."""

    def run(*words, script="modelhost"):
        return subprocess.run(
            [environment / script, *words],
            cwd=tmp_path,
            env=os.environ | NATIVE,
            capture_output=True,
            text=True,
            check=False,
            timeout=4 * PATIENCE,
        )

    return run


@pytest.fixture
def serving(environment, tmp_path):
    """A function that serves in that folder, and returns the server once it is ready."""

    @contextmanager
    def serving(*words, **environ):
        port = find_port()
        log = tmp_path / "log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [environment / "modelhost", "serve", f"--port={port}", "--workers=1", *words],
                cwd=tmp_path,
                env=os.environ | NATIVE | environ,
                stderr=stream,
            )
        server = Running(process, port, log)
        try:
            wait_until(lambda: "Modelhost is ready" in server.log or process.poll(), PATIENCE)
            yield server
        finally:
            process.terminate()
            process.wait(PATIENCE)

    return serving


@contextmanager
def file_server(folder):
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_files_are_served_from_any_folder(serving, tmp_path):
    estimator = LinearRegression().fit(NUMBERS, [0.0, 2.0, 4.0])
    dump(estimator, tmp_path / "line.flm", sample=NUMBERS)
    joblib.dump(estimator, tmp_path / "bare.joblib")
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\necho $1 > {opened}\n")
    browser.chmod(0o700)

    folder = DATA / "mlflow" / "iris-named"
    environ = {"BROWSER": f"{browser} %s", "MODELHOST_CACHE_FOLDER": "cache"}
    (tmp_path / "away").mkdir()
    joblib.dump(estimator, tmp_path / "away/fetched.joblib")
    with (
        file_server(tmp_path / "away") as address,
        serving(
            "line.flm", "bare.joblib", folder, f"{address}/fetched.joblib", "--open", **environ
        ) as server,
    ):
        predicted = server.ask("/api/models/line/predict", {"x": 3})
        pages = [server.ask(path)[0] for path in ("/", "/models/line/predict", "/docs")]
        models = server.ask("/readyz")[1]["models"].items()
        wait_until(opened.exists, PATIENCE)

    assert predicted == (200, {"prediction": pytest.approx(6)})
    assert pages == [200, 200, 200]
    assert [(name, model["status"]) for name, model in models] == [
        ("line", "ready"),
        ("bare", "ready"),
        ("iris-named", "ready"),
        ("fetched", "ready"),
    ]
    assert opened.read_text() == f"http://127.0.0.1:{server.port}/\n"
    assert (tmp_path / "cache").is_dir()


def test_folder_of_models_is_begun_and_served(run, serving, tmp_path):
    """A module of the user may have the name of one of the application."""
    dump(LinearRegression().fit(NUMBERS, [0.0, 2.0, 4.0]), tmp_path / "line.flm", sample=NUMBERS)
    (tmp_path / "team.py").write_text(TEAM)
    (tmp_path / "app.py").write_text("raise ImportError")

    missing = run("serve")
    begun = run("init")
    added = run("add", "line.flm")
    with (tmp_path / "models.yaml").open("a") as stream:
        stream.write("  - class: team.Doubler\n")
    checked = run("check")
    with serving() as server:
        predicted = server.ask("/api/models/doubler/predict", [1, 2])
        started = server.log

    assert "there is no models.yaml" in missing.stderr
    assert "modelhost serve credit.joblib" in missing.stderr
    assert (missing.returncode, begun.returncode, added.returncode) == (1, 0, 0)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "models cannot import app.py: the module 'app' is Modelhost's own" in started
    ignored = (tmp_path / ".gitignore").read_text().splitlines()
    assert {"keys.yaml", "/jobs/", "/prediction-log/"} <= set(ignored)
    assert predicted == (200, [2, 4])


def test_files_without_model_are_reported(run, tmp_path):
    (tmp_path / "README.md").write_text("# About")
    (tmp_path / "empty.flm").touch()

    ran = run("serve", "README.md", "empty.flm", "--workers", "2", "--port", str(find_port()))

    assert ran.returncode != 0
    reasons = ran.stderr.partition("Modelhost cannot start: no model could be loaded.")[2]
    assert f"{tmp_path}/README.md: it is text that begins with '# About'" in reasons
    assert f"{tmp_path}/empty.flm: the file is empty" in reasons


def test_models_file_is_no_argument(run, tmp_path):
    (tmp_path / "models.yaml").touch()
    (tmp_path / "other.yml").touch()

    ran, other = run("serve", "models.yaml"), run("serve", "other.yml")

    assert (ran.returncode, other.returncode) == (1, 1)
    assert ran.stderr.endswith("models that it lists, omit it: modelhost serve\n")
    assert "omit it: MODELHOST_MODELS_FILE=other.yml modelhost serve" in other.stderr


def test_files_of_the_same_name_are_reported(run, tmp_path):
    estimator = LinearRegression().fit(NUMBERS, [0.0, 2.0, 4.0])
    for file in ("first.flm", "second.flm"):
        dump(estimator, tmp_path / file, extra={"qualified_name": "line"})

    ran = run("serve", "first.flm", "second.flm")

    assert f"{tmp_path}/first.flm and {tmp_path}/second.flm have the same name 'line'" in ran.stderr


def test_terminal_shows_models_and_their_errors(environment, tmp_path):
    dump(LinearRegression().fit(NUMBERS, [0.0, 2.0, 4.0]), tmp_path / "line.flm", sample=NUMBERS)
    (tmp_path / "team.py").write_text(FAILING)
    classes = "- class: team.Inverse\n- class: team.Unloadable\n- file: line.flm"
    (tmp_path / "models.yaml").write_text(f"models:\n{classes}\n")
    port = find_port()
    master, terminal = os.openpty()
    process = subprocess.Popen(
        [environment / "modelhost", "serve", f"--port={port}", "--workers=2"],
        cwd=tmp_path,
        env=os.environ | NATIVE,
        stderr=terminal,
    )
    os.close(terminal)
    shown = ""
    with suppress(OSError):  # the end of a terminal's output
        while piece := os.read(master, 4096).decode():
            shown += piece
            if re.search(r"line +ready", shown):
                failing = Running(process, port, None).ask("/readyz")[1]["models"]["unloadable"]
                process.terminate()
    process.wait(PATIENCE)
    os.close(master)

    inverse = "it does not predict its own example: the model 'inverse' failed"
    lines = [line.split(maxsplit=1) for line in shown.splitlines()]
    assert ["inverse", f"failed: {inverse}: ZeroDivisionError: division by zero"] in lines
    assert ["unloadable", "failed: loading raised RuntimeError: no weights"] in lines
    assert lines[0] == ["Loading", "the models of models.yaml ..."]
    # Other users may reach the server, also on a loopback address.
    assert failing["reason"] == "it raised RuntimeError while loading; see the log"
    assert len(re.findall("ERROR.*model 'inverse' failed", shown)) == 1
    assert "gunicorn" not in shown


def test_address_in_use_is_reported(run):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ran = run("serve", ROOT / "examples/models/wine.flm", "--port", str(port))

    assert ran.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in ran.stderr


def test_script_serves_models_in_memory(run, tmp_path, monkeypatch):
    monkeypatch.setenv("MODELHOST_HOST_NAMES", "models.example")
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--bind=127.0.0.2:0")
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "broken.flm").write_bytes(b"short")
    (tmp_path / "team.py").write_text(TEAM)

    with socket.create_server(("127.0.0.1", 0)) as used:
        ran = run("script.py", str(used.getsockname()[1]), script="python")

    lines = [line for line in ran.stdout.splitlines() if not line.startswith("Serving at http")]
    assert float(lines[0]) == pytest.approx(6), ran.stderr
    assert lines[1].endswith("stopped>")
    assert lines[2:4] == ["True", "20"]
    assert lines[4].endswith("stopped>")
    assert lines[5].startswith("the model 'broken' cannot be served: ")
    assert len(lines) == 9, ran.stdout + ran.stderr
    assert lines[6].endswith("; in a script: serve(..., trust=[...])")
    assert float(lines[7]) == pytest.approx(6)
    assert lines[8] == "4"


def test_killed_script_stops_its_server(run, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "script.py").write_text(KILLED)

    ran = run("script.py", script="python")

    port = int(ran.stdout.rpartition(":")[2].strip(" /\n"))
    assert ran.returncode == -signal.SIGKILL
    wait_until(lambda: not is_listening(port), PATIENCE)
    wait_until(lambda: not [*tmp_path.glob("modelhost-serve-*")], PATIENCE)


def is_listening(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_version_is_that_of_the_wheel(run):
    assert run("--version").stdout == "modelhost, version 0.1.0\n"

import os
import subprocess
import sys

import pytest

from app.serving.process import processes
from app.serving.reload import shared_state
from servers import forking
from tests import ROOT


def test_numpy_is_imported_after_limits():
    libraries = "{'joblib', 'numpy', 'onnxruntime', 'pandas', 'scipy', 'sklearn', 'torch'}"
    program = (
        f"import sys, app.factory, servers.forking, config; print({libraries} & set(sys.modules))"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert ran.stdout.strip() == "set()"


def test_master_imports_prometheus_client_after_its_folder():
    program = (
        "import sys, servers.granian_worker, servers.job_process, servers.forking;"
        "import app.cli.groups, app.cli.commands.serving;"
        "print('prometheus_client' in sys.modules)"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert ran.stdout.strip() == "False"


def test_commands_limit_thread_pools():
    program = "import os, wsgi; print(os.environ['OMP_NUM_THREADS'])"
    environ = {name: text for name, text in os.environ.items() if name != "OMP_NUM_THREADS"}

    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environ | {"MODELHOST_MODELS_FILE": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.strip() == "1"


def test_ipv6_address_has_brackets():
    assert forking.address({"HOST": "::1", "PORT": 80}) == "[::1]:80"
    assert forking.address({"HOST": "127.0.0.1", "PORT": 80}) == "127.0.0.1:80"


def test_folders_of_the_server_stay_private():
    assert forking.STATE_DIR == shared_state.FOLDER
    assert {forking.STATE_DIR, forking.METRICS_DIR} <= set(processes.PRIVATE)


def test_ready_line_counts_models_by_state(make_app, monkeypatch, capsys):
    echo = "\n  - class: tests.models.simple.Echo"
    text = f"models:{echo}{echo}\n    name: other\n    load: worker"
    models = make_app(text, before_fork=True).extensions["modelhost"].manager.models()
    reader, writer = os.pipe()
    os.write(writer, b".")
    monkeypatch.setattr(forking._master, "ready", (reader, writer))

    forking.log_ready({"HOST": "127.0.0.1", "PORT": 80, "LOG_FORMAT": "text"}, models)

    url = "http://127.0.0.1:80/"
    assert capsys.readouterr().err == (
        f"Modelhost is ready: {url} (models: 1 ready, 1 loading)\n"
        "  echo   ready\n  other  loading\n"
        f"Ctrl-C stops the server, and kill -HUP {os.getppid()} reloads its models.\n"
    )


@pytest.fixture
def expecting():
    """A function that runs a program for two workers with a folder for temporary files."""
    program = (
        "import os; from servers import forking; forking.prepare_forks(2); forking.prepare_forks(2); "
        "print(os.path.isdir(os.environ['PROMETHEUS_MULTIPROC_DIR']), flush=True); {end}"
    )

    def run(folder, end):
        return subprocess.run(
            [sys.executable, "-c", program.format(end=end)],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(folder)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    return run


@pytest.mark.parametrize(
    "end", ["pass", "os.fork() and os.wait() or exit()"], ids=["at-the-end", "not-at-a-worker's"]
)
def test_metrics_folder_lives_with_master(expecting, tmp_path, end):
    assert (
        expecting(tmp_path, f"{end}; assert len(os.listdir(os.environ['TMPDIR'])) == 2") == "True"
    )
    assert list(tmp_path.iterdir()) == []


def test_worker_is_removed_while_another_reads_metrics(tmp_path, monkeypatch):
    monkeypatch.setenv(forking.METRICS_DIR, str(tmp_path))
    (tmp_path / "gauge_livesum_7.db").touch()
    remove = os.remove

    def remove_second(path):
        """Remove a file that the other process has removed since it was found."""
        remove(path)
        remove(path)

    monkeypatch.setattr(os, "remove", remove_second)
    forking.remove_worker(7)

    assert list(tmp_path.iterdir()) == []

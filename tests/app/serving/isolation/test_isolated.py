"""Isolated models that crash, hang, leak and attempt forbidden operations."""

import ctypes
import io
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from app.serving.calls.limits import Limits
from app.serving.catalog.model_spec import ModelSpec
from app.serving.errors import (
    InvalidPrediction,
    ModelUnavailable,
    PredictionFailed,
    PredictionTimeout,
)
from app.serving.isolation.isolated_process import LINES_PER_SECOND, IsolatedProcess, read_lines
from app.serving.isolation.protocol import Bounds
from app.serving.models.manager import ModelManager
from app.serving.process.processes import get_sandbox_environ
from mlmodel.bounded.child_process import ChildProcess
from mlmodel.errors import InvalidInput
from tests import ROOT
from tests.waiting import wait_until

HARMFUL = "tests.models.harmful"
LIMITS = Limits(rows=9, threads=1, queue_size=9, seconds=30)
needs_sandbox = pytest.mark.skipif(
    ctypes.CDLL(None).syscall(444, None, 0, 1) < 1, reason="the kernel has no Landlock"
)


@pytest.fixture
def predict(make_app):
    """A function that hosts isolated models and an ordinary one, and returns their predict function."""

    def make(*entries, **settings):
        models = [{"isolate": True, **entry} for entry in entries]
        models.append({"class": "tests.models.simple.Echo"})
        app = make_app(json.dumps({"models": models}), **settings)
        return app.extensions["modelhost"].predictor.predict

    return make


def harmful(class_path, **keys):
    return {"class": f"{HARMFUL}.{class_path}", **keys}


def count_threads():
    """Return the number of threads without the one of the metrics, which stays."""
    return sum(thread.name != "metrics" for thread in threading.enumerate())


def descriptors():
    return len(os.listdir("/proc/self/fd"))


#: Processes that were there before a test.
OTHERS = set()


@pytest.fixture(autouse=True)
def others():
    """Separate this test from processes of other tests."""
    OTHERS.clear()
    OTHERS.update(children())


def children():
    """Return the processes of models that this one has started and that are there, or zombies."""
    found = {
        str(each.pid)
        for each in psutil.Process().children()
        if each.status() == psutil.STATUS_ZOMBIE
        or "app.serving.isolation.isolated_program" in " ".join(each.cmdline())
    }
    return found - OTHERS


def test_isolated_model_predicts_the_same(predict):
    predict = predict(
        {"class": "tests.models.simple.Explained"}, {"class": "tests.models.simple.Ordered"}
    )
    explained = ModelManager().get("explained")

    assert predict("explained", [{"x": 2}, {"x": 3.5}]) == [4.0, 7.0]
    assert predict("explained", [{"x": 2}], "explain") == [{"why": "2 * 2.0"}]
    assert explained.endpoints["explain"].description == "Say how the answer came about."
    assert explained.endpoints["explain"].methods == ("GET", "POST")
    assert explained.about.runtime.endswith(", a process of its own")
    with pytest.raises(InvalidInput, match="must be a number"):
        predict("explained", [{"x": "2"}])
    with pytest.raises(InvalidInput, match="must not be before start") as refused:
        predict("ordered", [{"start": 1, "end": 2}, {"start": 2, "end": 1}])
    assert refused.value.violations[0].row == 1


def test_page_and_header_show_isolation(make_app):
    entry = "class: tests.models.simple.Doubler, isolate: {memory: 1.5GB}"
    client = make_app(f"models: [{{{entry}}}]").test_client()

    page = client.get("/models/doubler/metadata").text
    answer = client.post("/api/models/doubler/predict", json={"x": 1})

    assert "Runs in its own process, with at most 1.5 GB of memory." in page
    assert answer.headers["X-Model-Runtime"].endswith(", a process of its own")


def test_model_is_reloaded_after_crash(predict):
    predict = predict(harmful("dying.Dying"), DEATHS=9)
    for how in ("segfault", "abort", "_exit"):
        before = predict("dying", [{}])

        with pytest.raises(PredictionFailed) as failed:
            predict("dying", [{"how": how}])

        assert "killed by SIG" in str(failed.value.__cause__) or how == "_exit"
        assert predict("echo", [1]) == [1]
        assert predict("dying", [{}]) != before

    # Also between two calls.
    [before] = predict("dying", [{}])
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(before))
    assert predict("dying", [{}]) != [before]


def test_raised_error_fails_one_call(predict):
    predict = predict(harmful("dying.Dying"))
    before = predict("dying", [{}])

    for how in ("exit", "interrupt", "overflow"):
        with pytest.raises(PredictionFailed):
            predict("dying", [{"how": how}])

        assert predict("dying", [{}]) == before


def test_repeated_crashes_quarantine_the_model(predict):
    predict = predict(harmful("dying.Dying"), DEATHS=2)
    for _ in range(2):
        with pytest.raises(PredictionFailed):
            predict("dying", [{"how": "kill"}])

    with pytest.raises(ModelUnavailable, match=r"its process exited 2 times .* by SIGKILL"):
        predict("dying", [{}])
    dying = ModelManager().get("dying")
    dying.lifecycle.load()
    assert predict("dying", [{}])
    for _ in range(2):
        dying.lifecycle.model.count_end("{0}")
    assert dying.reason == "its process exited 2 times within 600 seconds: {0}"


def test_zero_deaths_disables_quarantine(predict):
    predict = predict(harmful("dying.Dying"), DEATHS=0)

    for _ in range(3):  # the default of DEATHS
        with pytest.raises(PredictionFailed):
            predict("dying", [{"how": "kill"}])

    assert predict("dying", [{}])


def test_hanging_call_times_out(predict):
    predict = predict(
        harmful("hanging.Hung", time_limit=1), {"class": "tests.models.simple.Doubler"}
    )
    [before] = predict("hung", [{}])
    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(predict, "hung", [{"hang": True}])
        assert predict("doubler", [{"x": 1}]) == [{"y": 2}]
        assert not hung.done()

        with pytest.raises(PredictionTimeout, match="longer than 1 seconds"):
            hung.result()
    wait_until(lambda: not psutil.pid_exists(before))
    wait_until(lambda: _answers(predict, "hung"))


def _answers(predict, name):
    try:
        return predict(name, [{}])
    except PredictionTimeout:  # it is not loaded again yet
        return None


def test_leaking_model_is_limited_in_memory(predict):
    predict = predict(harmful("leaking.Leaking", isolate={"memory": "200MB"}))
    [before] = predict("leaking", [{}])

    with pytest.raises(PredictionFailed, match="leaking"):
        predict("leaking", [{"bytes": 50_000_000}] * 10)

    assert predict("leaking", [{"bytes": 50_000_000}]) != [before]


#: Entries of models that fail to load, and the reason of each.
FAILURES = [
    (
        harmful("unimportable.Unimportable", name="import"),
        "'a_package_that_nobody_has' is not installed",
    ),
    (
        {"class": "tests.models.broken.RaisesAtLoad", "name": "raise"},
        "it raised RuntimeError while",
    ),
    *(
        (harmful("dying.Dying", name=name, settings={"how": how, "at": "load"}), reason)
        for name, how, reason in [
            ("segfault", "segfault", "killed by SIGSEGV"),
            ("exit", "_exit", "exited with status 3"),
            ("interrupt", "interrupt", "KeyboardInterrupt"),
        ]
    ),
    (
        harmful("hanging.Hung", name="hang", settings={"at": "load"}, isolate={"load_seconds": 1}),
        "it took longer than 1 seconds to load",
    ),
]


def test_load_failure_has_its_reason(predict):
    predict = predict(*(entry for entry, _ in FAILURES))

    for entry, reason in FAILURES:
        with pytest.raises(ModelUnavailable, match=f"is failed: .*{reason}"):
            predict(entry["name"], [{}])
    assert predict("echo", [1]) == [1]
    assert children() == set()


def test_values_are_encoded_as_without_isolation(predict, monkeypatch):
    isolated = predict(harmful("answering.Answering"), harmful("answering.Numbers"))

    assert isolated("answering", [{"what": "nan"}]) == [None]
    assert isolated("answering", [{"what": "bytes"}]) == ["AP8="]
    assert isolated("answering", [{"what": "frame"}]) == [
        [{"a": 1.5, "b": "x"}, {"a": None, "b": "y"}]
    ]
    assert isolated("answering", [{"what": "large"}]) == ["x" * 50_000_000]
    assert isolated("answering", [{"what": "generator"}]) == [[0, 1, 2]]
    with pytest.raises(InvalidPrediction, match="more than 100 MB; send fewer rows"):
        isolated("answering", [{"what": "large"}] * 2)
    for what in ("object", "itself", "surrogate", "digits"):
        with pytest.raises(InvalidPrediction):
            isolated("answering", [{"what": what}])
    with pytest.raises(InvalidPrediction, match="must be a number"):
        isolated("numbers", [{"what": "bytes"}])
    monkeypatch.setattr("app.serving.isolation.isolated_process.MAX_RESPONSE_BYTES", 1_000_000)
    with pytest.raises(PredictionFailed) as failed:
        isolated("answering", [{"what": "large"}])
    assert "a message of at most 1,000,000 bytes, got 50," in str(failed.value.__cause__)


def test_process_state_and_output_are_isolated(predict, caplog):
    caplog.set_level("INFO")
    predict = predict(harmful("meddling.Meddling"))
    folder = os.getcwd()

    assert predict("meddling", [{}]) == ["/"]

    assert (os.getcwd(), signal.getsignal(signal.SIGCHLD)) == (folder, signal.SIG_DFL)
    wait_until(lambda: "written to 2" in caplog.text)
    assert """model 'Meddling' wrote: {"level": "critical", "event": "forged"}""" in caplog.text


def test_logged_lines_are_limited():
    lines = [*read_lines(io.BytesIO(b"x\n" * 10_000))]

    assert lines[: LINES_PER_SECOND + 1] == [b"x\n"] * LINES_PER_SECOND + [lines[-1]]
    assert b"the others are dropped" in lines[-1]


def test_failed_start_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(ChildProcess, "spawn", lambda *_, **__: os.open("/missing", os.O_RDONLY))
    before = descriptors()

    with pytest.raises(FileNotFoundError):
        IsolatedProcess("model", Bounds(), lambda: None)

    assert (descriptors(), [*tmp_path.iterdir()]) == (before, [])


def test_sandboxed_process_gets_no_credentials(monkeypatch):
    for name in ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "DATABASE_URL", "TF_VAR_password"):
        monkeypatch.setenv(name, "secret")
    for name in ("OMP_PROC_BIND", "OMP_PLACES", "KMP_AFFINITY", "GOMP_CPU_AFFINITY"):
        monkeypatch.setenv(name, "secret")  # not one, but it binds threads
    monkeypatch.setenv("OMP_NUM_THREADS", "3")

    environ = get_sandbox_environ()

    assert "secret" not in environ.values()
    assert (environ["OMP_NUM_THREADS"], environ["PATH"]) == ("3", os.environ["PATH"])


def test_unloaded_model_leaves_nothing(predict, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    threads = count_threads()
    before = descriptors()
    predict = predict(harmful("dying.Dying"), harmful("meddling.Meddling"))
    with pytest.raises(PredictionFailed):
        predict("dying", [{"how": "segfault"}])
    assert predict("dying", [{}])
    assert predict("meddling", [{}])

    ModelManager().close()

    wait_until(lambda: count_threads() <= threads)
    # Fewer, if a descriptor of an earlier test is closed meanwhile.
    assert descriptors() <= before
    assert children() == set()
    assert not list(tmp_path.glob("modelhost-isolated-*"))


def test_hanging_model_can_be_unloaded(predict, monkeypatch):
    monkeypatch.setattr("app.serving.isolation.process_supervisor.LEAVE_SECONDS", 0.1)
    predict = predict(harmful("hanging.Hung", time_limit=60))
    model = ModelManager().get("hung")
    model.lifecycle._limits = replace(model.lifecycle._limits, seconds=0.1)
    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(predict, "hung", [{"hang": True}])
        wait_until(lambda: model.calls._running)

        model.lifecycle.unload()

        with pytest.raises(PredictionFailed):
            hung.result()
    assert children() == set()


def test_lazy_model_is_loaded_once(predict):
    predict = predict(harmful("slow.Slow", load="lazy"), MODEL_WAITING=20)
    assert children() == set()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: predict("slow", [{}]), range(8)))

    assert answers == [[1]] * 8


HOST = """
import os, sys
from app import create_app
app = create_app({"APP_SETTINGS": "testing", "MODELHOST_MODELS_FILE": sys.argv[1]})
print(*app.extensions["modelhost"].predictor.predict("hung", [{}]), flush=True)
app.extensions["modelhost"].predictor.predict("hung", [{"hang": True}])
"""


def test_hanging_process_ends_with_its_server(predict, tmp_path, monkeypatch):
    catalog = tmp_path / "models.yaml"
    catalog.write_text(f"models: [{{class: {HARMFUL}.hanging.Hung, isolate: true}}]")
    child = _end_server(catalog, tmp_path)
    wait_until(lambda: not _runs(child))

    # The next process deletes its folder.
    [left] = tmp_path.glob("modelhost-isolated-*")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    predict = predict(harmful("dying.Dying"), harmful("meddling.Meddling"))

    assert predict("dying", [{}])
    assert not left.exists()
    assert len(list(tmp_path.glob("modelhost-isolated-*"))) == 2


def _end_server(catalog, folder):
    """Kill a server while a model hangs, and return the process id of the model."""
    server = subprocess.Popen(
        [sys.executable, "-c", HOST, catalog],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        child = int(server.stdout.readline())
        server.kill()
    return child


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


#: Operations that a sandboxed model attempts.
TRIED = {
    "read a file of the server": "open('{other}').read()",
    "read the settings of the server": "open('/proc/{server}/environ').read()",
    "write beside its own folder": "open('{other}.new', 'w')",
    "change its own model file": "open('{own}', 'a')",
    "put a link beside it": "__import__('os').symlink('{other}', '{own}.link')",
    "write a file of 2 GB": "open(__import__('tempfile').mktemp(), 'wb').truncate(2 * 10**9)",
    "open a socket": "__import__('socket').create_connection(('127.0.0.1', {port}), 1)",
    "open a socket for datagrams": "__import__('socket').socket(type=2)",
    "start a process": "__import__('os').fork()",
    "run a program": "__import__('os').execv('/bin/true', ['true'])",
    "signal the server": "__import__('os').kill({server}, 0)",
    "trace the server": "__import__('ctypes').CDLL(None).ptrace(16, {server}, 0, 0) + 1 or 1 / 0",
    "leave its group": "__import__('os').setsid()",
    "read or set a limit of the server": "__import__('resource').prlimit({server}, 7)",
    "change its priority": "__import__('os').setpriority(0, {server}, 19)",
    "choose its processors": "__import__('os').sched_setaffinity({server}, range(99))",
    "choose its scheduler": "(s := __import__('os')).sched_setscheduler({server}, 0, s.sched_param(0))",
    "share memory": "__import__('ctypes').CDLL(None).shmget(0, 4096, 0o600) + 1 or 1 / 0",
    "let the kernel signal it": "__import__('fcntl').fcntl(0, 8, {server})",
}
ALLOWED = {
    "read its own model file": "len(open('{own}', 'rb').read()) > 0",
    "write its own folder": "open(__import__('tempfile').mktemp(), 'w').write('x')",
    "read Python's libraries": "__import__('json.tool') and 1",
    "start a thread": "__import__('threading').Thread(target=print).start() or 1",
    "limit itself": "__import__('resource').prlimit(0, 7)",
}


@pytest.fixture(scope="module", params=["alone", "shared"])
def sandboxed(request, tmp_path_factory):
    """A function that evaluates an expression in the process of a sandboxed model."""
    folder = tmp_path_factory.mktemp("sandbox")
    own, other = folder / "own.pkl", folder / "other.txt"
    other.write_text("secret")
    spec = ModelSpec(line=1, class_path=f"{HARMFUL}.evaluating.Evaluating")
    bounds = Bounds(reads=(own,)) if request.param == "alone" else Bounds()
    own.write_text("own")
    process = IsolatedProcess("evaluating", bounds, lambda: None)
    if request.param == "shared":
        own = Path(process.files, "own.pkl")
        own.write_text("own")
    process.run(60, 1, "create", pickle.dumps(spec).decode("latin-1"))
    process.run(60, 1, "load")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        known = {"own": own, "other": other, "server": os.getpid()}
        known["port"] = listener.getsockname()[1]
        yield lambda text: process.run(60, 1, "predict", "predict", [{"x": text.format(**known)}])
    process.end()


@needs_sandbox
@pytest.mark.parametrize("text", TRIED.values(), ids=TRIED)
def test_sandbox_denies(sandboxed, text):
    answer = sandboxed(text)

    # A file that is too large is an OSError, without a class of its own.
    assert answer["raised"]["kind"] in {"PermissionError", "ZeroDivisionError", "OSError"}


@needs_sandbox
@pytest.mark.parametrize("text", ALLOWED.values(), ids=ALLOWED)
def test_sandbox_allows(sandboxed, text):
    assert sandboxed(text)["done"]


@needs_sandbox
def test_readyz_shows_the_sandbox(make_app):
    entry = "class: tests.models.simple.Doubler, isolate: "
    client = make_app(
        f"models: [{{{entry} true}}, {{name: free, {entry} {{sandbox: false}}}}]"
    ).test_client()

    assert client.get("/readyz").json["isolation"] == {
        "doubler": "isolated, sandboxed",
        "free": "isolated, not sandboxed",
    }


@needs_sandbox
def test_sandboxed_model_serves_only_its_artifacts(make_app, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("secret")
    # Only packaged files offer artifacts. Their pickle could do the same as this class.
    spec = ModelSpec(
        line=1,
        class_path=f"{HARMFUL}.naming.Naming",
        settings={"other": str(other)},
        is_isolated=True,
        is_sandboxed=True,
        artifacts="all",
    )
    client = make_app("models: []").test_client()
    ModelManager().load_models([spec], LIMITS, tmp_path / "models.yaml")

    names = ("own", "other", "link", "pipe")
    answers = [client.get(f"/models/naming/artifacts/{name}", buffered=True) for name in names]

    assert [answer.status_code for answer in answers] == [200, 404, 404, 404]
    assert answers[0].data == b"own"

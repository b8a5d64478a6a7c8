"""Both servers, each in separate processes."""

import os
import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from mlmodel import dump
from tests.models.recording import Recording
from tests.running_server import NO_LIMIT, PATIENCE, serving, start
from tests.security.test_known_holes import listening
from tests.waiting import wait_until

PROCESSES = "  - class: tests.models.processes."
MANY = """models:
  - class: tests.models.processes.Whereabouts
  - class: tests.models.processes.Whereabouts
    name: in-worker
    load: worker
  - class: tests.models.processes.Threaded
  - class: tests.models.processes.Connected
  - file: boosted.flm
  - class: tests.models.processes.Stuck
    settings: {file: models.yaml}
"""


@pytest.fixture(scope="module", params=["granian"])
def server(request):
    """The name of a server."""
    return request.param


@pytest.fixture(scope="module")
def two(server, tmp_path_factory):
    """A server with two workers, whose environment sets thread pools of several threads."""
    folder = tmp_path_factory.mktemp(server)
    # Without a sample, schemas are inferred by calling the model at load.
    rows = np.random.default_rng(0).random((200, 3))
    boosted = HistGradientBoostingClassifier(max_iter=5).fit(rows, rows[:, 0] > 0.5)
    dump(boosted, folder / "boosted.flm")
    stuck = MANY.replace("models.yaml", str(folder / "models.yaml"))
    settings = {"WORKERS": 2, "OMP_NUM_THREADS": 4, "MODELHOST_WARM_UP_SECONDS": 1}
    settings["MODELHOST_MAX_BODY_BYTES"] = 5000
    with serving(server, folder, stuck, **settings) as running:
        yield running


def asked(running, name, times=16):
    """Return the responses to several requests, each on its own connection."""
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda _: running.ask(f"/api/models/{name}/predict", {}), range(times))
        return [body for status, body in answers if status == 200]


def test_workers_predict_after_fork(two):
    row = {"x0": 0.9, "x1": 0.1, "x2": 0.5}

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: two.ask("/api/models/boosted/predict", row), range(32)))

    assert [body["prediction"] for _, body in answers] == [True] * 32


def test_workers_share_loaded_models(two):
    answers = asked(two, "whereabouts")

    assert {each["loaded_in"] for each in answers} == {two.process.pid}
    assert two.process.pid not in {each["asked_in"] for each in answers}


@pytest.mark.parametrize("name", ["in-worker", "threaded", "connected"])
def test_unforkable_model_loads_in_workers(two, name):
    answers = asked(two, name)

    assert len(answers) == 16
    assert all(each["loaded_in"] == each["asked_in"] for each in answers)


def test_warm_up_runs_in_each_worker(two):
    assert min(each["calls"] for each in asked(two, "whereabouts")) > 1

    # A worker adds a call to the shared metrics a moment later.
    wait_until(lambda: 'model="connected",outcome="ok"} 16.0' in two.ask("/metrics")[1])


def test_ready_line_is_logged_once(two):
    assert len(re.findall("Modelhost is ready", two.log)) == 1


def test_server_listens_at_one_address(two):
    assert listening(two) == {("127.0.0.1", two.port)}


def test_single_worker_loads_its_models(server, tmp_path):
    with serving(server, tmp_path, f"models:\n{PROCESSES}Threaded", WORKERS=1) as running:
        [answer] = asked(running, "threaded", 1)

    assert answer["loaded_in"] == answer["asked_in"] != running.process.pid


def test_dead_worker_is_replaced(two):
    [before] = asked(two, "whereabouts", 1)

    os.kill(before["asked_in"], signal.SIGKILL)
    wait_until(lambda: two.log.count("Spawning") + two.log.count("Booting") == 3, PATIENCE)

    assert len(asked(two, "in-worker")) == 16


HOST = b"Host: x\r\nConnection: close\r\n"
JSON = b"POST /api/models/whereabouts/predict HTTP/1.1\r\nContent-Type: application/json\r\n"
POST = JSON + HOST
CHUNKS = POST + b"Transfer-Encoding: chunked\r\n\r\n"
KEPT = JSON + b"Host: x\r\nContent-Length: 2\r\n\r\n{}"
LARGE = b"1" * 6000
#: The bytes to send, the status of the first response, and other expected text.
RAW = {
    "kept-alive": (KEPT + b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 200, '{"status":"ok"}'),
    "chunked": (CHUNKS + b"2\r\n{}\r\n0\r\n\r\n", 200, '"loaded_in":'),
    "continue": (POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", 100, "loaded_in"),
    "large": (POST + b"Content-Length: 6000\r\n\r\n" + LARGE, 413, "#body-too-large"),
    "large-chunk": (CHUNKS + b"1770\r\n" + LARGE + b"\r\n0\r\n\r\n", 413, "#body-too-large"),
    "said-large": (POST + b"Content-Length: 99999999999\r\n\r\n{}", 413, "#body-too-large"),
    "broken-chunk": (CHUNKS + b"zz\r\n{}\r\n0\r\n\r\n", 400, ""),
    "no-length": (POST + b"\r\n", 400, "#invalid-body"),
    "negative-length": (POST + b"Content-Length: -1\r\n\r\n{}", 400, ""),
    "two-lengths": (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, ""),
    "not-json": (POST + b"Content-Length: 1\r\n\r\n{", 400, "#invalid-body"),
    "wrong-method": (b"BREW /api/models HTTP/1.1\r\n" + HOST + b"\r\n", 405, "#method-not-allowed"),
    "no-path": (b"GET /api/a%2Fb HTTP/1.1\r\n" + HOST + b"\r\n", 404, "#not-found"),
    "no-text": (b"GET /api/models/%ff/metadata HTTP/1.1\r\n" + HOST + b"\r\n", 404, "model-not"),
    "no-http": (b"hello\r\n\r\n", 400, ""),
}


@pytest.mark.parametrize(("sent", "status", "told"), RAW.values(), ids=RAW)
def test_servers_respond_alike_to_bytes(two, sent, status, told):
    answer = two.send(sent)

    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert told in answer


def test_head_response_has_no_body(two):
    answer = two.send(b"HEAD /api/nothing HTTP/1.1\r\n" + HOST + b"\r\n")

    assert answer.startswith("HTTP/1.1 404 ")
    assert answer.endswith("\r\n\r\n")


def test_idle_connections_do_not_block_requests(two):
    with ExitStack() as idle:
        for _ in range(200):
            connection = HTTPConnection("127.0.0.1", two.port, timeout=PATIENCE)
            idle.callback(connection.close)
            connection.request("GET", "/healthz")
            connection.getresponse().read()

        assert two.ask("/healthz")[0] == 200


def test_stop_awaits_requests_and_removes_files(server, tmp_path):
    file, temporary = tmp_path / "stuck", tmp_path / "temporary"
    temporary.mkdir()
    rows = np.random.default_rng(0).random((20, 3))
    boosted = HistGradientBoostingClassifier(max_iter=5).fit(rows, rows[:, 0] > 0.5)
    dump(boosted, tmp_path / "boosted.flm", sample=rows)
    models = f"models:\n{PROCESSES}Stuck\n    settings: {{file: {file}}}\n"
    models += "  - {file: boosted.flm, runtime: onnx}\n"
    sent = [{f"x{at}": value for at, value in enumerate(row)} for row in rows.tolist()]
    settings = {"WORKERS": 2, "TMPDIR": temporary, "MODELHOST_WARM_UP_SECONDS": 0}

    with serving(server, tmp_path, models, **settings) as running, ThreadPoolExecutor() as pool:
        about = running.ask("/api/models/boosted/metadata")[1]
        answers = [running.ask("/api/models/boosted/predict", sent) for _ in range(8)]
        file.touch()
        answer = pool.submit(running.ask, "/api/models/stuck/predict", {})
        wait_until(lambda: Path(f"{file}.asked").exists(), PATIENCE)
        running.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "Handling signal: term" in running.log, PATIENCE)
        file.unlink()

        assert answer.result() == (200, {})
        assert running.process.wait(PATIENCE) == 0
    assert list(temporary.iterdir()) == []
    assert about["runtime"]["compiled"]
    labels = [[each["prediction"] for each in body] for _, body in answers]
    assert labels == [boosted.predict(rows).tolist()] * 8
    # The first SIGTERM after a fork of ONNX Runtime's thread was an abort.
    assert not re.search("SIGABRT|terminate called|Traceback", running.log)


def test_ctrl_c_stops_all_processes(server, tmp_path):
    models = f"models:\n{PROCESSES}Whereabouts"

    with serving(server, tmp_path, models, WORKERS=2, **NO_LIMIT) as running:
        wait_until(
            lambda: len({each["asked_in"] for each in asked(running, "whereabouts")}) == 2, PATIENCE
        )
        # Like Ctrl-C: to all processes in the server's group.
        os.killpg(running.process.pid, signal.SIGINT)

        assert running.process.wait(PATIENCE) in (0, 1)


def test_model_is_not_called_in_master(server, tmp_path):
    rows = np.random.default_rng(0).random((20, 2))
    models, calls = "models:\n", {}
    for name, sample in (("with-sample", rows), ("without", None)):
        estimator = Recording().fit(rows, rows[:, 0])
        calls[name] = tmp_path / f"{name}.calls"
        estimator.file = str(calls[name])
        dump(estimator, tmp_path / f"{name}.flm", sample=sample)
        calls[name].unlink(missing_ok=True)
        models += f"  - {{file: {name}.flm, trust: [tests.models.recording.Recording]}}\n"

    with serving(server, tmp_path, models, WORKERS=2) as running:
        for name, file in calls.items():
            status, _ = running.ask(f"/api/models/{name}/predict", {"x0": 1.0, "x1": 2.0})
            assert status == 200
            assert str(running.process.pid) not in file.read_text().split()
        running.stop(signal.SIGKILL)

        # The workers stop with their master.
        wait_until(lambda: not is_listening(running.port), PATIENCE)


def test_server_stops_during_warm_up(server, tmp_path):
    file = tmp_path / "stuck"
    file.touch()
    models = f"models:\n{PROCESSES}Stuck\n    settings: {{file: {file}}}"
    settings = {"WORKERS": 2, "MODELHOST_WARM_UP_SECONDS": 3600, **NO_LIMIT}
    running = start(server, tmp_path, models, **settings)
    wait_until(lambda: Path(f"{file}.asked").exists(), PATIENCE)

    running.process.send_signal(signal.SIGTERM)

    assert running.process.wait(PATIENCE) in (0, 1)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_server_stops_while_it_loads(server, tmp_path, how):
    file = tmp_path / "slow.py"
    file.write_text(
        "import pathlib, time, mlmodel\n"
        f"pathlib.Path({str(tmp_path / 'loading')!r}).touch()\n"
        f"time.sleep({2 * PATIENCE})\n"
        "class Slow(mlmodel.MLModel): pass\n"
    )
    models = "models: [{class: slow.Slow}, {class: tests.models.simple.Echo}]"
    settings = {"WORKERS": 1, "PYTHONPATH": tmp_path, **NO_LIMIT}
    running = start(server, tmp_path, models, **settings)
    wait_until((tmp_path / "loading").exists, PATIENCE)

    running.process.send_signal(how)

    assert running.process.wait(PATIENCE) == 0
    assert not re.search("failed|Traceback|is ready", running.log)


def is_listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionError:
        return False
    return True


@pytest.mark.parametrize("workers", [1, 2])
def test_invalid_catalog_stops_server(server, tmp_path, workers):
    running = start(server, tmp_path, "models: [{clas: x}]", WORKERS=workers)

    assert running.process.wait(PATIENCE) != 0
    assert running.log.count("Modelhost cannot start.\nmodels.yaml, line 1: ") == 1


def test_invalid_setting_stops_server(server, tmp_path):
    running = start(server, tmp_path, "models: []", WORKERS="many")

    assert running.process.wait(PATIENCE) != 0
    assert "Modelhost cannot start.\nWORKERS must be a whole number" in running.log

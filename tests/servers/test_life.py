"""Reloads, crashes and stops under load: no accepted request is lost, no response is wrong."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import psutil
import pytest

from tests.load import CONNECTIONS, loading
from tests.running_server import PATIENCE, WITH_ADMIN, serving
from tests.waiting import wait_until

#: Seconds of load without an event.
A_WHILE = 0.7
#: Seconds within which both processes respond under load.
WINDOW = 0.5


def lived(number, **settings):
    said = ", ".join(f"{name}: {value}" for name, value in settings.items())
    return f"models:\n  - class: tests.models.lives.Lived\n    settings: {{number: {number}, {said}}}\n"


def write(running, text):
    (running.log_file.parent / "models.yaml").write_text(text, encoding="utf-8")


def pause():
    time.sleep(A_WHILE)


@pytest.fixture(scope="module", params=["granian"])
def server(request):
    """The name of a server."""
    return request.param


@pytest.fixture(scope="module")
def two(server, tmp_path_factory):
    """A server with two processes."""
    folder = tmp_path_factory.mktemp(server)
    settings = {"WORKERS": 2, "MODELHOST_WARM_UP_SECONDS": 1}
    with serving(server, folder, lived(1), **settings, **WITH_ADMIN) as running:
        yield running


def answers_by(load, number):
    """Wait until both processes respond with the model of one number only; return the time."""
    since = 0.0

    def is_so():
        nonlocal since
        since = time.monotonic() - WINDOW
        return load.numbers(since) == {number} and len(load.processes(since)) == 2

    wait_until(is_so, PATIENCE)
    return since


def reload_by_signal(running):
    running.process.send_signal(signal.SIGHUP)


def reload_by_request(running):
    status, body = running.change("/api/models/reload")
    assert (status, body["loaded"], body["processes"]) == (
        200,
        ["lived"],
        {"following": 2, "all": 2},
    )


@pytest.mark.parametrize("how", [reload_by_signal, reload_by_request])
def test_reload_loses_no_request(two, how):
    with loading(two.port) as load:
        for number in (2, 3):
            write(two, lived(number))
            how(two)
            since = answers_by(load, number)

    assert (load.lost, load.wrong) == ({}, {})
    assert load.numbers(since) == {3}


def test_invalid_catalog_changes_no_process(two):
    write(two, lived(4))
    two.change("/api/models/reload")
    write(two, "models: [{clas: x}]")

    with loading(two.port) as load:
        status, problem = two.change("/api/models/reload")
        reload_by_signal(two)
        pause()

    assert (status, problem["detail"][:37]) == (409, "models.yaml, line 1: models/0/clas is")
    assert (load.lost, load.wrong, load.numbers()) == ({}, {}, {4})
    assert two.ask("/readyz")[1]["mistakes"] == ["models.yaml, line 1: models/0/clas"]


def test_load_and_unload_reach_all_processes(two):
    status, body = two.change("/api/models/lived/unload")
    states = {two.ask("/api/models/lived/metadata")[1]["status"] for _ in range(20)}
    assert (status, body["processes"], states) == (200, {"following": 2, "all": 2}, {"unloaded"})

    two.change("/api/models/lived/load")
    with loading(two.port) as load:
        wait_until(lambda: len(load.processes()) == 2, PATIENCE)

    assert (load.lost, load.wrong) == ({}, {})


def test_replacement_worker_has_current_models(two):
    write(two, lived(5))
    two.change("/api/models/reload")
    write(two, "models: [")

    with loading(two.port) as load:
        wait_until(lambda: len(load.processes()) == 2, PATIENCE)
        killed, start = min(load.processes()), time.monotonic()
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: len(load.processes(start + 0.1) - {killed}) == 2, PATIENCE)
        pause()

    assert len(load.lost) <= CONNECTIONS
    assert load.last() < start + 1
    assert (load.wrong, load.numbers()) == ({}, {5})


def test_crashing_replacement_is_tried_once(two):
    write(two, lived(5))
    two.change("/api/models/reload")

    with loading(two.port) as load:
        wait_until(lambda: len(load.processes()) == 2, PATIENCE)
        before = load.processes()
        write(two, lived(6, broken="deadly"))
        reload_by_signal(two)
        wait_until(lambda: load.processes() - before, PATIENCE)
        pause()

    assert len(load.processes()) == 3
    assert (load.wrong, load.numbers()) == ({}, {5})


@pytest.mark.parametrize(("order", "statuses"), [("unload", {503}), ("load", {200})])
def test_replacement_worker_keeps_orders(two, order, statuses):
    two.change(f"/api/models/lived/{order}")
    workers = {child.pid for child in psutil.Process(two.process.pid).children()}

    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_asked(two) in statuses, PATIENCE)

    assert {is_asked(two) for _ in range(20)} == statuses


def test_hanging_reload_does_not_block_workers(server, tmp_path):
    settings = {"WORKERS": 2, "MODELHOST_PREDICT_SECONDS": 2, "MODELHOST_LOAD_SECONDS": 8}
    with serving(server, tmp_path, lived(1), **settings, **WITH_ADMIN) as running:
        write(
            running,
            lived(1) + "\n  - class: tests.models.harmful.hanging.Hung\n    settings: {at: load}",
        )
        status, body = running.change("/api/models/reload")
        assert (status, body["done"]) == (202, False)

        with loading(running.port) as load:
            wait_until(lambda: len(load.processes()) == 2, PATIENCE)
            killed, start = min(load.processes()), time.monotonic()
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda: len(load.processes(start + 0.1) - {killed}) == 2, PATIENCE)
        write(running, lived(2))
        running.change("/api/models/reload")
        with loading(running.port) as load:
            answers_by(load, 2)

    assert load.wrong == {}


def is_asked(running):
    """Return the status of a response, or that there was no response."""
    try:
        return running.ask("/api/models/lived/predict", {"id": 1})[0]
    except OSError:
        return 0


@pytest.mark.parametrize("workers", [1, 2])
def test_stop_completes_running_requests(server, tmp_path, workers):
    said = tmp_path / "said"
    text = lived(1, said=said, seconds=0.05)
    with (
        serving(server, tmp_path, text, WORKERS=workers) as running,
        loading(running.port) as load,
        ThreadPoolExecutor(6) as pool,
    ):
        clients = [pool.submit(statuses_until_refused, running) for _ in range(6)]
        wait_until(lambda: len(load.answers) > 20)
        assert running.stop() == 0

    assert {status for client in clients for status in client.result()} == {200}
    begun = {int(line) for file in tmp_path.glob("said.*") for line in file.read_text().split()}
    assert len(begun) > 20
    assert begun - load.answers.keys() == set()
    assert load.wrong == {}


def statuses_until_refused(running):
    """Send each request on a new connection, and return the status of each accepted one."""
    statuses = []
    while True:
        connection = HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE)
        try:
            connection.connect()
        except ConnectionRefusedError:
            return statuses
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/api/models/lived/predict", b'{"id": 1}', headers)
        statuses.append(connection.getresponse().status)
        connection.close()


def test_single_worker_reload_survives_restart(server, tmp_path):
    settings = {"WORKERS": 1, "MODELHOST_WATCH_SECONDS": 0.1}
    with serving(server, tmp_path, lived(1), **settings) as running:
        with loading(running.port) as load:
            write(running, lived(2))
            wait_until(lambda: load.numbers(time.monotonic() - 0.2) == {2}, PATIENCE)
        assert (load.lost, load.wrong) == ({}, {})
        write(running, "models: [")
        wait_until(lambda: running.ask("/readyz")[1]["mistakes"], PATIENCE)

        os.kill(load.processes().pop(), signal.SIGKILL)
        with loading(running.port) as load:
            wait_until(load.answers.copy, PATIENCE)

    assert load.numbers() == {2}

"""Each server for real, in processes of its own."""

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from mlmodel import dump
from tests.servers import COMMANDS, serving

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


@pytest.fixture(scope="module", params=COMMANDS)
def server(request):
    """The name of a server."""
    return request.param


@pytest.fixture(scope="module")
def two(server, tmp_path_factory):
    """A server with two workers, whose environment asks for pools of several threads."""
    folder = tmp_path_factory.mktemp(server)
    # Without a sample, schemas are what the model itself says when it is asked at load.
    rows = np.random.default_rng(0).random((200, 3))
    boosted = HistGradientBoostingClassifier(max_iter=5).fit(rows, rows[:, 0] > 0.5)
    dump(boosted, folder / "boosted.flm")
    stuck = MANY.replace("models.yaml", str(folder / "models.yaml"))
    settings = {"WORKERS": 2, "OMP_NUM_THREADS": 4, "MODELHOST_WARM_UP_SECONDS": 1}
    with serving(server, folder, stuck, **settings) as running:
        yield running


def asked(running, name, times=16):
    """The answers to as many requests, each on a connection of its own."""
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda _: running.ask(f"/api/models/{name}/predict", {}), range(times))
        return [body for status, body in answers if status == 200]


def test_workers_answer_after_a_model_was_asked_before_the_fork(two):
    row = {"x0": 0.9, "x1": 0.1, "x2": 0.5}

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: two.ask("/api/models/boosted/predict", row), range(32)))

    assert [body["prediction"] for _, body in answers] == [True] * 32


def test_models_are_loaded_once_for_all_workers(two):
    answers = asked(two, "whereabouts")

    assert {each["loaded_in"] for each in answers} == {two.process.pid}
    assert two.process.pid not in {each["asked_in"] for each in answers}


@pytest.mark.parametrize("name", ["in-worker", "threaded", "connected"])
def test_a_model_that_must_not_be_forked_is_loaded_in_each_worker(two, name):
    answers = asked(two, name)

    assert len(answers) == 16
    assert all(each["loaded_in"] == each["asked_in"] for each in answers)


def test_each_worker_warms_up_and_nobody_counts_that(two):
    assert min(each["calls"] for each in asked(two, "whereabouts")) > 1

    _, counted = two.ask("/metrics")
    assert 'model="connected",outcome="ok"} 16.0' in counted


def test_a_server_is_ready_once_and_does_not_wait_for_a_model_that_hangs(two):
    assert len(re.findall("Modelhost is ready", two.log)) == 1


def test_one_worker_loads_its_models_itself(server, tmp_path):
    with serving(server, tmp_path, f"models:\n{PROCESSES}Threaded", WORKERS=1) as running:
        [answer] = asked(running, "threaded", 1)

    assert answer["loaded_in"] == answer["asked_in"] != running.process.pid

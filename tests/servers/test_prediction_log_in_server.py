"""The prediction log of a server whose process is killed."""

import psutil

from app.serving.prediction_log.store import PredictionStore
from tests.running_server import serving
from tests.waiting import wait_until

MODELS = "models: [{class: tests.models.simple.Doubler, log: true}]"


def send(server, names):
    """Predict with each name as the request's id; return the names as a set."""
    for name in names:
        status, _ = server.ask("/api/models/doubler/predict", {"x": 1}, {"X-Request-ID": name})
        assert status == 200
    return {*names}


def read_logged(folder):
    return {each.request_id for each in PredictionStore(folder / "prediction-log").read("doubler")}


def test_killed_process_loses_only_the_last_rows_of_its_log(tmp_path):
    with serving("granian", tmp_path, MODELS, WORKERS=2) as server:
        before = send(server, [f"before-{number}" for number in range(50)])
        wait_until(lambda: read_logged(tmp_path) == before)
        last = send(server, [f"last-{number}" for number in range(5)])
        [first, _] = psutil.Process(server.process.pid).children()
        first.kill()
        after = send(server, [f"after-{number}" for number in range(50)])
        assert server.stop() == 0

    assert before | after <= read_logged(tmp_path) <= before | last | after

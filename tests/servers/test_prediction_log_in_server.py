"""The prediction log of a server whose process is killed."""

import os
import signal
import time
from pathlib import Path

from app.serving.prediction_log.store import PredictionStore
from tests.running_server import serving

MODELS = "models: [{class: tests.models.simple.Doubler, log: true}]"
#: The log promises 0.5 seconds, on a machine with a free core.
MOST_LOST_SECONDS = 1.0


def send_for(server, seconds, sent):
    """Predict for some seconds; add the id and the time of each successful request."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        name = f"r{len(sent)}"
        status, _ = server.ask("/api/models/doubler/predict", {"x": 1}, {"X-Request-ID": name})
        assert status == 200
        sent[name] = time.monotonic()


def get_workers(server):
    master = server.process.pid
    children = Path(f"/proc/{master}/task/{master}/children").read_text(encoding="utf-8")
    return [int(pid) for pid in children.split()]


def test_killed_process_loses_half_a_second_of_log(tmp_path):
    sent = {}
    with serving("granian", tmp_path, MODELS, WORKERS=2) as server:
        send_for(server, 2, sent)
        [first, _] = get_workers(server)
        os.kill(first, signal.SIGKILL)
        killed_at = time.monotonic()
        time.sleep(0.1)
        send_for(server, 1, sent)
        assert server.stop() == 0

    logged = {
        each.request_id for each in PredictionStore(tmp_path / "prediction-log").read("doubler")
    }
    lost = [moment for name, moment in sent.items() if name not in logged]
    assert all(killed_at - MOST_LOST_SECONDS < moment < killed_at for moment in lost)
    assert len(sent) > 10

"""Misbehaving models next to working ones: the responses that clients and operators get."""

import json
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import psutil
import pytest
from sklearn.linear_model import LinearRegression

from mlmodel import dump
from tests.models.harmful.slow import Slow
from tests.models.simple import Hanging
from tests.running_server import serving
from tests.servers.test_crashes import end_all, is_answered, states
from tests.waiting import PATIENCE, wait_until

#: Seven broken models, and the reason of each.
BROKEN = {
    "unimportable": (
        "class: tests.models.harmful.unimportable.Unimportable",
        "the module 'a_package_that_nobody_has' is not installed",
    ),
    "raising": (
        "class: tests.models.broken.RaisesAtLoad",
        "it raised RuntimeError while loading; see the log",
    ),
    "truncated": ("file: truncated.flm", "expected a header of 16 bytes, got a file of 5"),
    "without-schema": (
        "class: tests.models.broken.WrongSchema",
        'not a JSON Schema: at /type, must be one of "array", "boolean"',
    ),
    "hanging": (
        "class: tests.models.harmful.hanging.Hung\n    settings: {at: load}\n"
        "    isolate: {load_seconds: 1}",
        "it took longer than 1 seconds to load",
    ),
    "crashing": (
        "class: tests.models.harmful.dying.Dying\n    isolate: true\n"
        "    settings: {how: segfault, at: load}",
        "its process was ended while loading: killed by SIGSEGV",
    ),
    "dying": (
        "class: tests.models.harmful.dying.Dying",
        "was running in 3 crashes; set `isolate: true` in its entry to keep the server safe",
    ),
}
SOUND = [f"sound-{number}" for number in range(13)]


def entries():
    """Return the text of a models.yaml in which the broken ones stand between the sound ones."""
    kinds = ["class: tests.models.simple.Doubler", "file: line.flm\n    load: lazy"]
    kinds.append("class: tests.models.simple.Doubler\n    isolate: true")
    parts = [(name, kinds[0 if number < 11 else number - 10]) for number, name in enumerate(SOUND)]
    for place, (name, (entry, _)) in enumerate(BROKEN.items()):
        parts.insert(2 * place, (name, entry))
    return "models:\n" + "".join(f"  - name: {name}\n    {entry}\n" for name, entry in parts)


def has_failed(running, name, reason):
    """Return whether a model is failed in all processes, with this reason."""
    found = states(running, name)
    return {state for state, _ in found} == {"failed"} and all(reason in why for _, why in found)


@pytest.mark.parametrize("server", ["granian"])
def test_broken_models_fail_and_others_serve(server, tmp_path):
    line = LinearRegression().fit(pd.DataFrame({"x": [1, 2]}), [2, 4])
    dump(line, tmp_path / "line.flm")
    (tmp_path / "truncated.flm").write_bytes((tmp_path / "line.flm").read_bytes()[:5])

    with serving(server, tmp_path, entries(), WORKERS=2) as running:
        end_all(running, ["segfault", "abort", "kill"])
        for name, (_, reason) in BROKEN.items():
            wait_until(lambda name=name, reason=reason: has_failed(running, name, reason))
            assert running.ask(f"/api/models/{name}/predict", {})[0] == 503

        assert len(running.ask("/readyz")[1]["models"]) == 20
        assert [name for name in SOUND if not is_answered(running, name, {"x": 1})] == []


@pytest.mark.parametrize("server", ["granian"])
def test_isolated_crash_fails_only_its_calls(server, tmp_path):
    text = """models:
  - {class: tests.models.harmful.hanging.Hung, isolate: true, time_limit: 0.5}
  - {class: tests.models.harmful.dying.Dying, isolate: true}
  - {class: tests.models.simple.Doubler}
"""
    with serving(server, tmp_path, text, WORKERS=1) as running:
        with ThreadPoolExecutor(1) as pool:
            hung = pool.submit(running.ask, "/api/models/hung/predict", {"hang": True})
            assert is_answered(running, "doubler", {"x": 1})
            status, problem = hung.result()
            assert (status, problem["title"]) == (504, "Model timed out")
        status, problem = running.ask("/api/models/dying/predict", {"how": "segfault"})
        assert (status, problem["title"]) == (500, "Model error")
        wait_until(lambda: is_answered(running, "hung", {}) and is_answered(running, "dying", {}))
        processes = psutil.Process(running.process.pid).children(recursive=True)
        models = [
            each
            for each in processes
            if "app.serving.isolation.isolated_program" in " ".join(each.cmdline())
        ]
        [worker] = {each.parent() for each in models}

        worker.kill()

        assert (len(models), psutil.wait_procs(models, PATIENCE)[1]) == (2, [])


@pytest.mark.parametrize(
    ("name", "row", "status"),
    [
        ("answering", {"what": "nan"}, 200),
        ("answering", {"what": "bytes"}, 200),
        ("answering", {"what": "frame"}, 200),
        ("answering", {"what": "large"}, 200),
        ("answering", {"what": "object"}, 500),
        ("answering", {"what": "itself"}, 500),
        ("answering", {"what": "surrogate"}, 500),
        ("answering", {"what": "digits"}, 500),
        ("numbers", {"what": "nan"}, 500),
        ("numbers", {"what": "large"}, 500),
        ("dying", {"how": "exit"}, 500),
        ("dying", {"how": "interrupt"}, 500),
        ("dying", {"how": "overflow"}, 500),
        ("hung", {"hang": True}, 504),
    ],
    ids=str,
)
def test_harmful_call_returns_a_problem(harmful, name, row, status):
    answer = harmful.post(f"/api/models/{name}/predict", json=row)

    assert answer.status_code == status
    if status != 200:
        assert answer.mimetype == "application/problem+json"
        assert len(answer.data) < 1000
        assert not any(word in answer.text for word in ("Traceback", "File \\", ".py", "0x"))
    assert harmful.post("/api/models/echo/predict", json=1).json == 1


@pytest.fixture
def harmful(same_app):
    """A client of models that misbehave in the process of the server."""
    entries = [
        {"class": f"tests.models.harmful.{path}"}
        for path in ("answering.Answering", "answering.Numbers", "dying.Dying")
    ]
    entries.append({"class": "tests.models.simple.Hanging", "time_limit": 0.1, "name": "hung"})
    entries.append({"class": "tests.models.simple.Echo"})
    Hanging.go.clear()
    yield same_app(json.dumps({"models": entries})).test_client()
    Hanging.go.set()


def test_time_limit_applies_to_one_model(make_app):
    entry = "{{class: tests.models.simple.Hanging, name: {}, time_limit: {}}}"
    text = f"models: [{entry.format('short', 0.1)}, {entry.format('long', 9)}]"
    client = make_app(text).test_client()
    Hanging.go.clear()
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(client.post, "/api/models/long/predict", json={})
        short = client.post("/api/models/short/predict", json={})
        Hanging.go.set()

        assert (short.status_code, long.result().json) == (504, "done")
    assert short.json["detail"] == "the model took longer than 0.1 seconds"


def test_concurrent_first_requests_load_once(make_app):
    text = "models: [{class: tests.models.harmful.slow.Slow, load: lazy}]"
    predict = make_app(text, MODEL_WAITING=20).extensions["modelhost"].predictor.predict
    before = Slow.loads

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: predict("slow", [{}]), range(16)))

    assert answers == [[before + 1]] * 16

"""Isolated models in one process, in which they really misbehave."""

import os
import pickle
import signal
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from sklearn.linear_model import LinearRegression

from app.serving.calls.limits import Limits
from app.serving.catalog.model_spec import ModelSpec
from app.serving.errors import ModelUnavailable, PredictionFailed, PredictionTimeout
from app.serving.models.manager import ModelManager
from app.serving.models.state import Status
from tests.waiting import wait_until

DYING = "tests.models.harmful.dying.Dying"
HUNG = "tests.models.harmful.hanging.Hung"
RAISING = "tests.models.broken.RaisesAtLoad"
ROW = [{"x0": 1}]


@pytest.fixture
def share(make_app, tmp_path):
    """A function that hosts models in one shared process, and returns their predict function."""

    def make(settings=None, **class_paths):
        app = make_app("models: []")
        limits = Limits(rows=9, threads=1, queue_size=9, seconds=30)
        specs = [
            ModelSpec(
                line=1,
                class_path=class_path,
                name=name,
                settings=(settings or {}).get(name, {}),
                is_isolated=True,
                is_sandboxed=True,
                shares_process=True,
                time_limit=0.5 if class_path == HUNG else None,
            )
            for name, class_path in class_paths.items()
        ]
        ModelManager().load_models(specs, limits, tmp_path / "models.yaml")
        return app.extensions["modelhost"].predictor.predict

    return make


@pytest.fixture
def portal(make_app, tmp_path):
    """A function that hosts pickles which no entry pins, and those of later calls too."""
    app = make_app("models: []", UNPINNED="isolate")

    def reload(**numbers):
        lines = []
        for name, number in numbers.items():
            model = LinearRegression().fit([[0], [1]], [0, number])
            (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(model))
            lines.append(f"  - file: {name}.pkl")
        (tmp_path / "models.yaml").write_text("\n".join(["models:", *lines]))
        app.extensions["modelhost"].reloader.reload()
        return app.extensions["modelhost"].predictor.predict

    return reload


def inmates():
    """Return the processes of isolated models of this process."""
    return {each.pid for each in psutil.Process().children() if is_inmate(each)}


def is_inmate(process):
    try:
        return "app.serving.isolation.isolated_program" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # or a zombie, which has no command line either
        return False


def kill(predict, name):
    with pytest.raises(PredictionFailed):
        predict(name, [{"how": "kill"}])


def test_unpinned_models_share_a_process(share):
    predict = share(one=DYING, other=DYING)

    [pid] = predict("one", [{}])

    assert predict("other", [{}]) == [pid] != [os.getpid()]
    assert {pid} == inmates()
    assert ModelManager().get("one").about.runtime.endswith(", a shared process")

    ModelManager().get("one").lifecycle.unload()
    assert predict("other", [{}]) == [pid]
    ModelManager().get("other").lifecycle.unload()
    assert inmates() == set()


def test_crash_fails_its_own_call_alone(share, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    predict = share(one=DYING, other=DYING)
    before = inmates()

    kill(predict, "one")

    # They are loaded again without a call.
    wait_until(lambda: inmates() not in (before, set()))
    assert predict("other", [{}]) == predict("one", [{}]) == [*inmates()]

    ModelManager().close()

    assert inmates() == set()
    assert not list(tmp_path.glob("modelhost-isolated-*"))


def test_reload_adds_and_replaces_a_model(portal, caplog):
    caplog.set_level("INFO")
    portal(one=1)
    before = inmates()

    predict = portal(one=1, other=2)
    assert predict("one", ROW) == [{"prediction": pytest.approx(1)}]
    assert predict("other", ROW) == [{"prediction": pytest.approx(2)}]
    predict = portal(one=1, other=3)

    assert predict("other", ROW) == [{"prediction": pytest.approx(3)}]
    assert len(before) == 1
    assert inmates() == before
    assert "wrote" not in caplog.text


def test_third_crash_quarantines_one_model(share):
    predict = share(one=DYING, other=DYING)
    for name in ("one", "other", "one", "one"):
        kill(predict, name)

    with pytest.raises(ModelUnavailable, match=r"its process exited 3 times .* by SIGKILL"):
        predict("one", [{}])
    assert predict("other", [{}])


def test_crash_between_calls_is_not_counted(share):
    predict = share(one=DYING, other=DYING)
    for _ in range(3):
        [pid] = predict("one", [{}])
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: not psutil.pid_exists(pid))

    assert predict("one", [{}]) == predict("other", [{}])


def test_hanging_call_ends_at_its_limit(share):
    predict = share(hung=HUNG, other=DYING)
    [before] = predict("other", [{}])
    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(predict, "hung", [{"hang": True}])
        wait_until(lambda: ModelManager().get("hung").calls._running or hung.done())

        [after] = predict("other", [{}])

        with pytest.raises(PredictionTimeout, match=r"longer than 0\.5 seconds"):
            hung.result()
    assert after != before


def test_crash_at_load_fails_one_model(share):
    settings = {"bad": {"how": "segfault", "at": "load"}}
    predict = share(settings, one=DYING, bad=DYING, worse=RAISING, other=DYING)

    assert predict("one", [{}]) == predict("other", [{}])
    with pytest.raises(ModelUnavailable, match="killed by SIGSEGV"):
        predict("bad", [{}])
    assert ModelManager().get("worse").status is Status.FAILED


def test_isolated_entry_has_its_own_process(make_app, tmp_path):
    for name in ("one", "other", "own"):
        model = LinearRegression().fit([[0], [1]], [0, 1])
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(model))
    entries = "{file: one.pkl}, {file: other.pkl}, {file: own.pkl, isolate: true}"

    make_app(f"models: [{entries}]", UNPINNED="isolate")

    runtimes = [model.about.runtime.rpartition(", ")[2] for model in ModelManager().models()]
    assert runtimes == ["a shared process", "a shared process", "a process of its own"]
    assert len(inmates()) == 2

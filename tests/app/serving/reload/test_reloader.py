import gc
import os
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sklearn.linear_model import LinearRegression

from app.factory import create_app
from app.serving.calls.limits import Limits
from app.serving.catalog.fingerprint import stamp
from app.serving.errors import InvalidCatalog, ModelNotFound, ModelUnavailable, StateDamaged
from app.serving.models.manager import ModelManager
from app.serving.models.state import Status
from app.serving.reload import crashes, models_file, shared_state
from mlmodel import dump
from tests.models import lives
from tests.models.simple import Counting
from tests.waiting import wait_until

LIMITS = Limits(rows=1, threads=1, queue_size=1, seconds=1)
LIVED = "  - class: tests.models.lives.Lived\n    settings: "


@pytest.fixture
def portal(make_app, tmp_path):
    """A factory of portals from the text of a models.yaml that can be reloaded."""

    class Portal:
        def __init__(self, text, **settings):
            app = make_app(text, **settings)
            self.reloader = app.extensions["modelhost"].reloader
            self.ask = app.extensions["modelhost"].predictor.predict

        def reload(self, text):
            (tmp_path / "models.yaml").write_text(text)
            return self.reloader.reload()

        def number(self, name="lived", **row):
            return self.ask(name, [{"id": 1} | row])[0]["number"]

    return Portal


def test_changed_entry_replaces_model(portal):
    one = portal(f"models:\n{LIVED}{{number: 1}}")

    followed = one.reload(f"models:\n{LIVED}{{number: 2}}")

    assert (one.number(), followed.changes.loaded) == (2, ["lived"])


def test_unchanged_model_is_not_reloaded(portal):
    before = Counting.loads
    one = portal("models:\n  - class: tests.models.simple.Counting")

    followed = one.reload(f"models:\n{LIVED}{{}}\n  - class: tests.models.simple.Counting")

    assert (followed.changes.unchanged, Counting.loads - before) == (["counting"], 1)
    assert [each.name for each in ModelManager().models()] == ["lived", "counting"]


def test_log_with_an_unknown_field_replaces_no_policy(portal, tmp_path):
    text = "models: [{class: tests.models.simple.Doubler, log: {leave_out: [x]}}]"
    one = portal(text)

    one.reload(text.replace("[x]", "[xx]"))
    one.ask("doubler", [{"x": 1}])

    [model] = ModelManager().models()
    assert model.status is Status.READY
    assert "names 'xx', which is no field of the model's schemas; did you mean 'x'?" in model.reason
    assert model.spec.log.leave_out == {"x"}

    one.reload(text.replace("[x]", "[y]"))

    [model] = ModelManager().models()
    assert (model.reason, model.spec.log.leave_out) == (None, {"y"})


def test_entries_add_and_remove_models(portal):
    one = portal(f"models:\n{LIVED}{{}}")

    followed = one.reload("models:\n  - class: tests.models.simple.Echo")

    assert (followed.changes.loaded, followed.changes.removed) == (["echo"], ["lived"])
    with pytest.raises(ModelNotFound):
        one.number()


def test_changed_file_replaces_model(portal, tmp_path):
    text = "models: [{file: line.flm}]"
    dump(LinearRegression().fit([[1], [2]], [1, 2]), tmp_path / "line.flm")
    one = portal(text)
    dump(LinearRegression().fit([[1], [2]], [10, 20]), tmp_path / "line.flm")

    one.reload(text)

    assert one.ask("line", [{"x0": 3}])[0]["prediction"] == pytest.approx(30)


def test_fetched_model_is_replaced_only_by_one_that_works(portal, tmp_path):
    file = tmp_path / "place/line.flm"
    file.parent.mkdir()
    dump(LinearRegression().fit([[1], [2]], [1, 2]), file)
    text = f"models: [{{file: 'file://{file}', check_every: 3600}}]"
    one = portal(text, FETCH_FROM=f"file://{file.parent}", CACHE_FOLDER="cache")
    one.reloader.start()
    assert (tmp_path / "cache").is_dir()  # beside models.yaml

    file.write_bytes(b"not a model")
    assert "line" in one.reload(text.replace("3600", "1")).changes.failed
    assert one.ask("line", [{"x0": 3}])[0]["prediction"] == pytest.approx(3)
    assert ModelManager().get("line").reason
    dump(LinearRegression().fit([[1], [2]], [10, 20]), file)

    wait_until(lambda: one.ask("line", [{"x0": 3}])[0]["prediction"] == pytest.approx(30))
    assert ModelManager().get("line").reason is None


def test_previous_fetched_file_clears_the_reason(portal, tmp_path):
    file = tmp_path / "place/line.flm"
    file.parent.mkdir()
    dump(LinearRegression().fit([[1], [2]], [1, 2]), file)
    good = file.read_bytes()
    text = f"models: [{{file: 'file://{file}', check_every: 1}}]"
    one = portal(text, FETCH_FROM=f"file://{file.parent}", CACHE_FOLDER="cache")
    file.write_bytes(b"not a model")
    one.reload(text)
    assert "not a model" in ModelManager().get("line").reason

    file.write_bytes(good)
    one.reloader.start()

    wait_until(lambda: ModelManager().get("line").reason is None)


def test_rewritten_identical_file_keeps_model(portal, tmp_path):
    text = "models: [{file: line.flm}]"
    dump(LinearRegression().fit([[1], [2]], [1, 2]), tmp_path / "line.flm")
    one = portal(text)
    (tmp_path / "line.flm").write_bytes((tmp_path / "line.flm").read_bytes())

    assert one.reload(text).changes.unchanged == ["line"]


def test_invalid_catalog_keeps_models(portal):
    one = portal(f"models:\n{LIVED}{{number: 1}}")

    with pytest.raises(InvalidCatalog, match=r"models\.yaml, line 2: models/0/clas "):
        one.reload("models:\n  - clas: tests.models.lives.Lived")

    assert one.number() == 1
    assert one.reloader.mistakes == ("models.yaml, line 2: models/0/clas",)


def test_corrected_catalog_clears_mistakes(portal):
    one = portal("models: []")
    with pytest.raises(InvalidCatalog):
        one.reload("models: [")

    one.reload("models: []")

    assert one.reloader.mistakes == ()


def test_duplicate_name_keeps_models(portal):
    one = portal(f"models:\n{LIVED}{{number: 1}}")

    with pytest.raises(
        InvalidCatalog, match="line 4: name 'lived' is already the name of the model"
    ):
        one.reload(f"models:\n{LIVED}{{number: 2}}\n{LIVED}{{number: 3}}")

    assert one.number() == 1


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("made", "it raised RuntimeError while loading; see the log"),
        ("loaded", "it raised RuntimeError while loading; see the log"),
        ("asked", "it does not predict its own example: the model 'lived' failed (RuntimeError)"),
    ],
)
def test_old_model_serves_if_replacement_fails(portal, broken, reason):
    one = portal(f"models:\n{LIVED}{{number: 1}}")

    followed = one.reload(f"models:\n{LIVED}{{number: 2, broken: {broken}}}")

    lived = ModelManager().get("lived")
    assert followed.changes.failed == {"lived": reason}
    assert (one.number(), lived.status, lived.reason) == (1, Status.READY, reason)


def test_repaired_model_replaces_old_one(portal):
    one = portal(f"models:\n{LIVED}{{number: 1}}")
    one.reload(f"models:\n{LIVED}{{number: 2, broken: loaded}}")

    one.reload(f"models:\n{LIVED}{{number: 2}}")

    assert (one.number(), ModelManager().get("lived").reason) == (2, None)


def test_restored_entry_keeps_its_model(portal):
    one = portal(f"models:\n{LIVED}{{number: 1}}")
    one.reload(f"models:\n{LIVED}{{number: 2, broken: loaded}}")

    followed = one.reload(f"models:\n{LIVED}{{number: 1}}")

    assert (followed.changes.unchanged, ModelManager().get("lived").reason) == (["lived"], None)


def test_failed_model_is_reloaded(portal, tmp_path):
    text = "models: [{file: line.flm}]"
    one = portal(text)
    assert ModelManager().get("line").status is Status.FAILED
    dump(LinearRegression().fit([[1], [2]], [1, 2]), tmp_path / "line.flm")

    one.reload(text)

    assert ModelManager().get("line").status is Status.READY


def test_used_lazy_model_loads_before_replacement(portal):
    lazy = "models:\n  - class: tests.models.lives.Lived\n    load: lazy\n    settings: "
    one = portal(f"{lazy}{{number: 1}}")
    one.number()

    one.reload(f"{lazy}{{number: 2}}")

    assert ModelManager().get("lived").status is Status.READY


def test_calls_succeed_during_replacement(portal):
    one = portal(f"models:\n{LIVED}{{number: 1}}")
    done = threading.Event()

    def ask():
        return [one.number() for _ in iter(done.is_set, True)]

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask) for _ in range(2)]
        for number in range(2, 12):
            one.reload(f"models:\n{LIVED}{{number: {number}}}")
        done.set()

    for numbers in asking:
        assert numbers.result() == sorted(numbers.result())


def test_old_model_unloads_after_last_call(portal):
    held = "models:\n  - class: tests.models.lives.Held\n    settings: "
    one = portal(f"{held}{{number: 1}}")
    old = weakref.ref(ModelManager().get("held").lifecycle.model)
    lives.Held.go.clear()

    with ThreadPoolExecutor() as pool:
        asked = pool.submit(one.number, "held")
        lives.Held.asked.acquire()
        one.reload(f"{held}{{number: 2}}")
        assert old() is not None
        lives.Held.go.set()
        assert asked.result() == 1

    wait_until(lambda: gc.collect() is None or old() is None)
    assert one.number("held") == 2


def test_single_model_is_reloaded(portal):
    before = Counting.loads
    one = portal(f"models:\n{LIVED}{{}}\n  - class: tests.models.simple.Counting")

    followed = one.reloader.reload_model("counting")

    assert (followed.changes.loaded, Counting.loads - before) == (["counting"], 2)


def test_unloaded_model_stays_unloaded(portal):
    one = portal(f"models:\n{LIVED}{{number: 1}}")
    one.reloader.unload("lived")

    one.reload(f"models:\n{LIVED}{{number: 2}}")

    with pytest.raises(ModelUnavailable, match="the model 'lived' is unloaded"):
        one.number()
    one.reloader.load("lived")
    assert one.number() == 2


def test_unload_reaches_a_model_that_replaced_another(portal, tmp_path, monkeypatch):
    one = portal(f"models:\n{LIVED}{{number: 1}}")
    changing = one.reloader._local.changing

    @contextmanager
    def changing_after_reload():
        with changing() as desired:
            one.reloader._publisher.reread(desired)
        with changing() as desired:
            yield desired

    (tmp_path / "models.yaml").write_text(f"models:\n{LIVED}{{number: 2}}")
    monkeypatch.setattr(one.reloader._local, "changing", changing_after_reload)
    one.reloader.unload("lived")

    lived = ModelManager().get("lived")
    assert (lived.version, lived.status) == ("2", Status.UNLOADED)


def test_slow_load_continues_after_its_response(portal, monkeypatch):
    monkeypatch.setattr(lives.Lived, "may_load", threading.Event())
    entry = "models:\n  - class: tests.models.lives.Lived\n    load: lazy\n    settings: "
    one = portal(f"{entry}{{broken: slow}}", PREDICT_SECONDS=0.2)

    assert not one.reloader.load("lived").is_done
    lives.Lived.may_load.set()

    wait_until(lambda: ModelManager().get("lived").status is Status.READY)


def test_unload_during_a_load_happens_later(portal, monkeypatch):
    monkeypatch.setattr(lives.Lived, "may_load", threading.Event())
    entry = "models:\n  - class: tests.models.lives.Lived\n    load: lazy\n    settings: "
    one = portal(f"{entry}{{broken: slow}}", PREDICT_SECONDS=0.2)
    lived = ModelManager().get("lived")
    with lived.lifecycle._loading:
        assert not one.reloader.unload("lived").is_done
        time.sleep(0.3)

    wait_until(lambda: one.reloader._local.applied.generation > 0)
    assert lived.status is Status.LAZY


def test_quarantine_outlasts_loading(portal, monkeypatch):
    monkeypatch.setattr(lives.Lived, "may_load", threading.Event())
    one = portal("models: []", LOAD_SECONDS=0.2)
    one.reload(f"models:\n{LIVED}{{broken: slow}}")
    lived = ModelManager().get("lived")

    lived.lifecycle.fail("it crashed", is_quarantine=True)
    lives.Lived.may_load.set()

    with lived.lifecycle._loading:
        assert (lived.status, lived.reason) == (Status.FAILED, "it crashed")
        assert lived.state.is_quarantined


def test_slow_load_does_not_block_reload(portal):
    one = portal(f"models:\n{LIVED}{{number: 1}}", LOAD_SECONDS=1)

    late = one.reload(f"models:\n{LIVED}{{number: 2, broken: slow}}")
    assert late.changes.failed == {"lived": "loading took longer than 1 seconds"}
    assert one.number() == 1
    one.reload(f"models:\n{LIVED}{{number: 3}}")
    lives.Lived.may_load.set()

    assert one.number() == 3


def test_slow_new_model_serves_once_loaded(portal, monkeypatch):
    monkeypatch.setattr(lives.Lived, "may_load", threading.Event())
    one = portal("models: []", LOAD_SECONDS=0.2)

    one.reload(f"models:\n{LIVED}{{number: 2, broken: slow}}")
    assert ModelManager().get("lived").status is Status.LOADING
    lives.Lived.may_load.set()

    assert one.number() == 2


def test_empty_file_keeps_models(portal):
    one = portal(f"models:\n{LIVED}{{number: 1}}")

    with pytest.raises(InvalidCatalog, match="the file is empty; to remove all models, write"):
        one.reload("\n")
    assert one.number() == 1
    assert one.reload("models: []").changes.removed == ["lived"]


def test_reload_is_requested_while_the_server_starts(make_environ, tmp_path, monkeypatch):
    folder = tmp_path / "shared"
    folder.mkdir()
    read_text = models_file.read_text

    def read_before_change(path):
        """Return the text of the file before an operator changes it and sends a SIGHUP."""
        text = read_text(path)
        path.write_text("models: []")
        (folder / shared_state.RELOAD_REQUEST).touch()
        return text

    monkeypatch.setattr(models_file, "read_text", read_before_change)
    environ = make_environ(f"models:\n{LIVED}{{number: 1}}")
    create_app(environ | {shared_state.FOLDER: str(folder)})
    gc.unfreeze()

    shared = shared_state.SharedState(str(folder))
    file, request = shared.read().stamps
    assert file != stamp(tmp_path / "models.yaml")
    assert request != shared.reload_request
    ModelManager().close()


def test_new_process_does_not_await_reload(portal, tmp_path, monkeypatch):
    monkeypatch.setenv(shared_state.FOLDER, str(tmp_path))
    monkeypatch.setattr(crashes, "REGISTER_SECONDS", 0.1)
    shared = shared_state.SharedState(str(tmp_path))

    with shared_state.SharedState(str(tmp_path)).lock():
        assert crashes.register_process(shared, LIMITS) == shared_state.DesiredState()


def test_damaged_state_starts_a_new_process(make_environ, tmp_path, caplog):
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / shared_state.FILE).write_text("{")
    environ = make_environ(f"models:\n{LIVED}{{number: 1}}")

    app = create_app(environ | {shared_state.FOLDER: str(folder)})
    gc.unfreeze()

    hosting = app.extensions["modelhost"]
    assert hosting.predictor.predict("lived", [{"id": 1}])[0]["number"] == 1
    assert [each for each in caplog.messages if "damaged" in each] == [
        f"{folder / shared_state.FILE} is damaged: the models cannot change; restart the server"
    ]
    with pytest.raises(StateDamaged, match=r"desired\.json, which is damaged; restart the server"):
        hosting.reloader.reload()
    ModelManager().close()


@pytest.mark.parametrize(("age", "is_read"), [(0.2, False), (5, True)])
def test_watched_file_is_read_once_settled(tmp_path, monkeypatch, age, is_read):
    file = tmp_path / "models.yaml"
    file.write_text("models: []")
    written = time.time() - age
    os.utime(file, (written, written))
    monkeypatch.setattr(models_file, "SETTLED_SECONDS", 1)

    assert models_file.ModelsFile(file, {}, LIMITS).has_changed(()) == is_read


def test_only_named_entries_are_hosted(tmp_path):
    file = tmp_path / "models.yaml"
    text = "models:\n  - {file: a.flm}\n  - {file: b.flm, name: x, version: '2'}\n"

    def hosted(*only):
        found = models_file.ModelsFile(file, {}, LIMITS, only=only).get_specs(text)
        return [spec.entry_name for spec in found]

    assert hosted() == ["a", "x@2"]
    assert hosted("x@2") == ["x@2"]
    with pytest.raises(InvalidCatalog, match="no model 'x' of ONLY_MODELS; valid names: a, x@2"):
        hosted("x")

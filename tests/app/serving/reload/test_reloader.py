import gc
import os
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from sklearn.linear_model import LinearRegression

from app.serving.calls.executor import Limits
from app.serving.errors import InvalidCatalog, ModelNotFound, ModelUnavailable
from app.serving.models.manager import ModelManager
from app.serving.models.state import Status
from app.serving.reload import crashes, models_file, shared_state
from mlmodel import dump
from tests.models import lives
from tests.models.simple import Counting
from tests.waiting import wait_until

LIMITS = Limits(rows=1, threads=1, waiting=1, seconds=1)
LIVED = "  - class: tests.models.lives.Lived\n    settings: "


@pytest.fixture
def portal(make_app, tmp_path):
    """A factory of portals from the text of a models.yaml that can be reloaded."""

    class Portal:
        def __init__(self, text, **settings):
            app = make_app(text, **settings)
            self.generations = app.extensions["modelhost"].reloader
            self.ask = app.extensions["modelhost"].predictor.predict

        def reload(self, text):
            (tmp_path / "models.yaml").write_text(text)
            return self.generations.reload()

        def number(self, name="lived", **row):
            return self.ask(name, [{"id": 1} | row])[0]["number"]

    return Portal


def test_a_changed_entry_makes_another_model(portal):
    one = portal(f"models:\n{LIVED}{{number: 1}}")

    followed = one.reload(f"models:\n{LIVED}{{number: 2}}")

    assert (one.number(), followed.changes.loaded) == (2, ["lived"])


def test_what_has_not_changed_is_not_loaded_again(portal):
    before = Counting.loads
    one = portal("models:\n  - class: tests.models.simple.Counting")

    followed = one.reload(f"models:\n{LIVED}{{}}\n  - class: tests.models.simple.Counting")

    assert (followed.changes.unchanged, Counting.loads - before) == (["counting"], 1)
    assert [each.name for each in ModelManager().models()] == ["lived", "counting"]


def test_models_come_and_go_with_their_entries(portal):
    one = portal(f"models:\n{LIVED}{{}}")

    followed = one.reload("models:\n  - class: tests.models.simple.Echo")

    assert (followed.changes.loaded, followed.changes.removed) == (["echo"], ["lived"])
    with pytest.raises(ModelNotFound):
        one.number()


def test_a_file_with_other_bytes_is_another_model(portal, tmp_path):
    text = "models: [{file: line.flm}]"
    dump(LinearRegression().fit([[1], [2]], [1, 2]), tmp_path / "line.flm")
    one = portal(text)
    dump(LinearRegression().fit([[1], [2]], [10, 20]), tmp_path / "line.flm")

    one.reload(text)

    assert one.ask("line", [{"x0": 3}])[0]["prediction"] == pytest.approx(30)


def test_a_file_that_was_written_with_the_same_bytes_is_no_other_model(portal, tmp_path):
    text = "models: [{file: line.flm}]"
    dump(LinearRegression().fit([[1], [2]], [1, 2]), tmp_path / "line.flm")
    one = portal(text)
    (tmp_path / "line.flm").write_bytes((tmp_path / "line.flm").read_bytes())

    assert one.reload(text).changes.unchanged == ["line"]


def test_a_mistake_changes_nothing_and_says_where_it_is(portal):
    one = portal(f"models:\n{LIVED}{{number: 1}}")

    with pytest.raises(InvalidCatalog, match=r"models\.yaml, line 2: models/0/clas "):
        one.reload("models:\n  - clas: tests.models.lives.Lived")

    assert one.number() == 1
    assert one.generations.mistakes == ("models.yaml, line 2: models/0/clas",)


def test_a_mistake_that_was_mended_is_told_no_more(portal):
    one = portal("models: []")
    with pytest.raises(InvalidCatalog):
        one.reload("models: [")

    one.reload("models: []")

    assert one.generations.mistakes == ()


def test_two_new_models_of_one_name_change_nothing(portal):
    one = portal(f"models:\n{LIVED}{{number: 1}}")

    with pytest.raises(InvalidCatalog, match="line 4: name 'lived' is the name of the model"):
        one.reload(f"models:\n{LIVED}{{number: 2}}\n{LIVED}{{number: 3}}")

    assert one.number() == 1


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("made", "it raised RuntimeError while it was loaded; the log says more"),
        ("loaded", "it raised RuntimeError while it was loaded; the log says more"),
        ("asked", "it does not predict its own example: the model 'lived' failed (RuntimeError)"),
    ],
)
def test_the_old_model_answers_if_the_new_one_cannot_and_says_why(portal, broken, reason):
    one = portal(f"models:\n{LIVED}{{number: 1}}")

    followed = one.reload(f"models:\n{LIVED}{{number: 2, broken: {broken}}}")

    lived = ModelManager().get("lived")
    assert followed.changes.failed == {"lived": reason}
    assert (one.number(), lived.status, lived.reason) == (1, Status.READY, reason)


def test_a_model_that_was_mended_takes_the_place_of_the_old_one(portal):
    one = portal(f"models:\n{LIVED}{{number: 1}}")
    one.reload(f"models:\n{LIVED}{{number: 2, broken: loaded}}")

    one.reload(f"models:\n{LIVED}{{number: 2}}")

    assert (one.number(), ModelManager().get("lived").reason) == (2, None)


def test_an_old_entry_that_comes_back_keeps_its_model(portal):
    one = portal(f"models:\n{LIVED}{{number: 1}}")
    one.reload(f"models:\n{LIVED}{{number: 2, broken: loaded}}")

    followed = one.reload(f"models:\n{LIVED}{{number: 1}}")

    assert (followed.changes.unchanged, ModelManager().get("lived").reason) == (["lived"], None)


def test_a_failed_model_is_tried_again(portal, tmp_path):
    text = "models: [{file: line.flm}]"
    one = portal(text)
    assert ModelManager().get("line").status is Status.FAILED
    dump(LinearRegression().fit([[1], [2]], [1, 2]), tmp_path / "line.flm")

    one.reload(text)

    assert ModelManager().get("line").status is Status.READY


def test_a_lazy_model_that_was_in_use_is_loaded_before_it_takes_its_place(portal):
    lazy = "models:\n  - class: tests.models.lives.Lived\n    load: lazy\n    settings: "
    one = portal(f"{lazy}{{number: 1}}")
    one.number()

    one.reload(f"{lazy}{{number: 2}}")

    assert ModelManager().get("lived").status is Status.READY


def test_whoever_asks_while_models_are_replaced_is_answered(portal):
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


def test_the_old_model_goes_when_its_last_call_is_done(portal):
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


def test_one_model_can_be_loaded_anew(portal):
    before = Counting.loads
    one = portal(f"models:\n{LIVED}{{}}\n  - class: tests.models.simple.Counting")

    followed = one.generations.reload_model("counting")

    assert (followed.changes.loaded, Counting.loads - before) == (["counting"], 2)


def test_what_was_taken_out_stays_out(portal):
    one = portal(f"models:\n{LIVED}{{number: 1}}")
    one.generations.unload("lived")

    one.reload(f"models:\n{LIVED}{{number: 2}}")

    with pytest.raises(ModelUnavailable, match="the model 'lived' is unloaded"):
        one.number()
    one.generations.load("lived")
    assert one.number() == 2


def test_a_model_that_takes_too_long_to_load_keeps_no_reload_waiting(portal):
    one = portal(f"models:\n{LIVED}{{number: 1}}", LOAD_SECONDS=0.2)

    late = one.reload(f"models:\n{LIVED}{{number: 2, broken: slow}}")
    assert late.changes.failed == {"lived": "it takes longer than 0.2 seconds to load"}
    assert one.number() == 1
    one.reload(f"models:\n{LIVED}{{number: 3}}")
    lives.Lived.may_load.set()

    assert one.number() == 3


def test_a_new_model_that_takes_long_to_load_answers_when_it_is_there(portal, monkeypatch):
    monkeypatch.setattr(lives.Lived, "may_load", threading.Event())
    one = portal("models: []", LOAD_SECONDS=0.2)

    one.reload(f"models:\n{LIVED}{{number: 2, broken: slow}}")
    assert ModelManager().get("lived").status is Status.LOADING
    lives.Lived.may_load.set()

    assert one.number() == 2


def test_an_empty_file_takes_no_models_away(portal):
    one = portal(f"models:\n{LIVED}{{number: 1}}")

    with pytest.raises(InvalidCatalog, match="the file is empty; to remove all models, write"):
        one.reload("\n")
    assert one.number() == 1
    assert one.reload("models: []").changes.removed == ["lived"]


def test_a_new_process_does_not_wait_for_somebody_who_loads_models(portal, tmp_path, monkeypatch):
    monkeypatch.setenv(shared_state.FOLDER, str(tmp_path))
    monkeypatch.setattr(crashes, "REGISTER_SECONDS", 0.1)
    shared = shared_state.Board(str(tmp_path))

    with shared_state.Board(str(tmp_path)).lock():
        assert crashes.register_process(shared, LIMITS) == shared_state.DesiredState()


@pytest.mark.parametrize(("age", "is_read"), [(0.2, False), (5, True)])
def test_a_watched_file_is_read_when_nobody_has_written_to_it_for_a_second(
    tmp_path, monkeypatch, age, is_read
):
    file = tmp_path / "models.yaml"
    file.write_text("models: []")
    written = time.time() - age
    os.utime(file, (written, written))
    monkeypatch.setattr(models_file, "SETTLED_SECONDS", 1)

    assert models_file.ModelsFile(file, {}, LIMITS).has_changed(()) == is_read

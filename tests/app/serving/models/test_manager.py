import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sklearn.linear_model import LinearRegression

from app.serving.calls.executor import Limits
from app.serving.catalog import catalog
from app.serving.errors import InvalidCatalog, ModelNotFound, ModelUnavailable
from app.serving.models.manager import ModelManager
from app.serving.models.state import Status
from mlmodel import dump
from tests.models.simple import Counting, Waiting
from tests.waiting import wait_until

LIMITS = Limits(rows=10, threads=2, queue_size=2, seconds=10)


@pytest.fixture
def hold(tmp_path):
    """A function that makes the manager hold the models of a text."""

    def hold(text, **how):
        path = tmp_path / "models.yaml"
        path.write_text(text, encoding="utf-8")
        ModelManager().load_models(catalog.read(path, {}), LIMITS, path, **how)
        return ModelManager()

    yield hold
    ModelManager().close()


@pytest.fixture
def loads():
    """How often Counting has been loaded since the test began."""
    before = Counting.loads
    return lambda: Counting.loads - before


def model(name, *lines):
    return "\n".join([f"  - class: tests.models.{name}", *(f"    {line}" for line in lines)])


def test_every_manager_is_the_same_object():
    with ThreadPoolExecutor(8) as pool:
        managers = set(pool.map(lambda _: ModelManager(), range(100)))

    assert len(managers) == 1


def test_models_are_held_in_the_order_of_the_file(hold):
    manager = hold(f"models:\n{model('simple.Echo')}\n{model('simple.Doubler')}")

    assert [each.name for each in manager.models()] == ["echo", "doubler"]


def test_a_model_is_loaded_at_start(hold, loads):
    manager = hold(f"models:\n{model('simple.Counting')}")

    assert (manager.get("counting").status, loads()) == (Status.READY, 1)


def test_a_lazy_model_is_loaded_once_however_many_ask(hold, loads):
    manager = hold(f"models:\n{model('simple.Counting', 'load: lazy')}")
    assert (manager.get("counting").status, loads()) == (Status.LAZY, 0)

    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(manager.get_loaded, ["counting"] * 50))

    assert ({each.status for each in opened}, loads()) == ({Status.READY}, 1)


@pytest.mark.parametrize("before_fork", [False, True])
def test_only_before_a_fork_is_a_model_left_to_the_worker(hold, loads, before_fork):
    manager = hold(f"models:\n{model('simple.Counting', 'load: worker')}", before_fork=before_fork)

    assert loads() == (0 if before_fork else 1)
    assert manager.get("counting").status is (Status.LOADING if before_fork else Status.READY)


@pytest.mark.parametrize("name", ["Unforked", "Threaded", "Connected"])
def test_what_a_fork_would_break_is_left_to_the_worker(hold, name):
    manager = hold(f"models:\n{model('processes.' + name)}", before_fork=True)

    assert manager.get(name.lower()).status is Status.LOADING


def test_a_model_left_to_the_worker_is_loaded_once_however_many_ask(hold, loads):
    manager = hold(f"models:\n{model('simple.Counting', 'load: worker')}", before_fork=True)

    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(manager.get_loaded, ["counting"] * 50))

    assert ({each.status for each in opened}, loads()) == ({Status.READY}, 1)


def test_two_models_of_one_name_are_a_mistake_before_a_fork_too(hold):
    twice = model("processes.Unforked", "load: worker")

    with pytest.raises(
        InvalidCatalog, match="line 4: name 'unforked' is already the name of the model"
    ):
        hold(f"models:\n{twice}\n{twice}", before_fork=True)


def test_an_unknown_name_is_not_found(hold):
    with pytest.raises(ModelNotFound, match="unknown model 'nobody'"):
        hold("models: []").get("nobody")


@pytest.mark.parametrize(
    ("class_name", "name", "reason"),
    [
        ("RaisesAtLoad", "raises-at-load", "it raised RuntimeError while loading"),
        ("NoPredict", "no-predict", "'NoPredict' must define predict"),
        ("NotAModel", "NotAModel", "expected a class derived from mlmodel.MLModel"),
        ("WrongName", "WrongName", "qualified_name must be 1 to 100 letters"),
        ("WrongSchema", "wrong-schema", "not a JSON Schema: at /type"),
        ("RemoteSchema", "remote-schema", "$ref must stay inside its document"),
        ("Missing", "Missing", "module 'tests.models.broken' has no class 'Missing'"),
    ],
)
def test_a_broken_model_is_held_with_its_reason_while_others_serve(hold, class_name, name, reason):
    manager = hold(f"models:\n{model('broken.' + class_name)}\n{model('simple.Echo')}")

    assert manager.get(name).status is Status.FAILED
    assert reason in manager.get(name).reason
    assert manager.get("echo").status is Status.READY


def test_the_reason_of_a_failure_keeps_the_text_of_foreign_errors_to_itself(hold):
    manager = hold(f"models:\n{model('broken.RaisesAtLoad')}")

    assert "secret" not in manager.get("raises-at-load").reason


def test_a_module_that_is_not_installed_is_named(hold):
    manager = hold("models: [{class: nowhere.to.be.Found}]")

    assert manager.get("Found").reason == "the module 'nowhere' is not installed"


def test_a_missing_file_is_a_failure_of_its_model_alone(hold):
    manager = hold(f"models:\n  - file: a/none.flm\n{model('simple.Echo')}")

    assert "No such file" in manager.get("none").reason
    assert manager.get("echo").status is Status.READY


def test_two_models_of_one_name_are_a_mistake(hold):
    with pytest.raises(
        InvalidCatalog, match="line 3: name 'echo' is already the name of the model in line 2"
    ):
        hold(f"models:\n{model('simple.Echo')}\n{model('simple.Echo')}")


def test_a_broken_model_without_a_name_gives_way(hold):
    manager = hold("models:\n  - class: nowhere.Model\n  - class: nowhere_else.Model")

    assert [each.name for each in manager.models()] == ["Model", "Model-3"]


def test_a_model_can_be_unloaded_and_loaded_again(hold, loads):
    counting = hold(f"models:\n{model('simple.Counting')}").get("counting")

    counting.lifecycle.unload()
    assert counting.status is Status.UNLOADED

    counting.lifecycle.load()
    assert (counting.status, loads()) == (Status.READY, 2)


def test_an_unloaded_model_is_not_used(hold):
    echo = hold(f"models:\n{model('simple.Echo')}").get("echo")
    echo.lifecycle.unload()

    with pytest.raises(ModelUnavailable, match="the model 'echo' is unloaded"):
        echo.acquire()


def test_loading_a_broken_model_says_why_it_cannot_be(hold):
    broken = hold(f"models:\n{model('broken.RaisesAtLoad')}").get("raises-at-load")

    with pytest.raises(ModelUnavailable, match="failed: it raised RuntimeError"):
        broken.lifecycle.load()


def test_unloading_waits_for_whoever_uses_the_model(hold):
    waiting = hold(f"models:\n{model('simple.Waiting')}").get("waiting")
    Waiting.go.clear()
    done = []

    def ask():
        done.extend(waiting.acquire().predict([{}]))
        waiting.release()

    asking = threading.Thread(target=ask)
    asking.start()
    Waiting.asked.acquire()
    unloading = threading.Thread(
        target=lambda: (waiting.lifecycle.unload(), done.append("unloaded"))
    )
    unloading.start()
    Waiting.go.set()
    asking.join()
    unloading.join()

    assert done == ["done", "unloaded"]


def test_a_model_that_failed_has_the_name_of_its_class(hold):
    manager = hold("models: [{class: tests.models.simple.Doubler, settings: {a: 1}}]")

    assert "'Doubler' does not accept its settings" in manager.get("doubler").reason


def test_a_model_keeps_the_name_by_which_it_is_known(hold, tmp_path):
    later = hold("models: [{file: later.flm}]").get("later")
    dump(
        LinearRegression().fit([[1], [2]], [1, 2]),
        tmp_path / "later.flm",
        extra={"qualified_name": "credit"},
    )

    later.lifecycle.load()
    wait_until(lambda: later.status is not Status.LOADING)

    assert (later.status, later.name) == (Status.READY, "later")


def test_settings_of_the_entry_override_what_the_model_says(hold):
    lines = ("name: mine", "input_schema: {type: object}", "examples: [{a: 1}]")
    mine = hold(f"models:\n{model('simple.Doubler', *lines)}").get("mine")

    assert (mine.input_schema, mine.examples) == ({"type": "object"}, [{"a": 1}])


def test_an_example_is_made_where_the_author_gives_none(hold):
    assert hold(f"models:\n{model('simple.Doubler')}").get("doubler").examples == [{"x": 999}]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("name: 201", "display_name must have at most 200 characters, got 201"),
        ("members: 10001", "input_schema must have at most 10,000 members, got 10,001"),
        ("examples: 1001", "examples must be at most 1,000 rows, got 1,001"),
    ],
)
def test_model_that_tells_too_much_is_failed(make_app, settings, reason):
    make_app(f"models: [{{class: tests.models.broken.TooLong, settings: {{{settings}}}}}]")

    [model] = ModelManager().models()

    assert (model.status, model.reason) == (Status.FAILED, reason)

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sklearn.linear_model import LinearRegression

from app.serving.calls.limits import Limits
from app.serving.catalog import catalog
from app.serving.errors import InvalidCatalog, ModelNotFound, ModelUnavailable
from app.serving.models.manager import ModelManager
from app.serving.models.state import Status
from mlmodel import dump
from tests.models.simple import Counting, Waiting
from tests.waiting import wait_until

LIMITS = Limits(rows=10, threads=2, queue_size=2, seconds=10)


@pytest.fixture
def load_models(tmp_path):
    """A function that loads the models of a text and returns the manager."""

    def load(text, **how):
        path = tmp_path / "models.yaml"
        path.write_text(text, encoding="utf-8")
        ModelManager().load_models(catalog.read(path, {}), LIMITS, path, **how)
        return ModelManager()

    yield load
    ModelManager().close()


@pytest.fixture
def loads():
    """Returns the number of loads of Counting since the test started."""
    before = Counting.loads
    return lambda: Counting.loads - before


def model(name, *lines):
    return "\n".join([f"  - class: tests.models.{name}", *(f"    {line}" for line in lines)])


def test_manager_is_a_singleton():
    with ThreadPoolExecutor(8) as pool:
        managers = set(pool.map(lambda _: ModelManager(), range(100)))

    assert len(managers) == 1


def test_replaced_lazy_model_is_not_loaded(load_models, loads):
    manager = load_models(f"models:\n{model('simple.Counting', 'load: lazy')}")
    counting = manager.get("counting")

    counting.lifecycle.drain()

    assert not counting.lifecycle.load_if_waiting()
    assert loads() == 0


def test_models_keep_the_file_order(load_models):
    manager = load_models(f"models:\n{model('simple.Echo')}\n{model('simple.Doubler')}")

    assert [each.name for each in manager.models()] == ["echo", "doubler"]


def test_model_is_loaded_at_start(load_models, loads):
    manager = load_models(f"models:\n{model('simple.Counting')}")

    assert (manager.get("counting").status, loads()) == (Status.READY, 1)


def test_lazy_model_is_loaded_once(load_models, loads):
    manager = load_models(f"models:\n{model('simple.Counting', 'load: lazy')}")
    assert (manager.get("counting").status, loads()) == (Status.LAZY, 0)

    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(manager.get_loaded, ["counting"] * 50))

    assert ({each.status for each in loaded}, loads()) == ({Status.READY}, 1)


@pytest.mark.parametrize("before_fork", [False, True])
def test_worker_model_loads_after_the_fork(load_models, loads, before_fork):
    manager = load_models(
        f"models:\n{model('simple.Counting', 'load: worker')}", before_fork=before_fork
    )

    assert loads() == (0 if before_fork else 1)
    assert manager.get("counting").status is (Status.LOADING if before_fork else Status.READY)


@pytest.mark.parametrize("name", ["Unforked", "Threaded", "Connected"])
def test_fork_unsafe_model_waits_for_worker(load_models, name):
    manager = load_models(f"models:\n{model('processes.' + name)}", before_fork=True)

    assert manager.get(name.lower()).status is Status.LOADING


def test_worker_model_is_loaded_once(load_models, loads):
    manager = load_models(f"models:\n{model('simple.Counting', 'load: worker')}", before_fork=True)

    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(manager.get_loaded, ["counting"] * 50))

    assert ({each.status for each in loaded}, loads()) == ({Status.READY}, 1)


def test_duplicate_name_is_rejected_before_fork(load_models):
    twice = model("processes.Unforked", "load: worker")

    with pytest.raises(
        InvalidCatalog, match="line 4: name 'unforked' is already the name of the model"
    ):
        load_models(f"models:\n{twice}\n{twice}", before_fork=True)


def test_unknown_name_is_not_found(load_models):
    with pytest.raises(ModelNotFound, match="unknown model 'absent'"):
        load_models("models: []").get("absent")


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
def test_broken_model_fails_alone(load_models, class_name, name, reason):
    manager = load_models(f"models:\n{model('broken.' + class_name)}\n{model('simple.Echo')}")

    assert manager.get(name).status is Status.FAILED
    assert reason in manager.get(name).reason
    assert manager.get("echo").status is Status.READY


def test_reason_hides_foreign_error_text(load_models):
    manager = load_models(f"models:\n{model('broken.RaisesAtLoad')}")

    assert "secret" not in manager.get("raises-at-load").reason


def test_missing_module_is_named(load_models):
    manager = load_models("models: [{class: nowhere.to.be.Found}]")

    assert manager.get("Found").reason == "the module 'nowhere' is not installed"


def test_missing_file_fails_one_model(load_models):
    manager = load_models(f"models:\n  - file: a/none.flm\n{model('simple.Echo')}")

    assert "No such file" in manager.get("none").reason
    assert manager.get("echo").status is Status.READY


def test_duplicate_name_is_rejected(load_models):
    with pytest.raises(
        InvalidCatalog, match="line 3: name 'echo' is already the name of the model on line 2"
    ):
        load_models(f"models:\n{model('simple.Echo')}\n{model('simple.Echo')}")


def test_provisional_name_is_changed(load_models):
    manager = load_models("models:\n  - class: nowhere.Model\n  - class: nowhere_else.Model")

    assert [each.name for each in manager.models()] == ["Model", "Model-3"]


def test_unloaded_model_can_be_loaded(load_models, loads):
    counting = load_models(f"models:\n{model('simple.Counting')}").get("counting")

    counting.lifecycle.unload()
    assert counting.status is Status.UNLOADED

    counting.lifecycle.load()
    assert (counting.status, loads()) == (Status.READY, 2)


def test_unloaded_model_rejects_calls(load_models):
    echo = load_models(f"models:\n{model('simple.Echo')}").get("echo")
    echo.lifecycle.unload()

    with pytest.raises(ModelUnavailable, match="the model 'echo' is unloaded"):
        echo.acquire()


def test_failed_load_has_the_reason(load_models):
    broken = load_models(f"models:\n{model('broken.RaisesAtLoad')}").get("raises-at-load")

    with pytest.raises(ModelUnavailable, match="failed: it raised RuntimeError"):
        broken.lifecycle.load()


def test_unload_waits_for_running_calls(load_models):
    waiting = load_models(f"models:\n{model('simple.Waiting')}").get("waiting")
    Waiting.go.clear()
    done = []

    def predict():
        done.extend(waiting.acquire().predict([{}]))
        waiting.release()

    calling = threading.Thread(target=predict)
    calling.start()
    Waiting.asked.acquire()
    unloading = threading.Thread(
        target=lambda: (waiting.lifecycle.unload(), done.append("unloaded"))
    )
    unloading.start()
    Waiting.go.set()
    calling.join()
    unloading.join()

    assert done == ["done", "unloaded"]


def test_failed_model_has_class_name(load_models):
    manager = load_models("models: [{class: tests.models.simple.Doubler, settings: {a: 1}}]")

    assert "'Doubler' does not accept its settings" in manager.get("doubler").reason


def test_late_file_keeps_provisional_name(load_models, tmp_path):
    later = load_models("models: [{file: later.flm}]").get("later")
    dump(
        LinearRegression().fit([[1], [2]], [1, 2]),
        tmp_path / "later.flm",
        extra={"qualified_name": "credit"},
    )

    later.lifecycle.load()
    wait_until(lambda: later.status is not Status.LOADING)

    assert (later.status, later.name) == (Status.READY, "later")


def test_entry_overrides_the_model(load_models):
    lines = ("name: mine", "input_schema: {type: object}", "examples: [{a: 1}]")
    mine = load_models(f"models:\n{model('simple.Doubler', *lines)}").get("mine")

    assert (mine.input_schema, mine.about.examples) == ({"type": "object"}, [{"a": 1}])


def test_example_is_derived_from_schema(load_models):
    assert load_models(f"models:\n{model('simple.Doubler')}").get("doubler").about.examples == [
        {"x": 999}
    ]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("name: 201", "display_name must have at most 200 characters, got 201"),
        ("members: 10001", "input_schema must have at most 10,000 members, got 10,001"),
        ("examples: 1001", "examples must be at most 1,000 rows, got 1,001"),
    ],
)
def test_model_above_a_limit_fails(make_app, settings, reason):
    make_app(f"models: [{{class: tests.models.broken.TooLong, settings: {{{settings}}}}}]")

    [model] = ModelManager().models()

    assert (model.status, model.reason) == (Status.FAILED, reason)

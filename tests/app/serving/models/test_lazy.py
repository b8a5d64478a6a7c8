"""Models with ``load: lazy``: described without loading, and loaded again after an unload."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sklearn.linear_model import LinearRegression

from app.serving.models.state import Status
from mlmodel import dump
from tests.models.declared import LoadsSchema
from tests.models.simple import Counting

PATHS = [
    "/models/{}/predict",
    "/models/{}/metadata",
    "/api/models/{}/metadata",
    "/api/models/{}/inspect",
    "/api/models/{}/rows",
    "/openapi.json",
]


@pytest.fixture
def lazy(make_app, monkeypatch):
    """A client and the hosted model of a lazy entry."""
    monkeypatch.setattr(Counting, "loads", 0)
    monkeypatch.setattr(LoadsSchema, "loads", 0)

    def lazy(*entry):
        lines = ["models:", f"  - {entry[0]}", *(f"    {line}" for line in entry[1:])]
        app = make_app("\n".join([*lines, "    load: lazy"]), MODEL_WAITING=20)
        [model] = app.extensions["modelhost"].manager.models()
        return app.test_client(), model

    return lazy


@pytest.fixture
def packaged(tmp_path):
    path = tmp_path / "linear.flm"
    sample = [[1.0, 2.0], [3.0, 4.0]]
    dump(LinearRegression().fit(sample, [1, 2]), path, sample=sample)
    return path


@pytest.mark.parametrize("path", PATHS)
def test_lazy_class_is_described_without_loading(lazy, path):
    client, model = lazy("class: tests.models.simple.Counting")

    assert client.get(path.format("counting")).status_code == 200
    assert (model.status, Counting.loads) == (Status.LAZY, 0)


def test_lazy_file_is_described_without_loading(lazy, packaged):
    client, model = lazy(f"file: {packaged}")

    metadata = client.get("/api/models/linear/metadata").json
    page = client.get("/models/linear/predict").text

    assert (metadata["status"], metadata["loaded"]) == ("lazy", False)
    assert [*metadata["input_schema"]["properties"]] == ["x0", "x1"]
    assert metadata["output_schema"]
    assert 'name="/x0"' in page
    assert model.status is Status.LAZY


def test_lazy_isolated_model_is_described_without_loading(lazy):
    client, model = lazy("class: tests.models.declared.OfDataclass", "isolate: {sandbox: false}")

    metadata = client.get("/api/models/of-dataclass/metadata").json

    assert metadata["status"] == "lazy"
    assert [*metadata["input_schema"]["$defs"]] == ["Whole", "Part"]
    assert client.post("/api/models/of-dataclass/predict", json={"x": 1}).json["y"] == 2.0
    assert model.status is Status.READY


def test_schema_defined_in_load_is_loaded(lazy):
    client, model = lazy("class: tests.models.declared.LoadsSchema")
    assert (model.status, LoadsSchema.loads) == (Status.LAZY, 0)

    metadata = client.get("/api/models/loads-schema/metadata").json

    assert metadata["input_schema"]["properties"] == {"x": {}}
    assert (metadata["status"], LoadsSchema.loads) == ("ready", 1)


def test_typed_path_of_lazy_model_is_complete(lazy):
    client, _ = lazy("class: tests.models.simple.Explained")

    paths = client.get("/openapi.json").json["paths"]

    assert {f"/api/models/explained/{each}" for each in ("predict", "explain", "history")} <= {
        *paths
    }


def test_next_call_reloads_lazy_model(lazy):
    client, model = lazy("class: tests.models.simple.Counting")
    predict = lambda: client.post("/api/models/counting/predict", json={"x": 1})  # noqa: E731
    assert predict().status_code == 200

    model.lifecycle.unload()

    assert (model.status, model.lifecycle.model, Counting.loads) == (Status.LAZY, None, 1)
    assert client.get("/models/counting/predict").status_code == 200
    assert (model.status, Counting.loads) == (Status.LAZY, 1)
    assert predict().status_code == 200
    assert (model.status, Counting.loads) == (Status.READY, 2)


def test_unloaded_file_is_dropped_from_memory(lazy, packaged):
    client, model = lazy(f"file: {packaged}")
    row = {"x0": 1.0, "x1": 2.0}
    first = client.post("/api/models/linear/predict", json=row).json

    model.lifecycle.unload()

    assert model.lifecycle.model is None
    assert model.endpoints["predict"].predict.func == model.calls.call
    assert client.post("/api/models/linear/predict", json=row).json == first


def test_calls_during_unload_succeed(lazy):
    client, model = lazy("class: tests.models.simple.Counting")

    def call(number):
        if number % 10 == 0:
            model.lifecycle.unload()
        return client.post("/api/models/counting/predict", json={"x": number}).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(call, range(100)))

    assert statuses == {200}


def test_failed_lazy_model_stays_unloaded(lazy):
    client, model = lazy("class: tests.models.simple.Counting")
    model.lifecycle.fail("it crashed too often", is_quarantine=True)

    model.lifecycle.unload()

    assert model.status is Status.UNLOADED
    assert client.post("/api/models/counting/predict", json={}).status_code == 503

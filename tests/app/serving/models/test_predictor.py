import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.serving.errors import (
    InvalidPrediction,
    ModelNotFound,
    ModelUnavailable,
    PredictionFailed,
    PredictionTimeout,
    TooManyRows,
)
from app.serving.models.manager import ModelManager
from app.serving.models.state import Status
from mlmodel.errors import InvalidInput
from tests.models.simple import Counting, Hanging, Together, Waiting
from tests.waiting import wait_until


@pytest.fixture
def predictor(same_app):
    return same_app().extensions["modelhost"].predictor


def test_predictions_keep_row_order(predictor):
    assert predictor.predict("doubler", [{"x": 1}, {"x": 2}]) == [{"y": 2.0}, {"y": 4.0}]


def test_empty_batch_is_empty(predictor):
    assert predictor.predict("doubler", []) == []


def test_rows_share_one_call(predictor):
    before = Counting.calls

    predictor.predict("counting", [{}] * 100)

    assert Counting.calls == before + 1


def test_numbers_have_the_schema_type(predictor):
    [prediction] = predictor.predict("doubler", [{"x": 5}])

    assert isinstance(prediction["y"], float)


def test_rows_are_validated_before_the_call(predictor):
    with pytest.raises(InvalidInput) as caught:
        predictor.predict("doubler", [{"x": 1}, {"x": "a"}, {}])

    assert [each.row for each in caught.value.violations] == [1, 2]


def test_number_of_violations_is_limited(predictor):
    with pytest.raises(InvalidInput) as caught:
        predictor.predict("doubler", [{}] * 1000)

    assert len(caught.value.violations) == 200


def test_model_can_reject_a_row(predictor):
    with pytest.raises(InvalidInput, match="must not be before start"):
        predictor.predict("ordered", [{"start": 2, "end": 1}])


@pytest.mark.parametrize("name", ["raises-at-predict", "exits-at-predict"])
def test_model_error_is_prediction_failed(predictor, name):
    with pytest.raises(PredictionFailed, match=f"the model '{name}' failed") as caught:
        predictor.predict(name, [{}])

    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("breaks-its-schema", {}, "/y: must be a number, got null"),
        ("breaks-its-schema", {"a": 1}, '/y: must be a number, got "high"'),
        ("answers-an-object", {}, "which has no JSON form"),
        (
            "answers-too-few",
            {},
            "predict_rows must return a list of 1 predictions, one for each row, got 0",
        ),
    ],
)
def test_invalid_prediction_is_rejected(predictor, name, row, message):
    with pytest.raises(InvalidPrediction) as raised:
        predictor.predict(name, [row])

    assert message in raised.value.detail


def test_nan_becomes_null_if_allowed(predictor):
    assert predictor.predict("answers-nan", [{}]) == [[1.5, None, None]]


def test_call_without_ready_model_is_rejected(predictor):
    with pytest.raises(ModelNotFound):
        predictor.predict("absent", [{}])
    with pytest.raises(ModelUnavailable, match="'raises-at-load' is failed"):
        predictor.predict("raises-at-load", [{}])
    with pytest.raises(TooManyRows, match="expected at most 1,000 rows, got 1,001"):
        predictor.predict("echo", [{}] * 1001)


def test_hanging_model_fails_alone(make_app):
    text = """models:
  - {class: tests.models.simple.Waiting, time_limit: 0.05}
  - {class: tests.models.simple.Echo}
"""
    predictor = make_app(text, MODEL_THREADS=1).extensions["modelhost"].predictor
    Waiting.go.clear()

    with pytest.raises(PredictionTimeout):
        predictor.predict("waiting", [{}])
    predictions = predictor.predict("echo", [{"still": "here"}])
    Waiting.go.set()

    assert predictions == [{"still": "here"}]


@pytest.mark.parametrize(
    ("batch", "sizes"), [("{max_rows: 9}", [1, 2, 2]), ("false", [1, 1, 1])], ids=["on", "off"]
)
def test_entry_enables_batches(make_app, batch, sizes):
    text = f"models: [{{class: tests.models.simple.Together, batch: {batch}}}]"
    app = make_app(text, MODEL_THREADS=1, MODEL_WAITING=2)
    predict = app.extensions["modelhost"].predictor.predict
    Together.go.clear()
    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(predict, "together", [{}])]
        Together.asked.acquire()
        queue = ModelManager().get("together").calls._batcher._batches._pool.calls
        for count in (1, 2):
            calls.append(pool.submit(predict, "together", [{}]))
            wait_until(lambda count=count: queue.qsize() == count)
        Together.go.set()

    assert [size for call in calls for size in call.result()] == sizes


@pytest.fixture
def hanging(make_app):
    """A function that returns a predictor of a model that hangs while loading or predicting."""

    def make(at, **keys):
        entry = {"class": "tests.models.simple.Hanging", "settings": {"at": at}, **keys}
        settings = {"PREDICT_SECONDS": 0.5, "MODEL_THREADS": 1, "MODEL_WAITING": 0}
        Hanging.go.clear()
        return (
            make_app(json.dumps({"models": [entry]}), **settings).extensions["modelhost"].predictor
        )

    yield make
    Hanging.go.set()


def test_hung_model_recovers_by_reloading(hanging):
    predictor, model = hanging("predict"), ModelManager().get("hanging")
    with pytest.raises(PredictionTimeout):
        predictor.predict("hanging", [{}])

    model.lifecycle.unload()
    model.lifecycle.load()
    Hanging.go.set()

    assert predictor.predict("hanging", [{}]) == ["done"]


def test_model_unload_needs_idle_model(hanging):
    predictor, model = hanging("predict"), ModelManager().get("hanging")
    with pytest.raises(PredictionTimeout):
        predictor.predict("hanging", [{}])

    model.lifecycle.unload()

    assert (model.status, Hanging.unloaded_while_running) == (Status.UNLOADED, 0)


def test_hanging_load_does_not_block(hanging):
    predictor = hanging("load", load="lazy")

    with pytest.raises(ModelUnavailable, match="the model 'hanging' is loading"):
        predictor.predict("hanging", [{}])
    Hanging.go.set()
    ModelManager().get("hanging").lifecycle.load()

    assert predictor.predict("hanging", [{}]) == ["done"]


def test_generator_runs_within_the_call(make_app):
    predictor = (
        make_app("models: [{class: tests.models.simple.Lazily}]").extensions["modelhost"].predictor
    )

    assert predictor.predict("lazily", [{"x": 2}]) == [0.5]
    with pytest.raises(PredictionFailed):
        predictor.predict("lazily", [{"x": 0}])


def test_concurrent_predictions_are_correct(predictor):
    wrong = []

    def predict(number):
        for _ in range(20):
            if predictor.predict("echo", [number]) != [number]:
                wrong.append(number)

    threads = [threading.Thread(target=predict, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []

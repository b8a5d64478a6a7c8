import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.serving.errors import (
    InvalidAnswer,
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
def predictor(app):
    return app.extensions["modelhost"].predictor


def test_rows_are_answered_in_their_order(predictor):
    assert predictor.predict("doubler", [{"x": 1}, {"x": 2}]) == [{"y": 2.0}, {"y": 4.0}]


def test_no_rows_are_no_answers(predictor):
    assert predictor.predict("doubler", []) == []


def test_many_rows_are_one_call_of_the_model(predictor):
    before = Counting.calls

    predictor.predict("counting", [{}] * 100)

    assert Counting.calls == before + 1


def test_a_model_gets_the_numbers_that_its_schema_names(predictor):
    [answer] = predictor.predict("doubler", [{"x": 5}])

    assert isinstance(answer["y"], float)


def test_all_rows_are_judged_before_the_model_is_asked(predictor):
    with pytest.raises(InvalidInput) as caught:
        predictor.predict("doubler", [{"x": 1}, {"x": "a"}, {}])

    assert [each.row for each in caught.value.violations] == [1, 2]


def test_a_thousand_wrong_rows_are_told_in_part(predictor):
    with pytest.raises(InvalidInput) as caught:
        predictor.predict("doubler", [{}] * 1000)

    assert len(caught.value.violations) == 200


def test_a_model_may_refuse_a_row_by_itself(predictor):
    with pytest.raises(InvalidInput, match="must not be before start"):
        predictor.predict("ordered", [{"start": 2, "end": 1}])


@pytest.mark.parametrize("name", ["raises-at-predict", "exits-at-predict"])
def test_whatever_a_model_raises_is_its_failure(predictor, name):
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
def test_an_answer_that_may_not_be_is_the_models_failure(predictor, name, row, message):
    with pytest.raises(InvalidAnswer, match=message):
        predictor.predict(name, [row])


def test_nan_is_null_where_the_schema_allows_it(predictor):
    assert predictor.predict("answers-nan", [{}]) == [[1.5, None, None]]


def test_unknown_and_failed_models_and_too_many_rows_are_refused(predictor):
    with pytest.raises(ModelNotFound):
        predictor.predict("nobody", [{}])
    with pytest.raises(ModelUnavailable, match="'raises-at-load' is failed"):
        predictor.predict("raises-at-load", [{}])
    with pytest.raises(TooManyRows, match="expected at most 1,000 rows, got 1,001"):
        predictor.predict("echo", [{}] * 1001)


def test_a_model_that_hangs_hurts_no_other(make_app):
    text = "models:\n" + "".join(
        f"  - class: tests.models.simple.{name}\n" for name in ("Waiting", "Echo")
    )
    predictor = (
        make_app(text, PREDICT_SECONDS=0.05, MODEL_THREADS=1).extensions["modelhost"].predictor
    )
    Waiting.go.clear()

    with pytest.raises(PredictionTimeout):
        predictor.predict("waiting", [{}])
    answers = predictor.predict("echo", [{"still": "here"}])
    Waiting.go.set()

    assert answers == [{"still": "here"}]


@pytest.mark.parametrize(
    ("batch", "answers"), [("{max_rows: 9}", [1, 2, 2]), ("false", [1, 1, 1])], ids=["on", "off"]
)
def test_callers_who_wait_are_asked_together_where_the_entry_says_so(make_app, batch, answers):
    text = f"models: [{{class: tests.models.simple.Together, batch: {batch}}}]"
    app = make_app(text, MODEL_THREADS=1, MODEL_WAITING=2)
    predict = app.extensions["modelhost"].predictor.predict
    Together.go.clear()
    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(predict, "together", [{}])]
        Together.asked.acquire()
        line = ModelManager().get("together").calls._batcher._batches._calls
        for count in (1, 2):
            calls.append(pool.submit(predict, "together", [{}]))
            wait_until(lambda count=count: line.qsize() == count)
        Together.go.set()

    assert [answer for call in calls for answer in call.result()] == answers


@pytest.fixture
def hanging(make_app):
    """A function that makes a predictor for a model that hangs at some point."""

    def make(at, **keys):
        entry = {"class": "tests.models.simple.Hanging", "settings": {"at": at}, **keys}
        settings = {"PREDICT_SECONDS": 0.05, "MODEL_THREADS": 1, "MODEL_WAITING": 0}
        Hanging.go.clear()
        return (
            make_app(json.dumps({"models": [entry]}), **settings).extensions["modelhost"].predictor
        )

    yield make
    Hanging.go.set()


def test_a_model_that_hung_answers_again_when_it_is_loaded_anew(hanging):
    predictor, model = hanging("predict"), ModelManager().get("hanging")
    with pytest.raises(PredictionTimeout):
        predictor.predict("hanging", [{}])

    model.lifecycle.unload()
    model.lifecycle.load()
    Hanging.go.set()

    assert predictor.predict("hanging", [{}]) == ["done"]


def test_a_model_is_told_to_unload_only_when_no_call_runs(hanging):
    predictor, model = hanging("predict"), ModelManager().get("hanging")
    with pytest.raises(PredictionTimeout):
        predictor.predict("hanging", [{}])

    model.lifecycle.unload()

    assert (model.status, Hanging.unloaded_while_running) == (Status.UNLOADED, 0)


def test_a_model_that_hangs_while_it_is_loaded_keeps_nobody_waiting(hanging):
    predictor = hanging("load", load="lazy")

    with pytest.raises(ModelUnavailable, match="the model 'hanging' is loading"):
        predictor.predict("hanging", [{}])
    Hanging.go.set()
    ModelManager().get("hanging").lifecycle.load()

    assert predictor.predict("hanging", [{}]) == ["done"]


def test_what_a_model_does_late_is_done_in_its_own_time_and_is_its_failure(make_app):
    predictor = (
        make_app("models: [{class: tests.models.simple.Lazily}]").extensions["modelhost"].predictor
    )

    assert predictor.predict("lazily", [{"x": 2}]) == [0.5]
    with pytest.raises(PredictionFailed):
        predictor.predict("lazily", [{"x": 0}])


def test_many_threads_may_ask_at_once(predictor):
    wrong = []

    def ask(number):
        for _ in range(20):
            if predictor.predict("echo", [number]) != [number]:
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("TooFew", "predict_rows must return a list of 2 predictions, one for each row, got 1"),
        (
            "WrongType",
            'the prediction violates the output schema: the whole: must be a number, got "high"',
        ),
    ],
)
def test_failing_example_is_in_notes_and_pages(make_app, name, note):
    app = make_app(f"models:\n  - class: tests.models.declared.{name}")
    predictor = app.extensions["modelhost"].predictor
    [model] = predictor.manager.models()

    predictor.smoke_test(model)

    client = app.test_client()
    metadata = client.get(f"/api/models/{model.name}/metadata").json
    assert metadata["status"] == "ready"
    assert metadata["notes"] == [f"it does not predict its own example: {note}"]
    for page in ("predict", "metadata"):
        text = client.get(f"/models/{model.name}/{page}").text
        assert "it does not predict its own example" in text


def test_model_that_fails_for_its_authors_example_is_failed(make_app):
    app = make_app("models:\n  - class: tests.models.declared.WrongTypeForOwnExample")
    predictor = app.extensions["modelhost"].predictor
    [model] = predictor.manager.models()

    predictor.smoke_test(model)

    assert (model.status, model.about.all_notes) == (Status.FAILED, [model.reason])

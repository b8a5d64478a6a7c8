from collections import Counter

import pytest

from app.serving.errors import PredictionFailed, TooManyRows
from app.serving.models.hosted import HostedModel
from app.serving.prediction_log.store import PredictionStore
from app.serving.process.metrics import get_registry, read_call_samples
from mlmodel.errors import InvalidInput
from tests.models.answers import Interrupted

MODELS = """
models:
  - {class: tests.models.answers.Fragile}
  - {class: tests.models.answers.Interrupted, log: true}
  - {class: tests.models.answers.Risk, name: risk}
  - {class: tests.models.broken.RaisesAtPredict, name: raises}
"""


@pytest.fixture
def predictor(make_app):
    return make_app(MODELS).extensions["modelhost"].predictor


@pytest.fixture
def results(predictor):
    """A function that returns a model's results, and the numbers of its calls and their rows."""

    def predict(name, rows):
        before = count(name)
        found = predictor.predict_each(name, rows)[1]
        return found, tuple(after - old for after, old in zip(count(name), before, strict=True))

    return predict


def count(name):
    """Return the calls of a model and their rows, as ``/metrics`` counts them."""
    totals = Counter()
    for sample in read_call_samples(get_registry()):
        if sample.labels["model"] == name:
            totals[sample.name] += sample.value
    return totals["modelhost_predictions_total"], totals["modelhost_rows_total"]


def test_valid_rows_share_one_call(results):
    found, calls = results("fragile", [{"x": 1}, {"x": 2}])

    assert [each.prediction for each in found] == [1, 0.5]
    assert calls == (1, 2)


def test_rejected_rows_are_left_out(results):
    found, calls = results("risk", [{"amount": 0, "kind": "car"}, {}, {"amount": "a"}])

    assert found[0].prediction["prediction"] == "low"
    assert all(isinstance(each.error, InvalidInput) for each in found[1:])
    assert [each.detail for each in found[1].error.violations] == ["is required"] * 2
    assert {each.row for each in found[2].error.violations} == {0}
    assert calls == (2, 4)


def test_rows_that_the_model_rejects_are_not_repeated(results):
    bad, good = {"amount": 666, "kind": "home"}, {"amount": 1, "kind": "home"}

    found, calls = results("risk", [good, bad, good, bad, good])

    assert [each.error is None for each in found] == [True, False, True, False, True]
    assert found[3].error.violations[0].pointer == "/amount"
    assert calls == (5, 11)


def test_row_on_which_the_model_fails_is_found(results):
    found, _ = results("fragile", [{"x": number} for number in range(-3, 4)])

    assert [isinstance(each.error, PredictionFailed) for each in found].index(True) == 3
    assert [each.prediction for each in found].count(None) == 1


def test_failing_model_is_not_called_for_each_row(results):
    found, calls = results("raises", [{}] * 1000)

    assert all(isinstance(each.error, PredictionFailed) for each in found)
    assert calls[0] <= 21


def test_errors_of_all_rows_are_raised(results):
    with pytest.raises(TooManyRows):
        results("fragile", [{"x": 1}] * 1001)


def test_all_calls_reach_the_model_of_the_first(predictor, monkeypatch):
    monkeypatch.setattr(Interrupted, "after", lambda: predictor.manager.hold(()))

    _, found = predictor.predict_each("interrupted", [{"x": 1}, {"x": 0}])

    assert [each.prediction for each in found] == [1, None]


def test_rows_of_a_dropped_model_are_logged_once(predictor, monkeypatch, tmp_path):
    dropped, calls = predictor.manager.get("interrupted"), []
    replacement = HostedModel(dropped.spec, dropped.limits)
    replacement.lifecycle.load_or_describe()

    def drop():
        calls.append(len(calls))
        if len(calls) == 2:  # the call with the first row alone
            predictor.manager.hold([replacement])
            dropped.state.drain()
            dropped.calls.clear()

    monkeypatch.setattr(Interrupted, "after", drop)
    hosted, found = predictor.predict_each("interrupted", [{"x": 1}, {"x": 0}])
    predictor.prediction_log.flush()

    assert hosted is replacement
    assert [each.prediction for each in found] == [1, None]
    store = PredictionStore(tmp_path / "prediction-log")
    assert [each.row for each in store.read("interrupted")] == [{"x": 1}]

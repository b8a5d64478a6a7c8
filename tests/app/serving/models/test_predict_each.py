import pytest

from app.serving.errors import PredictionFailed, TooManyRows
from app.serving.models import predictor as predictor_module
from app.serving.models.hosted import HostedModel
from app.serving.prediction_log.store import PredictionStore
from mlmodel.errors import InvalidInput

MODELS = """
models:
  - {class: tests.models.answers.Fragile, name: fragile, log: true}
  - {class: tests.models.answers.Risk, name: risk}
  - {class: tests.models.broken.RaisesAtPredict, name: raises}
"""


@pytest.fixture
def predictor(make_app):
    return make_app(MODELS).extensions["modelhost"].predictor


@pytest.fixture
def results(predictor, monkeypatch):
    """A function that returns a model's results, and the number of its calls."""
    predict, calls = predictor_module._predict_measured, []

    def counted(hosted, target, rows):
        calls.append(len(rows))
        predictor.manager.hold(())  # all calls reach the model of the first one
        return predict(hosted, target, rows)

    monkeypatch.setattr(predictor_module, "_predict_measured", counted)
    return lambda name, rows: (predictor.predict_each(name, rows)[1], calls)


def test_valid_rows_share_one_call(results):
    found, calls = results("fragile", [{"x": 1}, {"x": 2}])

    assert [each.prediction for each in found] == [1, 0.5]
    assert calls == [2]


def test_rejected_rows_are_left_out(results):
    found, calls = results("risk", [{"amount": 0, "kind": "car"}, {}, {"amount": "a"}])

    assert found[0].prediction["prediction"] == "low"
    assert all(isinstance(each.error, InvalidInput) for each in found[1:])
    assert [each.detail for each in found[1].error.violations] == ["is required"] * 2
    assert {each.row for each in found[2].error.violations} == {0}
    assert calls == [3, 1]


def test_rows_that_the_model_rejects_are_not_repeated(results):
    bad, good = {"amount": 666, "kind": "home"}, {"amount": 1, "kind": "home"}

    found, calls = results("risk", [good, bad, good, bad, good])

    assert [each.error is None for each in found] == [True, False, True, False, True]
    assert found[3].error.violations[0].pointer == "/amount"
    assert calls == [5, 1, 3, 1, 1]


def test_row_on_which_the_model_fails_is_found(results):
    found, _ = results("fragile", [{"x": number} for number in range(-3, 4)])

    assert [isinstance(each.error, PredictionFailed) for each in found].index(True) == 3
    assert [each.prediction for each in found].count(None) == 1


def test_failing_model_is_not_called_for_each_row(results):
    found, calls = results("raises", [{}] * 1000)

    assert all(isinstance(each.error, PredictionFailed) for each in found)
    assert len(calls) <= 21


def test_errors_of_all_rows_are_raised(results):
    with pytest.raises(TooManyRows):
        results("fragile", [{"x": 1}] * 1001)


def test_rows_of_a_dropped_model_are_logged_once(predictor, monkeypatch, tmp_path):
    predict, dropped = predictor_module._predict_measured, predictor.manager.get("fragile")
    replacement = HostedModel(dropped.spec, dropped.limits)
    replacement.lifecycle.load_or_describe()

    def predict_and_drop(hosted, target, rows):
        found = predict(hosted, target, rows)
        if hosted is dropped:
            predictor.manager.hold([replacement])
            dropped.state.drain()
            dropped.calls.clear()
        return found

    monkeypatch.setattr(predictor_module, "_predict_measured", predict_and_drop)
    hosted, found = predictor.predict_each("fragile", [{"x": 1}, {"x": 0}])
    predictor.prediction_log.flush()

    assert hosted is replacement
    assert [each.prediction for each in found] == [1, None]
    assert [each.row for each in PredictionStore(tmp_path / "prediction-log").read("fragile")] == [
        {"x": 1}
    ]

import threading

import pytest
from prometheus_client import REGISTRY

from app.serving.models.state import Status
from app.serving.process import metrics
from app.serving.reload.warmup import smoke_test, warm_up

PROCESSES = "models:\n  - class: tests.models.processes."


@pytest.fixture
def predictor(make_app):
    """A factory of predictors before a fork, from the text of a models.yaml."""

    def make(text):
        return make_app(text, before_fork=True).extensions["modelhost"].predictor

    return make


def calls(predictor, name):
    """Return how many calls a model had before this one."""
    return predictor.predict(name, [{}])[0]["calls"] - 1


def test_each_model_predicts_example_once(predictor):
    warm = predictor(f"{PROCESSES}Whereabouts")

    warm_up(warm.manager, 10)

    assert calls(warm, "whereabouts") == 1


def test_zero_seconds_disables_warm_up(predictor):
    warm = predictor(f"{PROCESSES}Whereabouts")

    warm_up(warm.manager, 0)

    assert calls(warm, "whereabouts") == 0


def test_warm_up_is_not_counted(predictor):
    warm = predictor(f"{PROCESSES}Whereabouts\n    name: uncounted")

    warm_up(warm.manager, 10)

    assert metrics.read_usage(REGISTRY)["uncounted"].calls == 0


def test_model_failing_its_example_is_failed(predictor, manager, caplog):
    warm = predictor(f"{PROCESSES}Refusing")

    warm_up(warm.manager, 10)

    assert "not this one" in caplog.text
    model = manager.get("refusing")
    assert model.status is Status.FAILED
    assert model.reason == (
        "it does not predict its own example: the model 'refusing' failed (RuntimeError)"
    )


def test_lazy_model_stays_lazy(predictor, manager):
    warm_up(predictor(f"{PROCESSES}Whereabouts\n    load: lazy").manager, 10)

    assert manager.get("whereabouts").status is Status.LAZY


def test_warm_up_ends_at_time_limit(predictor, tmp_path):
    file = tmp_path / "stuck"
    file.touch()
    settings = f"settings: {{file: {file}}}"
    warm = predictor(f"{PROCESSES}Stuck\n    {settings}\n  - class: tests.models.simple.Echo")

    warm_up(warm.manager, 0.01)

    assert warm.predict("echo", [1]) == [1]
    file.unlink()


def test_false_heartbeat_ends_wait(predictor, tmp_path):
    file = tmp_path / "stuck"
    file.touch()
    warm = predictor(f"{PROCESSES}Stuck\n    settings: {{file: {file}}}")
    waiting = threading.Thread(target=warm_up, args=(warm.manager, 3600, lambda: False))

    waiting.start()
    waiting.join(10)

    assert not waiting.is_alive()
    file.unlink()


def test_deferred_models_are_loaded(predictor, manager):
    warm = predictor(f"{PROCESSES}Unforked")
    assert manager.get("unforked").status is Status.LOADING

    warm_up(warm.manager, 10)

    assert manager.get("unforked").status is Status.READY


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("TooFew", "predict_rows must return a list of 2 predictions, one for each row, got 1"),
        (
            "WrongType",
            "the prediction violates the output schema: the whole: must be a number",
        ),
    ],
)
def test_failing_example_is_in_notes_and_pages(make_app, name, note):
    app = make_app(f"models:\n  - class: tests.models.declared.{name}")
    [model] = app.extensions["modelhost"].manager.models()

    smoke_test(model)

    client = app.test_client()
    metadata = client.get(f"/api/models/{model.name}/metadata").json
    assert metadata["status"] == "ready"
    assert metadata["notes"] == [f"it does not predict its own example: {note}"]
    for page in ("predict", "metadata"):
        text = client.get(f"/models/{model.name}/{page}").text
        assert "it does not predict its own example" in text


def test_null_of_the_output_schema_is_not_in_notes(make_app):
    app = make_app("models:\n  - class: tests.models.declared.MayReturnNothing")
    [model] = app.extensions["modelhost"].manager.models()

    assert smoke_test(model) == ""

    assert app.test_client().get(f"/api/models/{model.name}/metadata").json["notes"] == []


def test_null_prediction_is_in_notes(make_app):
    app = make_app("models:\n  - class: tests.models.declared.ReturnsNothing")
    [model] = app.extensions["modelhost"].manager.models()

    assert [smoke_test(model), smoke_test(model)] == ["", ""]

    metadata = app.test_client().get(f"/api/models/{model.name}/metadata").json
    assert (metadata["status"], metadata["notes"]) == (
        "ready",
        ["predict returned None for the example; does it lack a return?"],
    )


def test_failing_author_example_fails_model(make_app):
    app = make_app("models:\n  - class: tests.models.declared.WrongTypeForOwnExample")
    [model] = app.extensions["modelhost"].manager.models()

    smoke_test(model)

    assert (model.status, model.about.failing_example) == (Status.FAILED, model.reason)

import threading

import pytest
from prometheus_client import REGISTRY

from app.serving.models.state import Status
from app.serving.process import metrics
from app.serving.reload.warmup import warm_up

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


def test_each_model_answers_its_example_once(predictor):
    warm = predictor(f"{PROCESSES}Whereabouts")

    warm_up(warm, 10)

    assert calls(warm, "whereabouts") == 1


def test_nobody_is_asked_in_no_time(predictor):
    warm = predictor(f"{PROCESSES}Whereabouts")

    warm_up(warm, 0)

    assert calls(warm, "whereabouts") == 0


def test_warming_up_is_not_counted(predictor):
    warm = predictor(f"{PROCESSES}Whereabouts\n    name: uncounted")

    warm_up(warm, 10)

    assert metrics.usage(REGISTRY)["uncounted"].calls == 0


def test_model_that_fails_at_its_own_example_is_failed(predictor, manager, caplog):
    warm = predictor(f"{PROCESSES}Refusing")

    warm_up(warm, 10)

    assert "not this one" in caplog.text
    model = manager.get("refusing")
    assert model.status is Status.FAILED
    assert model.reason == (
        "it does not predict its own example: the model 'refusing' failed (RuntimeError)"
    )


def test_a_lazy_model_stays_so(predictor, manager):
    warm_up(predictor(f"{PROCESSES}Whereabouts\n    load: lazy"), 10)

    assert manager.get("whereabouts").status is Status.LAZY


def test_a_slow_model_is_not_waited_for_longer_than_said(predictor, tmp_path):
    file = tmp_path / "stuck"
    file.touch()
    settings = f"settings: {{file: {file}}}"
    warm = predictor(f"{PROCESSES}Stuck\n    {settings}\n  - class: tests.models.simple.Echo")

    warm_up(warm, 0.01)

    assert warm.predict("echo", [1]) == [1]
    file.unlink()


def test_waiting_ends_when_there_is_no_more_use(predictor, tmp_path):
    file = tmp_path / "stuck"
    file.touch()
    warm = predictor(f"{PROCESSES}Stuck\n    settings: {{file: {file}}}")
    waiting = threading.Thread(target=warm_up, args=(warm, 3600, lambda: False))

    waiting.start()
    waiting.join(10)

    assert not waiting.is_alive()
    file.unlink()


def test_models_that_were_not_to_be_forked_are_loaded(predictor, manager):
    warm = predictor(f"{PROCESSES}Unforked")
    assert manager.get("unforked").status is Status.LOADING

    warm_up(warm, 10)

    assert manager.get("unforked").status is Status.READY

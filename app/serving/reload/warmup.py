"""Warm-up of a worker: it loads the remaining models, and predicts an example with each model.

The first prediction of a model may take a hundred times as long as the second: it imports code,
allocates memory and builds a graph. No client should wait for that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from app.serving.errors import (
    InvalidPrediction,
    PredictionFailed,
    ServingError,
    get_failure_detail,
)
from app.serving.models.hosted import HostedModel
from app.serving.models.manager import ModelManager
from app.serving.models.predictor import predict_with_endpoint
from mlmodel.errors import InvalidInput
from mlmodel.model import MLModel
from mlmodel.schema.shape import Shape

log = logging.getLogger(__name__)

#: Name of the warm-up thread.
THREAD = "warm-up"
#: Seconds between two calls of ``heartbeat``.
HEARTBEAT_SECONDS = 0.1
#: Begins the reason why a model does not predict its first example.
FAILING_EXAMPLE = "it does not predict its own example"
NULL_PREDICTION = "predict returned None for the example; does it lack a return?"


def warm_up(
    manager: ModelManager,
    seconds: float,
    heartbeat: Callable[[], bool] = lambda: True,
    start: Callable[[], None] = lambda: None,
) -> None:
    """Load the models that were not loaded before the fork, and predict each ready one's example.

    Returns when that is done, or after ``seconds``. The rest then continues while requests are
    served, so that a slow model does not keep the others from serving.

    :param seconds: the time limit; 0 to predict no example and not to wait for loading.
    :param heartbeat: called while waiting; a false result ends the wait.
    :param start: called first, in the same thread; the time limit starts when it ends.
    """
    has_started = threading.Event()

    def run() -> None:
        try:
            start()
        finally:
            has_started.set()
        _load_and_predict(manager, with_examples=seconds > 0)

    thread = threading.Thread(target=run, name=THREAD, daemon=True)
    thread.start()
    while not has_started.wait(HEARTBEAT_SECONDS) and heartbeat():
        pass
    end = time.monotonic() + seconds
    while thread.is_alive() and time.monotonic() < end and heartbeat():
        thread.join(HEARTBEAT_SECONDS)


def smoke_test(hosted: HostedModel) -> str:
    """Predict the first example of a ready model; return why that failed, or ``""``.

    The metrics do not count it. A model that raises an error or violates its output schema for its
    author's example is set to failed: each request would fail. Any other stays ready, and its
    description has the reason, or a note if the prediction is unexpectedly null.
    """
    if not hosted.is_ready or not hosted.about.examples:
        return ""
    try:
        target = hosted.acquire()
        try:
            for count in list_trial_sizes(hosted):
                example = [*hosted.about.examples[:1]]
                predictions = predict_with_endpoint(hosted, target, example * count)
        finally:
            hosted.release()
    except (InvalidInput, ServingError) as error:
        trouble = f"{FAILING_EXAMPLE}: {error}"
        detail = f"{FAILING_EXAMPLE}: {get_failure_detail(error)}"
        if isinstance(error, PredictionFailed) and error.__cause__ is not None:
            trouble += f" ({type(error.__cause__).__name__})"
        log.warning("model %r: %s", hosted.unique_name, detail, exc_info=error.__cause__)
        shown = detail if hosted.limits.has_public_errors else trouble
        hosted.lifecycle.describe_failure(shown)
        if is_failure(hosted, error):
            hosted.lifecycle.fail(trouble, detail=detail)
        return shown
    if is_unexpected_null(hosted, predictions[0]):
        hosted.lifecycle.add_note(NULL_PREDICTION)
    return ""


def is_unexpected_null(hosted: HostedModel, prediction: Any) -> bool:
    """Return whether a prediction is null, which the output schema does not mention."""
    shape = Shape.of(hosted.output_schema)
    is_listed = None in [each.value for each in shape.constants]
    return prediction is None and not (shape.is_nullable or shape.type == "null" or is_listed)


def is_failure(hosted: HostedModel, error: Exception) -> bool:
    """Return whether an error for its first example sets a model to failed."""
    is_broken = isinstance(error, PredictionFailed | InvalidPrediction)
    return is_broken and hosted.about.has_own_examples


def list_trial_sizes(hosted: HostedModel) -> tuple[int, ...]:
    """Return numbers of rows to try: one, and two if a class has a ``predict_rows`` of its own."""
    own = type(hosted.lifecycle.model).predict_rows if hosted.lifecycle.model else None
    is_tried = hosted.spec.file is None and own is not MLModel.predict_rows
    return (1, 2) if is_tried else (1,)


def _load_and_predict(manager: ModelManager, *, with_examples: bool) -> None:
    for model in manager.models():
        model.lifecycle.finish_loading()
        if with_examples:
            smoke_test(model)

"""Warm-up of a worker: it loads the remaining models, and predicts an example with each model.

The first prediction of a model may take a hundred times as long as the second: it imports code,
allocates memory and builds a graph. No client should wait for that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from app.serving.models.predictor import Predictor

#: Name of the warm-up thread.
THREAD = "warm-up"
#: Seconds between two calls of ``heartbeat``.
HEARTBEAT_SECONDS = 0.1


def warm_up(
    predictor: Predictor,
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
        _load_and_predict(predictor, with_examples=seconds > 0)

    thread = threading.Thread(target=run, name=THREAD, daemon=True)
    thread.start()
    while not has_started.wait(HEARTBEAT_SECONDS) and heartbeat():
        pass
    end = time.monotonic() + seconds
    while thread.is_alive() and time.monotonic() < end and heartbeat():
        thread.join(HEARTBEAT_SECONDS)


def _load_and_predict(predictor: Predictor, *, with_examples: bool) -> None:
    for model in predictor.manager.models():
        model.lifecycle.finish_loading()
        if with_examples:
            predictor.smoke_test(model)

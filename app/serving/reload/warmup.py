"""Warm-up of a worker: it loads the remaining models, and predicts an example with each model.

The first prediction of a model may take a hundred times as long as the second: it imports code,
allocates memory and builds a graph. No client should wait for that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from app.serving.models.manager import ModelManager
from app.serving.models.predictor import Predictor

#: Name of the warm-up thread.
THREAD = "warm-up"
#: Seconds between two calls of ``beat``.
BEAT_SECONDS = 0.1


def warm_up(
    predictor: Predictor,
    seconds: float,
    beat: Callable[[], bool] = lambda: True,
    begin: Callable[[], None] = lambda: None,
) -> None:
    """Load the models that were not loaded before the fork, and predict each ready one's example.

    Returns when that is done, or after ``seconds``. The rest then continues beside the requests,
    so that a slow model does not keep the others from serving.

    :param seconds: the time limit; 0 to predict no example and not to wait for loading.
    :param beat: called while waiting; a false result ends the wait.
    :param begin: called first, in the same thread; the time limit starts when it ends.
    """
    has_begun = threading.Event()

    def work() -> None:
        try:
            begin()
        finally:
            has_begun.set()
        _warm_up(predictor, seconds > 0)

    warming = threading.Thread(target=work, name=THREAD, daemon=True)
    warming.start()
    while not has_begun.wait(BEAT_SECONDS) and beat():
        pass
    end = time.monotonic() + seconds
    while warming.is_alive() and time.monotonic() < end and beat():
        warming.join(BEAT_SECONDS)


def _warm_up(predictor: Predictor, is_asked: bool) -> None:
    for model in ModelManager().models():
        model.finish_loading()
        if is_asked:
            predictor.try_out(model)

"""A worker's first steps: load what it has to load itself, and ask each model for the first time.

A model's first answer may take a hundred times as long as the second: code is imported, memory
taken, a graph built. Nobody who asks should have to wait for that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from app.serving.models.manager import ModelManager
from app.serving.models.predictor import Predictor

#: The name of the thread in which that happens.
THREAD = "warm-up"
#: Seconds between two beats.
BEAT_SECONDS = 0.1


def warm_up(
    predictor: Predictor,
    seconds: float,
    beat: Callable[[], bool] = lambda: True,
    begin: Callable[[], None] = lambda: None,
) -> None:
    """Load the models that were not to be forked, and let each ready one answer its example.

    Returns when all have, or after some seconds: the rest then goes on beside the requests, so
    that a slow model does not keep the others from answering.

    :param seconds: 0 to ask no model, and wait for none.
    :param beat: is called while it waits; false ends the waiting.
    :param begin: comes before all that, and is waited for however long it takes.
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

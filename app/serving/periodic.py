"""Threads that repeat a task for as long as the process runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from app.serving.errors import ServingError

log = logging.getLogger(__name__)


def start(task: str, run: Callable[[], object], seconds: float, first_seconds: float = 0) -> None:
    """Call ``run`` now and every ``seconds`` in a daemon thread, which survives its errors.

    :param task: in the imperative, for the log, where an error that repeats appears once.
    :param first_seconds: before the first call.
    """

    def repeat() -> None:
        last_error = ""
        time.sleep(first_seconds)
        while True:
            try:
                run()
                last_error = ""
            except Exception as error:
                if repr(error) != last_error:
                    is_expected = isinstance(error, ServingError | OSError)
                    log.error("cannot %s: %s", task, error, exc_info=not is_expected)
                last_error = repr(error)
            time.sleep(seconds)

    threading.Thread(target=repeat, name=task, daemon=True).start()

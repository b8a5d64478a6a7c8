"""Waits for other threads."""

import threading

#: Maximum seconds of each wait: many, for machines that are slow, or busy with other tests.
PATIENCE = 120


def wait_until(holds, seconds=PATIENCE):
    """Return once the condition holds; fail after ``seconds``."""
    tick = threading.Event()
    for _ in range(seconds * 100):
        if holds():
            return
        tick.wait(0.01)
    raise AssertionError("waited too long")

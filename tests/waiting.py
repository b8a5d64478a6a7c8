"""Waits for other threads."""

import threading


def wait_until(holds, seconds=10):
    """Return once the condition holds; fail after ``seconds``."""
    tick = threading.Event()
    for _ in range(seconds * 100):
        if holds():
            return
        tick.wait(0.01)
    raise AssertionError("waited too long")

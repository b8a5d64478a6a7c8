"""Waiting for what another thread does."""

import threading


def wait_until(holds, seconds=10):
    """Return as soon as something holds; fail if that takes longer."""
    tick = threading.Event()
    for _ in range(seconds * 100):
        if holds():
            return
        tick.wait(0.01)
    raise AssertionError("waited too long")

"""Waiting for what another thread does."""

import threading


def wait_until(holds):
    """Return as soon as something holds; fail if that takes ten seconds."""
    tick = threading.Event()
    for _ in range(1000):
        if holds():
            return
        tick.wait(0.01)
    raise AssertionError("waited too long")

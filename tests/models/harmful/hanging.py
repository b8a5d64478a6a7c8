"""Hangs at load or during a call, in a way that nothing in its process can stop."""

import os
import signal

from mlmodel import MLModel


def hang():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGALRM})
    while True:
        signal.sigtimedwait({signal.SIGUSR2}, 60)


class Hung(MLModel):
    """Returns the id of its process, or hangs."""

    qualified_name = "hung"

    def __init__(self, at="predict"):
        self.at = at

    def load(self):
        if self.at == "load":
            hang()

    def predict(self, row):
        if row.get("hang"):
            hang()
        return os.getpid()

"""Loads slowly, and counts its loads."""

import threading

from mlmodel import MLModel


class Slow(MLModel):
    qualified_name = "slow"
    loads = 0

    def load(self):
        type(self).loads += 1
        threading.Event().wait(0.3)

    def predict(self, row):
        return type(self).loads

"""Allocates memory in each call and never frees it."""

import os

from mlmodel import MLModel


class Leaking(MLModel):
    """Returns the id of its process."""

    qualified_name = "leaking"

    def load(self):
        self.kept = []

    def predict(self, row):
        self.kept.append(bytearray(row.get("bytes", 0)))
        return os.getpid()

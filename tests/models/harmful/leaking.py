"""Takes memory with each call, and gives none back."""

import os

from mlmodel import MLModel


class Leaking(MLModel):
    """Answers with its process."""

    qualified_name = "leaking"

    def load(self):
        self.kept = []

    def predict(self, row):
        self.kept.append(bytearray(row.get("bytes", 0)))
        return os.getpid()

"""A model that names files of others as those that came with it."""

import os
from pathlib import Path

from mlmodel import MLModel


class Naming(MLModel):
    """Lists its own file, another file by path, one by a link, and a pipe."""

    qualified_name = "naming"

    def __init__(self, other):
        self._other = Path(other)

    def load(self):
        folder = Path(os.environ["TMPDIR"])
        own, link, pipe = (folder / name for name in ("own.txt", "link.txt", "pipe"))
        own.write_text("own")
        link.symlink_to(self._other)
        os.mkfifo(pipe)
        self.artifacts = {"own": own, "other": self._other, "link": link, "pipe": pipe}

    def predict(self, row):
        return row

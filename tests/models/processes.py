"""Models that record the processes in which they are loaded and called."""

import os
import queue
import socket
import threading
from pathlib import Path

from mlmodel import MLModel


class Whereabouts(MLModel):
    """Returns the processes of its load and its call, and the number of calls."""

    qualified_name = "whereabouts"
    examples = ({},)

    def load(self):
        self.loaded_in = os.getpid()
        self.calls = 0

    def predict(self, row):
        self.calls += 1
        return {"loaded_in": self.loaded_in, "asked_in": os.getpid(), "calls": self.calls}


class Unforked(Whereabouts):
    """Declares that it does not survive a fork."""

    qualified_name = "unforked"
    survives_fork = False


class Threaded(Whereabouts):
    """Predicts in a thread that it starts at load."""

    qualified_name = "threaded"

    def load(self):
        super().load()
        self._questions = queue.SimpleQueue()
        threading.Thread(target=self._answer, daemon=True).start()

    def predict(self, row):
        answers = queue.SimpleQueue()
        self._questions.put((row, answers))
        return answers.get()

    def _answer(self):
        while True:
            row, answers = self._questions.get()
            answers.put(super().predict(row))


class Connected(Whereabouts):
    """Opens a connection at load."""

    qualified_name = "connected"

    def load(self):
        super().load()
        self._ends = socket.socketpair()

    def unload(self):
        for end in self._ends:
            end.close()


class Refusing(MLModel):
    """Fails for its own example only."""

    qualified_name = "refusing"
    examples = ({"first": True},)

    def predict(self, row):
        if row.get("first"):
            raise RuntimeError("not this one")
        return {"answered": True}


class Stuck(MLModel):
    """Blocks while a file exists, and creates another file when it is called."""

    qualified_name = "stuck"
    examples = ({},)

    def __init__(self, file):
        self._file = file

    def predict(self, row):
        tick = threading.Event()
        Path(f"{self._file}.asked").touch()
        while os.path.exists(self._file):
            tick.wait(0.01)
        return {}

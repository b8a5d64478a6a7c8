"""Ends its process in various ways, at a configured time."""

import ctypes
import os
import signal
import sys

from mlmodel import MLModel


def overflow(depth=0):
    return overflow(depth + 1)


WAYS = {
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "_exit": lambda: os._exit(3),
    "_exit-4": lambda: os._exit(4),
    "exit": lambda: sys.exit(3),
    "interrupt": lambda: (_ for _ in ()).throw(KeyboardInterrupt()),
    "overflow": overflow,
}


class Dying(MLModel):
    """Returns the id of its process, or ends it: at import, at load or during a call."""

    qualified_name = "dying"
    input_schema = {"type": "object", "properties": {"how": {"type": "string"}}}
    examples = ({},)

    def __init__(self, how=None, at="predict"):
        self.how, self.at = how, at

    def load(self):
        if self.at == "load":
            WAYS[self.how]()

    def predict(self, row):
        how = row.get("how") or (self.at == "predict" and self.how)
        if how:
            WAYS[how]()
        return os.getpid()

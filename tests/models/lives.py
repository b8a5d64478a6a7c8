"""Models that are replaced while they serve."""

import os
import signal
import threading
import time
from pathlib import Path

from mlmodel import MLModel


class Lived(MLModel):
    """Returns its number, the id of the request and the process."""

    qualified_name = "lived"
    examples = ({"id": 0},)
    may_load = threading.Event()

    @property
    def version(self):
        return str(self._number)

    def __init__(self, number=1, broken=None, said=None, seconds=0.0):
        if broken == "made":
            raise RuntimeError("it cannot be made")
        self._broken = broken
        self._number = number
        self._seconds = seconds
        self._said = said

    def load(self):
        if self._broken == "slow":
            type(self).may_load.wait(60)
        if self._broken == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._broken == "loaded":
            raise RuntimeError("it cannot be loaded")
        self.ballast = bytearray(1_000_000)

    def predict(self, row):
        if self._broken == "asked":
            raise RuntimeError("it cannot be asked")
        time.sleep(self._seconds)
        answer = {"number": self._number, "id": row["id"], "in": os.getpid()}
        if self._said and row["id"]:
            with Path(f"{self._said}.{os.getpid()}.{threading.get_ident()}").open("a") as stream:
                stream.write(f"{row['id']}\n")
        return answer


class Described(Lived):
    """Has a schema before it is loaded."""

    qualified_name = "described"
    input_schema = {"type": "object"}


class Held(Lived):
    """Predicts once ``go`` is set."""

    qualified_name = "held"
    asked = threading.Semaphore(0)
    go = threading.Event()

    def predict(self, row):
        if row["id"]:
            type(self).asked.release()
            type(self).go.wait(10)
        return super().predict(row)

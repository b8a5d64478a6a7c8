"""Models compiled: a graph that ONNX Runtime computes in place of scikit-learn, if it is right.

    graph      an estimator as a graph of two tensors, by skl2onnx
    operators  its converters of ours, in double precision
    trees      trees as they need them
    session    rows to the tensors, and arrays to answers
    probes     rows where the two might differ
    parity     whether they do
    speed      which is faster
    choosing   which of the two answers

Nothing of these is imported before a model is compiled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

#: What may be asked for: the framework that the model was made with, a graph if it is right, or
#: a graph if it is right, soon made and faster.
Choice = Literal["native", "onnx", "auto"]
CHOICES: tuple[Choice, ...] = ("native", "onnx", "auto")

#: Seconds that ``auto`` takes for a model before it gives up. One step, such as what skl2onnx
#: does, is never interrupted: it is looked at the clock in between.
AUTO_SECONDS = 10.0

#: The artifact of a file that holds its graph, and the member of ``extra`` that says of what.
ARTIFACT = "compiled.onnx"
KEY = "compiled"


def origin(model: bytes, graph: bytes) -> dict[str, str]:
    """Return by what a file's graph is known to be that of its model, as the file says it."""
    return {
        "model_sha256": hashlib.sha256(model).hexdigest(),
        "graph_sha256": hashlib.sha256(graph).hexdigest(),
    }


@dataclass(frozen=True)
class Runtime:
    """What answers, and why. ``title`` has the version, as in ``"ONNX Runtime 1.31.1"``.

    ``reason`` says why a graph was not used that was asked for. ``parity`` and ``speed`` are what
    was found out about it, as JSON.
    """

    asked: Choice
    title: str
    is_compiled: bool = False
    reason: str = ""
    parity: Mapping[str, Any] = field(default_factory=dict)
    speed: Sequence[Mapping[str, Any]] = ()

    def document(self) -> dict[str, Any]:
        """Return it as JSON, without what there is none of."""
        told = {
            "asked": self.asked,
            "name": self.title,
            "compiled": self.is_compiled,
            "reason": self.reason,
            "parity": dict(self.parity),
            "speed": list(self.speed),
        }
        return {name: value for name, value in told.items() if value not in ("", {}, [])}

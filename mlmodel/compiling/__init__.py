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

from collections.abc import Mapping
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
    speed: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return it as JSON, without what there is none of."""
        told = {
            "asked": self.asked,
            "name": self.title,
            "compiled": self.is_compiled,
            "reason": self.reason,
            "parity": dict(self.parity),
            "speed": dict(self.speed),
        }
        return {name: value for name, value in told.items() if value not in ("", {})}

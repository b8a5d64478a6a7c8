"""The runtime of a model: requested, and in use."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

#: Requested runtime: the model's own framework, a graph if it agrees with the model, or a graph
#: that also is exact, clearly faster for one row, and compiled within :data:`AUTO_SECONDS`.
RuntimeName = Literal["native", "onnx", "auto"]
RUNTIMES: tuple[RuntimeName, ...] = ("native", "onnx", "auto")

#: Seconds of processor time that ``auto`` may take for one model. They are checked between steps;
#: one step, such as the conversion by skl2onnx, is not interrupted.
AUTO_SECONDS = 60.0

#: The file's artifact that holds the graph, and the member of ``extra`` with its origin.
ARTIFACT = "compiled.onnx"
KEY = "compiled"


def get_digests(model: bytes, graph: bytes) -> dict[str, str]:
    """Return the digests that link a graph to its model, as stored in the file."""
    return {
        "model_sha256": hashlib.sha256(model).hexdigest(),
        "graph_sha256": hashlib.sha256(graph).hexdigest(),
    }


@dataclass(frozen=True)
class Runtime:
    """The runtime in use, and why. ``title`` has its version, as in ``"ONNX Runtime 1.31.1"``.

    ``reason`` is why a requested graph is not used. ``parity`` is the result of the comparison as
    JSON.
    """

    requested: RuntimeName
    title: str
    is_compiled: bool = False
    reason: str = ""
    parity: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return it as JSON, without empty members."""
        members = {
            "asked": self.requested,
            "name": self.title,
            "compiled": self.is_compiled,
            "reason": self.reason,
            "parity": dict(self.parity),
        }
        return {name: value for name, value in members.items() if value not in ("", {}, [])}

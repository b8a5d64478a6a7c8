"""Which of a model and its graph answers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from mlmodel.compiling import AUTO_SECONDS, Choice, Runtime
from mlmodel.compiling.deadline import Deadline
from mlmodel.compiling.graph import Inputs, Uncompilable, arranged, converted
from mlmodel.compiling.parity import Parity, compared
from mlmodel.compiling.probes import Space
from mlmodel.compiling.speed import Speed, measured
from mlmodel.frameworks import Predict
from mlmodel.inference.plan import Predictor
from mlmodel.inference.trial import Trial, caught_warnings
from mlmodel.model import Row

logger = logging.getLogger(__name__)

#: Rows for which ``auto`` wants the graph to be faster.
COUNTS = (1, 64)


@dataclass(frozen=True)
class Compiled:
    """A graph that was found right: its bytes, what asks it, and how well and fast it answers."""

    graph: bytes
    ask: Predict
    parity: Parity
    space: Space


def chosen(
    model: Any,
    native: Predictor,
    asked: Choice,
    rows: Sequence[Row],
    title: str,
    stored: bytes | None = None,
) -> tuple[Predict, Runtime]:
    """Return what answers rows, and what there is to tell of it.

    :param native: what asks the model itself; it answers whatever a graph does not take.
    :param rows: examples that the model takes, if there are any.
    :param title: of the framework, with its version.
    :param stored: a graph that was made before, which is only looked at again.
    """
    deadline = Deadline(AUTO_SECONDS if asked == "auto" else None)
    try:
        made = compiled(model, native, rows, deadline, stored)
        speeds = speeds_of(made, native, COUNTS)
    except (Uncompilable, TimeoutError) as error:
        return native, Runtime(asked, title, reason=str(error))
    told = {"parity": told_of(made.parity), "speed": speed_told(speeds)}
    if asked == "auto" and not all(each.gain > 1 for each in speeds):
        return native, Runtime(asked, title, reason="it is no slower than its graph", **told)
    import onnxruntime  # noqa: PLC0415  it is imported by now

    runtime = Runtime(asked, f"ONNX Runtime {onnxruntime.__version__}", is_compiled=True, **told)
    return Either(made.ask, native), runtime


def compiled(
    model: Any,
    native: Predictor,
    rows: Sequence[Row],
    deadline: Deadline,
    stored: bytes | None = None,
) -> Compiled:
    """Return a model's graph, known to answer what the model answers.

    :raises Uncompilable: if there is none; its words say why.
    :raises TimeoutError: if it takes too long.
    """
    # A server may fork afterwards: see Trial on pools of threads.
    limited = _Limited(native.ask)
    own = _answered(limited, [*rows, native.row])
    if not own:
        raise Uncompilable("it answers none of its examples, on which it would be compared")
    with caught_warnings():
        arrangement, inputs = arranged(model, native.reading, native.cells, native.members)
        deadline.check()
        graph = stored if stored is not None else converted(arrangement, inputs)
    deadline.check()
    ask = _asking(graph, inputs, model, native, limited([own[0]])[0])
    space = Space(inputs, native.members, own, model, is_short=stored is not None)
    return Compiled(graph, ask, compared(limited, ask, space, deadline), space)


def speeds_of(made: Compiled, native: Predictor, counts: Sequence[int]) -> list[Speed]:
    """Return how long the model and its graph take for some numbers of rows."""
    limited = _Limited(native.ask)
    with caught_warnings(), limited.pools.limit(limits=1):
        return [measured(native.ask, made.ask, made.space.rows, count) for count in counts]


class Either:
    """Asks the graph, and the model itself about rows that the graph does not take."""

    def __init__(self, graph: Predict, native: Predict) -> None:
        self._graph = graph
        self._native = native

    def __call__(self, rows: Sequence[Row]) -> list[Any]:
        # Whatever is wrong with a row, the model itself has the words for it, or an answer.
        try:
            return self._graph(rows)
        except Exception:
            return self._native(rows)


class _Limited:
    """Asks a model in one thread, and keeps its warnings for itself."""

    def __init__(self, predict: Predict) -> None:
        self._predict = predict
        self.pools = ThreadpoolController()

    def __call__(self, rows: Sequence[Row]) -> list[Any]:
        with caught_warnings(), self.pools.limit(limits=1):
            return self._predict(rows)


def _asking(
    graph: bytes, inputs: Inputs, model: Any, native: Predictor, answer: Any
) -> Predict:
    # ONNX Runtime is large, and needed by nobody else.
    try:
        from mlmodel.compiling.session import asking, opened  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise Uncompilable(f"{error.name} is not installed: pip install onnxruntime") from error
    return asking(opened(graph), inputs, model, native.outputs, answer)


def _answered(predict: Predict, rows: Sequence[Row]) -> list[Row]:
    """Return the rows that a model answers."""
    return [row for row in rows if Trial(predict, row).answer is not None]


def told_of(parity: Parity) -> dict[str, Any]:
    """Return as JSON how well a graph answers."""
    return {"rows": parity.rows, **asdict(parity)}


def speed_told(speeds: Sequence[Speed]) -> dict[str, Any]:
    """Return as JSON how fast both are, by the number of rows."""
    return {
        str(each.rows): {
            "native_us": round(each.native_us, 1),
            "compiled_us": round(each.graph_us, 1),
            "gain": round(each.gain, 1),
        }
        for each in speeds
    }

"""The choice between a model and its compiled graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar

from threadpoolctl import ThreadpoolController

from mlmodel.bounded.deadline import Deadline
from mlmodel.frameworks import Predict
from mlmodel.frameworks.sklearn.onnx.convert import Inputs, Uncompilable, arranged, converted
from mlmodel.frameworks.sklearn.onnx.parity import Parity, compared
from mlmodel.frameworks.sklearn.onnx.probes import Space
from mlmodel.frameworks.sklearn.onnx.runtime import AUTO_SECONDS, Choice, Runtime
from mlmodel.frameworks.sklearn.onnx.speed import Speed, measured
from mlmodel.frameworks.sklearn.predict.predictor import Predictor
from mlmodel.frameworks.sklearn.schemas.probe import Trial, caught_warnings
from mlmodel.frameworks.sklearn.schemas.traits import labels_of
from mlmodel.model import Row

#: Numbers of rows for which ``auto`` requires the graph to be faster.
COUNTS = (1, 64)


@dataclass(frozen=True)
class Compiled:
    """A graph that agrees with its model: its bytes, both predict functions and the comparison.

    ``rows`` are some that both predict for.
    """

    #: A graph runs no code of the author's; a model with such code has no graph.
    ends_soon: ClassVar[bool] = True

    graph: bytes
    ask: Predict
    native: Predictor
    parity: Parity
    rows: Sequence[Row]

    def __call__(self, rows: Sequence[Row]) -> list[Any]:
        """Predict with the graph, or with the model itself if the graph raises an error."""
        # For a row that the graph rejects, the model has an error message or a prediction.
        try:
            return self.ask(rows)
        except Exception:
            return self.native(rows)

    def speeds(self, counts: Sequence[int]) -> list[Speed]:
        """Return how long the model and its graph take for each number of rows."""
        native = _Limited(self.native.ask)
        with caught_warnings(), native.pools.limit(limits=1):
            return [measured(self.native.ask, self.ask, self.rows, count) for count in counts]


@dataclass(frozen=True)
class Chosen:
    """The chosen predict function and its description; ``compiled`` if it is the graph."""

    predict: Predict
    runtime: Runtime
    compiled: Compiled | None = None


def chosen(
    model: Any,
    native: Predictor,
    asked: Choice,
    rows: Sequence[Row],
    *,
    title: str,
    stored: bytes | None = None,
) -> Chosen:
    """Return the predict function to use: that of the model or of its graph.

    :param native: predicts with the model itself.
    :param rows: examples, if there are any.
    :param title: of the framework, with its version.
    :param stored: the model's graph, if the file has one: it is checked, not compiled again.
    """
    try:
        made, speeds = _made(model, native, asked, rows, stored)
    except (Uncompilable, TimeoutError) as error:
        return Chosen(native, Runtime(asked, title, reason=str(error)))
    parity, speed = _parity_told(made.parity), [each.told() for each in speeds]
    if not all(each.gain > 1 for each in speeds):
        reason = "it is at least as fast as its graph"
        return Chosen(native, Runtime(asked, title, False, reason, parity, speed))
    import onnxruntime  # noqa: PLC0415  already imported by the session

    title = f"ONNX Runtime {onnxruntime.__version__}"
    return Chosen(made, Runtime(asked, title, True, "", parity, speed), made)


def _made(
    model: Any, native: Predictor, asked: Choice, rows: Sequence[Row], stored: bytes | None
) -> tuple[Compiled, list[Speed]]:
    """Return a model's verified graph and, for ``auto``, how fast it is.

    :raises Uncompilable: if the model has no such graph, with the reason.
    :raises TimeoutError: if ``auto`` exceeds its time limit.
    """
    deadline = Deadline(AUTO_SECONDS if asked == "auto" else None)
    # One thread, because a server may fork afterwards: see Trial.
    limited = _Limited(native.ask)
    own = [row for row in [*rows, native.row] if Trial(native.ask, row).answer is not None]
    if not own:
        raise Uncompilable("it answers none of its examples, on which it would be compared")
    arrangement, inputs = arranged(model, native.reading, native.cells, native.members)
    open_graph = partial(_opener(), inputs, model, native.outputs, limited(own[:1])[0])
    if stored is None:
        graph, ask = _written(arrangement, inputs, open_graph, deadline)
    else:
        graph, ask = stored, open_graph(stored)
    space = Space(inputs, native.members, own, model, is_short=stored is not None)
    made = Compiled(graph, ask, native, compared(limited, ask, space, deadline), own)
    return made, made.speeds(COUNTS) if asked == "auto" else []


def _written(
    arrangement: Any, inputs: Inputs, open_graph: Callable[[bytes], Predict], deadline: Deadline
) -> tuple[bytes, Predict]:
    """Return a graph and its predict function, in double precision if possible, else single."""
    failure: Uncompilable | None = None
    # Rounding to four bytes may change a label.
    for is_double in (True,) if labels_of(arrangement) else (True, False):
        deadline.check()
        try:
            with caught_warnings():
                graph = converted(arrangement, inputs, is_double=is_double)
            deadline.check()
            return graph, open_graph(graph)
        except Uncompilable as error:
            failure = failure or error
    raise failure or Uncompilable("")


def _opener() -> Callable[..., Predict]:
    # Import ONNX Runtime only here: it is large, and nothing else needs it.
    try:
        from mlmodel.frameworks.sklearn.onnx.session import asking  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise Uncompilable(f"{error.name} is not installed: pip install onnxruntime") from error
    return asking


def _parity_told(parity: Parity) -> dict[str, Any]:
    return {"rows": parity.rows, **asdict(parity)}


class _Limited:
    """Calls a model in one thread and suppresses its warnings."""

    def __init__(self, predict: Predict) -> None:
        self._predict = predict
        self.pools = ThreadpoolController()

    def __call__(self, rows: Sequence[Row]) -> list[Any]:
        with caught_warnings(), self.pools.limit(limits=1):
            return self._predict(rows)

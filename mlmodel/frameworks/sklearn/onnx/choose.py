"""Which of a model and its graph answers."""

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

#: Rows for which ``auto`` wants the graph to be faster.
COUNTS = (1, 64)


@dataclass(frozen=True)
class Compiled:
    """A graph that was found right: its bytes, what asks it and the model, and how well it answers.

    ``rows`` are some that both answer.
    """

    #: A graph has no code of anybody's own, and a model with such code has no graph.
    ends_soon: ClassVar[bool] = True

    graph: bytes
    ask: Predict
    native: Predictor
    parity: Parity
    rows: Sequence[Row]

    def __call__(self, rows: Sequence[Row]) -> list[Any]:
        """Answer rows by the graph; by the model itself if the graph does not take one of them."""
        # Whatever is wrong with a row, the model itself has the words for it, or an answer.
        try:
            return self.ask(rows)
        except Exception:
            return self.native(rows)

    def speeds(self, counts: Sequence[int]) -> list[Speed]:
        """Return how long the model and its graph take for some numbers of rows."""
        native = _Limited(self.native.ask)
        with caught_warnings(), native.pools.limit(limits=1):
            return [measured(self.native.ask, self.ask, self.rows, count) for count in counts]


@dataclass(frozen=True)
class Chosen:
    """What answers rows, and what there is to tell of it. ``compiled`` is there if that is it."""

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
    """Return what answers rows.

    :param native: what asks the model itself.
    :param rows: examples, if there are any.
    :param title: of the framework, with its version.
    :param stored: the model's graph, if it was made before: it is only looked at again.
    """
    try:
        made, speeds = _made(model, native, asked, rows, stored)
    except (Uncompilable, TimeoutError) as error:
        return Chosen(native, Runtime(asked, title, reason=str(error)))
    parity, speed = _parity_told(made.parity), [each.told() for each in speeds]
    if not all(each.gain > 1 for each in speeds):
        reason = "it is at least as fast as its graph"
        return Chosen(native, Runtime(asked, title, False, reason, parity, speed))
    import onnxruntime  # noqa: PLC0415  imported when the graph was opened

    title = f"ONNX Runtime {onnxruntime.__version__}"
    return Chosen(made, Runtime(asked, title, True, "", parity, speed), made)


def _made(
    model: Any, native: Predictor, asked: Choice, rows: Sequence[Row], stored: bytes | None
) -> tuple[Compiled, list[Speed]]:
    """Return a model's graph, known to be right, and for ``auto`` how fast it is.

    :raises Uncompilable: if there is none; its words say why.
    :raises TimeoutError: if ``auto`` takes too long.
    """
    deadline = Deadline(AUTO_SECONDS if asked == "auto" else None)
    # A server may fork afterwards: see Trial on pools of threads.
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
    """Return a graph and what asks it: in double precision, or else in single."""
    failure: Uncompilable | None = None
    # Where four bytes round a number, a label may be another.
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
    # ONNX Runtime is large, and needed by nobody else.
    try:
        from mlmodel.frameworks.sklearn.onnx.session import asking  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise Uncompilable(f"{error.name} is not installed: pip install onnxruntime") from error
    return asking


def _parity_told(parity: Parity) -> dict[str, Any]:
    return {"rows": parity.rows, **asdict(parity)}


class _Limited:
    """Asks a model in one thread, and keeps its warnings for itself."""

    def __init__(self, predict: Predict) -> None:
        self._predict = predict
        self.pools = ThreadpoolController()

    def __call__(self, rows: Sequence[Row]) -> list[Any]:
        with caught_warnings(), self.pools.limit(limits=1):
            return self._predict(rows)

"""The choice between a model and its compiled graph."""

from __future__ import annotations

import timeit
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar

from threadpoolctl import threadpool_limits

from mlmodel.frameworks import Predict, Rows
from mlmodel.frameworks.sklearn.onnx.conversion import (
    Inputs,
    Uncompilable,
    arrange_columns,
    convert,
)
from mlmodel.frameworks.sklearn.onnx.parity import EXACT, TOLERANCE, Deadline, Parity, compare
from mlmodel.frameworks.sklearn.onnx.probes import RowSampler
from mlmodel.frameworks.sklearn.onnx.runtime import AUTO_SECONDS, Runtime, RuntimeName
from mlmodel.frameworks.sklearn.predict.predictor import SklearnPredictor
from mlmodel.frameworks.sklearn.schemas.probe import Probe, caught_warnings, limit_to_one_thread
from mlmodel.frameworks.sklearn.traits import labels_of
from mlmodel.model import Row

#: How many times faster than the model a graph must predict one row, for ``auto``.
LEAST_GAIN = 3.0
#: Timed calls of each of the two; the fastest counts.
TIMED_CALLS = 10


@dataclass(frozen=True)
class CompiledModel:
    """A graph that agrees with its model: its bytes, both predict functions and the comparison.

    ``row`` is one that the model predicts for.
    """

    #: A graph runs no code of the author's; a model with such code has no graph.
    ends_soon: ClassVar[bool] = True

    graph: bytes
    predict: Predict
    native: SklearnPredictor
    parity: Parity
    row: Row

    def __call__(self, rows: Rows) -> list[Any]:
        """Predict with the graph, or with the model itself if the graph raises an error."""
        # For a row that the graph rejects, the model has an error message or a prediction.
        try:
            return self.predict(rows)
        except Exception:
            return self.native(rows)


@dataclass(frozen=True)
class Selection:
    """The chosen predict function and its description; ``compiled`` if it is the graph."""

    predict: Predict
    runtime: Runtime
    compiled: CompiledModel | None = None


def select_runtime(
    model: Any,
    native: SklearnPredictor,
    requested: RuntimeName,
    rows: Rows,
    *,
    title: str,
    stored: bytes | None = None,
) -> Selection:
    """Return the predict function to use: that of the model or of its graph.

    :param native: predicts with the model itself.
    :param rows: examples, if there are any.
    :param title: of the framework, with its version.
    :param stored: the model's graph, if it was chosen before: it is checked, not compiled again.
    """
    try:
        compiled = _compile(model, native, requested, rows, stored)
    except (Uncompilable, TimeoutError) as error:
        return Selection(native, Runtime(requested, title, reason=str(error)))
    parity = {"rows": compiled.parity.rows, **asdict(compiled.parity)}
    if requested == "auto" and stored is None and (gain := _gain(compiled)) < LEAST_GAIN:
        reason = (
            f"its graph predicts one row {gain:.1f} times as fast, and {LEAST_GAIN:g} is needed"
        )
        return Selection(native, Runtime(requested, title, reason=reason, parity=parity))
    import onnxruntime  # noqa: PLC0415  already imported by the session

    title = f"ONNX Runtime {onnxruntime.__version__}"
    return Selection(compiled, Runtime(requested, title, is_compiled=True, parity=parity), compiled)


def _compile(
    model: Any,
    native: SklearnPredictor,
    requested: RuntimeName,
    rows: Rows,
    stored: bytes | None,
) -> CompiledModel:
    """Return a model's verified graph.

    :raises Uncompilable: if the model has no such graph, with the reason.
    :raises TimeoutError: if ``auto`` exceeds its time limit.
    """
    deadline = Deadline(AUTO_SECONDS if requested == "auto" else None)
    # One thread, because a server may fork afterwards.
    predict = limit_to_one_thread(native.call)
    examples = [
        row for row in [*rows, native.row] if Probe(native.call, row).prediction is not None
    ]
    if not examples:
        raise Uncompilable("it rejects all of its examples, so its graph cannot be compared")
    arranged, inputs = arrange_columns(model, native.model_input, native.cells, native.members)
    build = partial(_graph_predictor(), inputs, model, native.outputs, predict(examples[:1])[0])
    if stored is None:
        graph, graph_predict = _convert(arranged, inputs, build, deadline)
    else:
        graph, graph_predict = stored, build(stored)
    sampler = RowSampler(inputs, native.members, examples, model, is_short=stored is not None)
    tolerance = EXACT if requested == "auto" else TOLERANCE
    parity = compare(predict, graph_predict, sampler, tolerance, deadline)
    return CompiledModel(graph, graph_predict, native, parity, examples[0])


def _convert(
    arranged: Any, inputs: Inputs, build: Callable[[bytes], Predict], deadline: Deadline
) -> tuple[bytes, Predict]:
    """Return a graph and its predict function, in double precision if possible, else single."""
    failure: Uncompilable | None = None
    # Rounding to four bytes may change a label.
    for is_double in (True,) if labels_of(arranged) else (True, False):
        deadline.check()
        try:
            with caught_warnings():
                graph = convert(arranged, inputs, is_double=is_double)
            deadline.check()
            return graph, build(graph)
        except Uncompilable as error:
            failure = failure or error
    raise failure or Uncompilable("")


def _graph_predictor() -> Callable[..., Predict]:
    # Import ONNX Runtime only here: it is large, and nothing else needs it.
    try:
        from mlmodel.frameworks.sklearn.onnx.session import graph_predictor  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise Uncompilable(
            f"{error.name} is not installed: pip install 'modelhost[compiled]'"
        ) from error
    return graph_predictor


def _gain(compiled: CompiledModel) -> float:
    """Return how many times faster than the model its graph predicts one row."""
    calls = [partial(predict, [compiled.row]) for predict in (compiled.native, compiled)]
    with caught_warnings(), threadpool_limits(1):
        # In turn, so that other work on the machine affects both.
        times = [[timeit.timeit(call, number=1) for call in calls] for _ in range(TIMED_CALLS)]
    native, graph = (min(each) for each in zip(*times, strict=True))
    return float(native / graph)

"""The path of every prediction: acquire the model, validate, run, validate, measure."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from app.serving.calls.limits import Limits
from app.serving.calls.methods import PREDICT
from app.serving.errors import (
    InvalidPrediction,
    ModelUnavailable,
    PredictionFailed,
    ServingError,
    Stopped,
    TooManyRows,
)
from app.serving.models.endpoints import HostedEndpoint
from app.serving.models.hosted import HostedModel
from app.serving.models.manager import ModelManager
from app.serving.models.state import Status
from app.serving.prediction_log.writer import LoggedModel, PredictionLog
from app.serving.process.metrics import EVALUATION, OTHER, CallMetrics, count_rejection
from mlmodel.errors import InvalidInput, Violation, summary
from mlmodel.schema.validator import Schema

log = logging.getLogger(__name__)

#: Returns the predictions for rows.
Evaluate = Callable[[Sequence[Any]], list[Any]]

#: Maximum number of violations in one error, which would otherwise grow with the rows.
MAX_VIOLATIONS = 200
#: Failed calls after which the rows of a failing call are no longer separated.
MAX_FAILED_CALLS = 10
#: Begins the reason why a model does not predict its first example.
FAILING_EXAMPLE = "it does not predict its own example"
NULL_PREDICTION = "predict returned None for the example; does it lack a return?"


@dataclass(frozen=True)
class RowResult:
    """The prediction for a row, or the error for which it has none."""

    prediction: Any = None
    error: InvalidInput | PredictionFailed | InvalidPrediction | None = None


class _Call(NamedTuple):
    """A call that succeeded; ``indexes`` are those of the rows in their request, else from 0."""

    rows: Sequence[Any]
    predictions: list[Any]
    seconds: float
    indexes: Sequence[int] | None = None


class Predictor:
    """Predicts rows with the models of ``manager``. Thread safe.

    :param prediction_log: receives the predictions of the models whose entries have ``log``.
    """

    def __init__(
        self, manager: ModelManager, limits: Limits, prediction_log: PredictionLog
    ) -> None:
        self.manager = manager
        self.prediction_log = prediction_log
        self.max_rows = limits.rows

    def predict(self, name: str, rows: Sequence[Any], endpoint: str = PREDICT) -> list[Any]:
        """Return a model's predictions for rows, in their order, as plain JSON.

        :param name: a model's name, or its name and version, see :meth:`ModelManager.get`.
        :param endpoint: predict, or another endpoint of the model.
        :raises ModelNotFound: if there is no such model.
        :raises EndpointNotFound: if the model has no such endpoint.
        :raises TooManyRows: if there are more rows than the limit.
        :raises ModelUnavailable: if the model is not ready and does not load on first use.
        :raises InvalidInput: if the schema or the model rejects rows; it lists the violations.
        :raises QueueFull: if too many calls wait for the model.
        :raises PredictionTimeout: if the call exceeds its time limit.
        :raises PredictionFailed: if the model raises an error.
        :raises InvalidPrediction: if a prediction is missing or violates the output schema.
        """
        return self.predict_with_model(name, rows, endpoint)[1]

    def predict_with_model(
        self, name: str, rows: Sequence[Any], endpoint: str = PREDICT
    ) -> tuple[HostedModel, list[Any]]:
        """Return the model and its predictions. Raises the same errors as :meth:`predict`."""
        hosted, target = self._acquire(name, rows, endpoint)
        try:
            predictions, seconds = _predict_measured(hosted, target, rows)
            self._log(hosted, target, _Call(rows, predictions, seconds))
            return hosted, predictions
        finally:
            hosted.release()

    @contextmanager
    def evaluate(self, name: str) -> Iterator[tuple[HostedModel, Evaluate]]:
        """Hold a model, and yield it with a function that predicts rows that no client sent.

        Its calls are those of :meth:`predict`, but the rows must be as :func:`validate_rows`
        returns them, the metrics count them apart, and they are not logged. The model is the same
        in all calls.

        :raises ModelNotFound: if there is no such model.
        :raises ModelUnavailable: if the model is not ready and does not load on first use.
        """
        hosted, target = self._acquire(name, (), PREDICT)
        apart = replace(target, metrics=CallMetrics(hosted.label, EVALUATION))

        def predict(rows: Sequence[Any]) -> list[Any]:
            return _predict_measured(hosted, apart, rows, is_converted=True)[0]

        try:
            yield hosted, predict
        finally:
            hosted.release()

    def predict_each(
        self, name: str, rows: Sequence[Any], max_failed_calls: int = MAX_FAILED_CALLS
    ) -> tuple[HostedModel, list[RowResult]]:
        """Return the model and its result for each row, from one call if no row fails.

        A failing row does not fail the others: the rows that a call rejects are left out of the
        next one, and if the model fails, the rows are halved to find those on which it fails.

        :param rows: of which some may be the errors for which they could not be read.
        :param max_failed_calls: after them, all rows of a failing call have its error.
        :raises ServingError: as :meth:`predict` does, for errors that concern all rows.
        """
        hosted, target = self._acquire(name, rows, PREDICT)
        calls: list[_Call] = []

        def predict(chosen: Sequence[Any], chunk: Sequence[int]) -> list[Any]:
            predictions, seconds = _predict_measured(hosted, target, chosen)
            calls.append(_Call(chosen, predictions, seconds, chunk))
            return predictions

        try:
            results = _predict_separated(predict, rows, max_failed_calls)
            end = time.time()  # one for the request, by which a truth finds its rows
            for call in calls:  # only now, because all rows are repeated if the model is dropped
                self._log(hosted, target, call, end)
            return hosted, results
        except ModelUnavailable:
            # A model that was replaced is dropped in time, even if it is held for further calls.
            if not hosted.state.is_draining:
                raise
        finally:
            hosted.release()
        return self.predict_each(name, rows, max_failed_calls)

    def _log(
        self, hosted: HostedModel, target: HostedEndpoint, call: _Call, end: float | None = None
    ) -> None:
        policy = hosted.spec.log
        if policy is not None and target.name == PREDICT:
            model = LoggedModel(hosted.name, hosted.label, hosted.version, hosted.about.runtime)
            self.prediction_log.add(
                policy,
                model,
                call.rows,
                call.predictions,
                seconds=call.seconds,
                indexes=call.indexes,
                end=end,
            )

    def _acquire(
        self, name: str, rows: Sequence[Any], endpoint: str
    ) -> tuple[HostedModel, HostedEndpoint]:
        try:
            return self._acquire_uncounted(name, rows, endpoint)
        except (ModelUnavailable, TooManyRows) as error:
            # A name that a client invents must not become a label.
            known = endpoint if endpoint == PREDICT else OTHER
            count_rejection(self.manager.get(name).label, known, error)
            raise

    def _acquire_uncounted(
        self, name: str, rows: Sequence[Any], endpoint: str
    ) -> tuple[HostedModel, HostedEndpoint]:
        if len(rows) > self.max_rows:
            raise TooManyRows(self.max_rows, len(rows))
        return self.manager.acquire(name, endpoint)

    def smoke_test(self, hosted: HostedModel) -> str:
        """Predict the first example of a ready model; return why that failed, or ``""``.

        The metrics do not count it. A model that raises an error or violates its output schema for
        its author's example is set to failed: each request would fail. Any other stays ready, and
        its description has the reason, or a note if the prediction is null.
        """
        if hosted.status is not Status.READY or not hosted.about.examples:
            return ""
        try:
            target = hosted.acquire()
            try:
                for count in hosted.trial_rows:
                    predictions = _predict(hosted, target, [*hosted.about.examples[:1]] * count)
            finally:
                hosted.release()
        except (InvalidInput, ServingError) as error:
            trouble = f"{FAILING_EXAMPLE}: {error}"
            if isinstance(error, PredictionFailed) and error.__cause__ is not None:
                trouble += f" ({type(error.__cause__).__name__})"
            log.warning("model %r: %s", hosted.label, trouble, exc_info=error.__cause__)
            hosted.lifecycle.describe_failure(trouble)
            if is_failure(hosted, error):
                hosted.lifecycle.fail(trouble)
            return trouble
        if predictions[0] is None:
            hosted.lifecycle.add_note(NULL_PREDICTION)
        return ""


def is_failure(hosted: HostedModel, error: Exception) -> bool:
    """Return whether an error for its first example sets a model to failed."""
    is_broken = isinstance(error, PredictionFailed | InvalidPrediction)
    return is_broken and hosted.about.has_own_examples


def validate_rows(rows: Sequence[Any], schema: Schema) -> Sequence[Any]:
    """Return valid rows as :meth:`Schema.convert` does.

    :raises InvalidInput: if rows are not valid; it lists the violations.
    """
    accepted = schema.accept(rows)
    if accepted is not None:
        return accepted
    violations: list[Violation] = []
    for index, row in enumerate(rows):
        violations += schema.violations(row, index, MAX_VIOLATIONS + 1)
        if len(violations) > MAX_VIOLATIONS:
            break
    if violations:
        raise InvalidInput(
            summary(violations, most=MAX_VIOLATIONS), violations=violations[:MAX_VIOLATIONS]
        )
    return schema.convert(rows)


def _predict_measured(
    hosted: HostedModel,
    target: HostedEndpoint,
    rows: Sequence[Any],
    *,
    is_converted: bool = False,
) -> tuple[list[Any], float]:
    """Return the predictions and the seconds that they took."""
    target.metrics.start()
    started = time.perf_counter()
    try:
        predictions = _predict(hosted, target, rows, is_converted=is_converted)
    except Exception as error:
        target.metrics.fail(error, len(rows), time.perf_counter() - started)
        raise
    seconds = time.perf_counter() - started
    target.metrics.succeed(len(rows), seconds)
    return predictions, seconds


def _predict(
    hosted: HostedModel,
    target: HostedEndpoint,
    rows: Sequence[Any],
    *,
    is_converted: bool = False,
) -> list[Any]:
    is_ready = is_converted and target.input.accepts(rows)
    accepted = rows if is_ready else validate_rows(rows, target.input)
    return _validate_predictions(_call_model(hosted, target, accepted), len(rows), target.output)


def _call_model(hosted: HostedModel, target: HostedEndpoint, rows: Sequence[Any]) -> Any:
    if not rows:
        return []
    try:
        return hosted.calls.run(target, rows)
    except (InvalidInput, ServingError, Stopped):
        raise
    # The author's code may raise anything, even SystemExit; it must not propagate.
    except BaseException as error:
        raise PredictionFailed(hosted.name) from error


def _validate_predictions(predictions: Any, count: int, schema: Schema) -> list[Any]:
    if not isinstance(predictions, list) or len(predictions) != count:
        got = len(predictions) if isinstance(predictions, list) else type(predictions).__name__
        raise InvalidPrediction(
            f"predict_rows must return a list of {count} predictions, one for each row, got {got}"
        )
    if schema.accepts(predictions):
        return predictions
    for prediction in predictions:
        violations = schema.violations(prediction, most=MAX_VIOLATIONS + 1)
        if violations:
            text = summary(violations, most=MAX_VIOLATIONS)
            raise InvalidPrediction(f"the prediction violates the output schema: {text}")
    return predictions


def _predict_separated(
    predict: Callable[[Sequence[Any], Sequence[int]], list[Any]],
    rows: Sequence[Any],
    max_failed_calls: int,
) -> list[RowResult]:
    """Return the result for each row; ``predict`` receives readable rows, and their indexes."""
    results = {
        at: RowResult(error=row) for at, row in enumerate(rows) if isinstance(row, InvalidInput)
    }
    chunks = [[at for at in range(len(rows)) if at not in results]]
    failed_calls = 0
    while chunks:
        chunk = chunks.pop()
        try:
            chosen = [rows[index] for index in chunk]
            predictions = predict(chosen, chunk)
        except InvalidInput as error:
            rejections = _by_row(error, len(chunk))
            results |= {chunk[place]: RowResult(error=each) for place, each in rejections.items()}
            chunks += _without(chunk, list(rejections))
        except (PredictionFailed, InvalidPrediction) as error:
            failed_calls += 1
            if len(chunk) > 1 and failed_calls <= max_failed_calls:
                half = len(chunk) // 2
                chunks += [chunk[half:], chunk[:half]]
            else:
                results |= dict.fromkeys(chunk, RowResult(error=error))
        else:
            results |= zip(chunk, map(RowResult, predictions), strict=True)
    return [results[index] for index in range(len(rows))]


def _by_row(error: InvalidInput, count: int) -> dict[int, InvalidInput]:
    """Return the error of each rejected row, as that of a row on its own.

    A model may name a row that does not exist. All rows are rejected if it names no other.
    """
    rows: dict[int, list[Violation]] = defaultdict(list)
    for each in error.violations:
        if each.row < count:
            rows[each.row].append(replace(each, row=0))
    rows = rows or {place: [replace(error.violations[0], row=0)] for place in range(count)}
    return {place: InvalidInput("", violations=found) for place, found in rows.items()}


def _without(chunk: Sequence[int], places: Sequence[int]) -> list[list[int]]:
    """Return the rest of a chunk, to be predicted from the end of the list.

    A single rejected row may be the first of many that the model rejects one by one: the rows
    before it are valid, and are predicted on their own, so that they are not repeated.
    """
    if len(places) == 1:
        parts = [list(chunk[places[0] + 1 :]), list(chunk[: places[0]])]
    else:
        rejected = {chunk[place] for place in places}
        parts = [[index for index in chunk if index not in rejected]]
    return [part for part in parts if part]

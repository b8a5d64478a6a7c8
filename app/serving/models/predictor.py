"""The path of every prediction: acquire the model, validate, run, validate, measure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from app.serving.calls.limits import Limits
from app.serving.calls.methods import PREDICT
from app.serving.calls.row_results import MAX_FAILED_CALLS, RowResult, predict_separately
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
from app.serving.prediction_log.writer import LoggedModel, PredictionLog
from app.serving.process.metrics import EVALUATION, OTHER, CallMetrics, count_rejection
from mlmodel.errors import InvalidInput, Violation, summary
from mlmodel.schema.messages import omit_value
from mlmodel.schema.validator import Schema

#: Returns the predictions for rows.
Evaluate = Callable[[Sequence[Any]], list[Any]]
#: Returns the error for the client from that of a call, the model and its endpoint.
Explain = Callable[[InvalidInput, HostedModel, HostedEndpoint], InvalidInput]

#: Maximum number of violations in one error, which would otherwise grow with the rows.
MAX_VIOLATIONS = 200
#: Begins the message of a prediction that violates the output schema.
INVALID = "the prediction violates the output schema: "


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
        self,
        name: str,
        rows: Sequence[Any],
        endpoint: str = PREDICT,
        explain: Explain | None = None,
    ) -> tuple[HostedModel, list[Any]]:
        """Return the model and its predictions. Raises the same errors as :meth:`predict`.

        :param explain: called with the error if the schema or the model rejects rows.
        """
        hosted, target = self._acquire(name, rows, endpoint)
        try:
            predictions, seconds = _predict_measured(hosted, target, rows)
            self._log(hosted, target, _Call(rows, predictions, seconds))
            return hosted, predictions
        except InvalidInput as error:
            if explain is None:
                raise
            raise explain(error, hosted, target) from error
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
        apart = replace(target, metrics=CallMetrics(hosted.unique_name, EVALUATION))

        def predict(rows: Sequence[Any]) -> list[Any]:
            return _predict_measured(hosted, apart, rows, is_converted=True)[0]

        try:
            yield hosted, predict
        finally:
            hosted.release()

    def predict_each(
        self, name: str, rows: Sequence[Any], max_failed_calls: int = MAX_FAILED_CALLS
    ) -> tuple[HostedModel, list[RowResult]]:
        """Return the model and its result for each row, see :func:`predict_separately`.

        :raises ServingError: as :meth:`predict` does, for errors that concern all rows.
        """
        hosted, target = self._acquire(name, rows, PREDICT)
        calls: list[_Call] = []

        def predict(chosen: Sequence[Any], chunk: Sequence[int]) -> list[Any]:
            predictions, seconds = _predict_measured(hosted, target, chosen)
            calls.append(_Call(chosen, predictions, seconds, chunk))
            return predictions

        try:
            results = predict_separately(predict, rows, max_failed_calls)
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
            model = LoggedModel(
                hosted.name, hosted.unique_name, hosted.version, hosted.about.runtime
            )
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
            count_rejection(self.manager.get(name).unique_name, known, error)
            raise

    def _acquire_uncounted(
        self, name: str, rows: Sequence[Any], endpoint: str
    ) -> tuple[HostedModel, HostedEndpoint]:
        if len(rows) > self.max_rows:
            raise TooManyRows(self.max_rows, len(rows))
        return self.manager.acquire(name, endpoint)


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
        predictions = predict_with_endpoint(hosted, target, rows, is_converted=is_converted)
    except Exception as error:
        target.metrics.fail(error, len(rows), time.perf_counter() - started)
        raise
    seconds = time.perf_counter() - started
    target.metrics.succeed(len(rows), seconds)
    return predictions, seconds


def predict_with_endpoint(
    hosted: HostedModel,
    target: HostedEndpoint,
    rows: Sequence[Any],
    *,
    is_converted: bool = False,
) -> list[Any]:
    """Return the predictions of a model that the caller holds. The metrics do not count them.

    Raises the same errors as :meth:`Predictor.predict` for rows and predictions.

    :param is_converted: whether the rows are as :func:`validate_rows` returns them.
    """
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
            quoting = summary(violations, most=MAX_VIOLATIONS)
            plain = [replace(each, detail=omit_value(each.detail)) for each in violations]
            raise InvalidPrediction(
                INVALID + summary(plain, most=MAX_VIOLATIONS), detail=INVALID + quoting
            )
    return predictions

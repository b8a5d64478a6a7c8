"""How good predictions were, once the truth is known: metrics per week.

Of classes: accuracy, log loss, the area under the ROC curve of two classes, and the calibration
error. Of numbers: mean absolute error, bias (the mean of prediction minus truth) and R².
"""

from __future__ import annotations

import sqlite3
import time
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from app.serving.errors import LogUnavailable
from app.serving.prediction_log.comparison import Compared, compare, find_output_shape
from app.serving.prediction_log.store import DAY_SECONDS, PredictionStore, Record, Selection
from mlmodel.reference.main_value import CLUSTER, get_class_name, get_truth_shape
from mlmodel.schema.shape import Shape, is_number

#: Equal bins of the probability of the predicted class, for the calibration error.
BINS = 10
#: Days for which :func:`read_metrics` reads predictions: 26 weeks.
DAYS = 182
#: The predicted and true values of a row by output.
Pairs = Mapping[str, Compared]


@dataclass(frozen=True)
class Period:
    """The metrics of the predictions of a week by name, or those of all weeks."""

    #: The Monday of the week in UTC; ``None`` for all weeks.
    start: date | None
    rows: int
    metrics: Mapping[str, float]


def read_metrics(
    store: PredictionStore, model: str, unique_name: str, output_schema: Mapping[str, Any] | None
) -> tuple[Period, list[Period]]:
    """Return :func:`compute_metrics` of a version of a model in the last :data:`DAYS`.

    :param unique_name: the unique name of the version.
    :raises LogUnavailable: if the log cannot be read.
    """
    since = time.time() - DAYS * DAY_SECONDS
    selection = Selection(since=since, unique_name=unique_name, only_with_truth=True)
    try:
        return compute_metrics(store.read(model, selection), output_schema)
    except (OSError, sqlite3.Error) as error:
        raise LogUnavailable(f"the prediction log of {model!r} cannot be read: {error}") from error


def compute_metrics(
    records: Iterable[Record], output_schema: Mapping[str, Any] | None
) -> tuple[Period, list[Period]]:
    """Return the metrics of all predictions whose truth is known, and those of each week.

    The time of the prediction decides the week. A metric that is not defined is left out. Those of
    other outputs than the main one have their names in front: ``price.bias``.

    :param output_schema: of the model, which distinguishes classes from numbers.
    """
    by_week: dict[date, list[Pairs]] = defaultdict(list)
    for record in records:
        pairs = compare(record.prediction, record.truth)
        if pairs:
            by_week[_get_monday(record.time)].append(pairs)
    every = [each for week in by_week.values() for each in week]
    output = get_truth_shape(output_schema)
    names = sorted({name for pairs in every for name in pairs})
    classes = {
        name: _are_classes(_select(every, name), find_output_shape(output, name)) for name in names
    }
    weeks = [_build_period(monday, week, classes) for monday, week in sorted(by_week.items())]
    return _build_period(None, every, classes), weeks


def _get_monday(moment: float) -> date:
    day = datetime.fromtimestamp(moment, UTC).date()
    return day - timedelta(days=day.weekday())


def _select(rows: Sequence[Pairs], output: str) -> list[Compared]:
    return [pairs[output] for pairs in rows if output in pairs]


def _are_classes(pairs: Sequence[Compared], output: Shape) -> bool:
    are_numbers = all(is_number(value) for pair in pairs for value in (pair.predicted, pair.true))
    if not are_numbers or any(pair.probabilities for pair in pairs):
        return True
    return bool(output.constants) or output.text("title") == CLUSTER


def _build_period(start: date | None, rows: Sequence[Pairs], classes: Mapping[str, bool]) -> Period:
    """Return the metrics of each output.

    :param classes: whether the values of an output are classes.
    """
    metrics: dict[str, float] = {}
    for output, are_classes in classes.items():
        pairs = _select(rows, output)
        if pairs:
            found = _measure_classes(pairs) if are_classes else _measure_numbers(pairs)
            prefix = f"{output}." if output else ""
            metrics |= {f"{prefix}{name}": float(value) for name, value in found.items()}
    return Period(start, len(rows), metrics)


def _measure_numbers(pairs: Sequence[Compared]) -> dict[str, float]:
    import numpy as np  # noqa: PLC0415  the commands import this module
    from sklearn import metrics  # noqa: PLC0415

    predicted = np.array([float(pair.predicted) for pair in pairs])
    true = np.array([float(pair.true) for pair in pairs])
    found = {
        "mean_absolute_error": metrics.mean_absolute_error(true, predicted),
        "bias": np.mean(predicted - true),
    }
    if np.ptp(true) > 0:
        found["r2"] = metrics.r2_score(true, predicted)
    return found


def _measure_classes(pairs: Sequence[Compared]) -> dict[str, float]:
    from sklearn import metrics  # noqa: PLC0415

    probabilities = [pair.probabilities for pair in pairs if pair.probabilities]
    names = dict.fromkeys(name for each in probabilities for name in each)
    predicted = [get_class_name(pair.predicted, names) for pair in pairs]
    true = [get_class_name(pair.true, names) for pair in pairs]
    found = {"accuracy": metrics.accuracy_score(true, predicted)}
    if len(probabilities) == len(pairs):
        found |= _measure_probabilities(true, predicted, probabilities)
    return found


def _measure_probabilities(
    true: Sequence[str], predicted: Sequence[str], probabilities: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    import numpy as np  # noqa: PLC0415
    from sklearn import metrics  # noqa: PLC0415

    # A class that the model does not know has the probability 0.
    classes = sorted({*true, *predicted, *(name for each in probabilities for name in each)})
    matrix = np.array([[each.get(name, 0.0) for name in classes] for each in probabilities])
    sums = matrix.sum(axis=1, keepdims=True)
    matrix = np.divide(matrix, sums, out=np.full_like(matrix, 1 / len(classes)), where=sums > 0)
    own = matrix[np.arange(len(predicted)), [classes.index(name) for name in predicted]]
    found = {"calibration_error": _measure_calibration(own, np.equal(true, predicted))}
    if len(classes) > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sums that differ from 1 in the last digit
            found["log_loss"] = metrics.log_loss(true, matrix, labels=classes)
    if len(classes) == len(set(true)) == 2:  # noqa: PLR2004
        found["roc_auc"] = metrics.roc_auc_score(np.equal(true, classes[1]), matrix[:, 1])
    return found


def _measure_calibration(confidence: Any, is_right: Any) -> float:
    """Return the mean distance between confidence and accuracy in bins, weighted by their rows.

    Source: Naeini, Cooper and Hauskrecht (2015), "expected calibration error".
    """
    import numpy as np  # noqa: PLC0415

    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, confidence, BINS) - np.bincount(bins, is_right, BINS)
    return float(np.abs(gaps).sum() / len(confidence))

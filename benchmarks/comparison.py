"""Compares a server's predictions with those of the estimator."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.entry import Entry
from benchmarks.models import Model, Prediction

#: Maximum difference of a number from the estimator's.
TOLERANCE = 1e-6


class WrongPrediction(Exception):
    """A prediction is missing, cannot be parsed, or differs from the estimator's."""


def compare(
    entry: Entry, model: Model, form: str, body: bytes, expected: Sequence[Prediction]
) -> None:
    """Compare the predictions in a response body with those of the estimator.

    :raises WrongPrediction: with the first difference.
    """
    try:
        predictions = entry.parse(model, body, form)
    except (LookupError, TypeError, ValueError) as error:
        raise WrongPrediction(
            f"the response cannot be parsed ({error!r}): {body[:500]!r}"
        ) from error
    if len(predictions) != len(expected):
        raise WrongPrediction(f"expected {len(expected)} predictions, got {len(predictions)}")
    for at, (one, other) in enumerate(zip(predictions, expected, strict=True)):
        if difference := _difference(one, other):
            raise WrongPrediction(f"row {at}: {difference}")


def _difference(prediction: Prediction, expected: Prediction) -> str | None:
    if prediction.label != expected.label:
        return f"expected the label {expected.label!r}, got {prediction.label!r}"
    if prediction.probabilities is None or expected.probabilities is None:
        return None
    if prediction.probabilities.keys() != expected.probabilities.keys():
        return f"got probabilities of {sorted(prediction.probabilities)}"
    for label, number in expected.probabilities.items():
        found = prediction.probabilities[label]
        if not abs(found - number) <= TOLERANCE:
            return f"expected the probability {number} of {label!r}, got {found}"
    return None

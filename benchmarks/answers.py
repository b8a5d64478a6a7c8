"""Whether a server's answers are the estimator's own."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.entry import Entry
from benchmarks.models import Answer, Model

#: How far a number may be from the estimator's.
TOLERANCE = 1e-6


class Wrong(Exception):
    """An answer is missing, cannot be read, or is not the estimator's."""


def compare(entry: Entry, model: Model, form: str, body: bytes, expected: Sequence[Answer]) -> None:
    """Compare the body that a server answered with what the estimator says.

    :raises Wrong: naming the first difference.
    """
    try:
        told = entry.answers(model, body, form)
    except (LookupError, TypeError, ValueError) as error:
        raise Wrong(f"answered what cannot be read ({error!r}): {body[:500]!r}") from error
    if len(told) != len(expected):
        raise Wrong(f"{len(expected)} rows were asked, {len(told)} answered")
    for at, (one, other) in enumerate(zip(told, expected, strict=True)):
        if difference := _difference(one, other):
            raise Wrong(f"row {at}: {difference}")


def _difference(told: Answer, expected: Answer) -> str | None:
    if told.label != expected.label:
        return f"answered {told.label!r}, the estimator says {expected.label!r}"
    if told.probabilities is None or expected.probabilities is None:
        return None
    if told.probabilities.keys() != expected.probabilities.keys():
        return f"has probabilities of {sorted(told.probabilities)}"
    for label, number in expected.probabilities.items():
        if not abs(told.probabilities[label] - number) <= TOLERANCE:
            return f"{label!r} has {told.probabilities[label]}, the estimator says {number}"
    return None

"""The smallest change of one field that changes the predicted label."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from app.serving.explaining.evaluator import CALL_ROWS
from mlmodel.reference.background import Field

#: Numbers tried between one that keeps the label and one that changes it, and how often.
STEPS, ROUNDS = 16, 3
#: The size of the change from no value to a typical one.
FROM_MISSING = 0.5

#: Returns the labels that the model predicts for rows.
ReadLabels = Callable[[Sequence[Mapping[str, Any]]], Sequence[Any]]


@dataclass(frozen=True)
class Candidate:
    """A field, another value for it, the label that is predicted then, and the size of the change.

    The size of a change between numbers is the share of the profile's rows between them; that of
    another choice is the share of rows that do not have it.
    """

    field: Field
    value: Any
    size: float
    label: Any = None


def find_smallest_change(
    row: Mapping[str, Any],
    fields: Sequence[Field],
    label: Any,
    read_labels: ReadLabels,
    max_rows: int,
) -> Candidate | None:
    """Return the smallest change of one field that changes the label; ``None`` if none does.

    Numbers are tried at the quantiles of the profile first, and then in ever smaller steps between
    those that keep the label and those that change it.

    :param label: that is predicted for the row.
    :param max_rows: how many rows may be evaluated.
    """
    most = max(2, max_rows // 2 // max(len(fields), 1))
    changes = [each for field in fields for each in _list_changes(row, field, most)]
    tried = _try_all(row, changes[:max_rows], read_labels)
    for _ in range(ROUNDS):
        finer = [each for field in fields for each in _list_finer(row, field, tried, label)]
        smallest = _find_smallest(tried, label)
        if smallest is not None:  # a larger change cannot become the smallest one
            finer = [each for each in finer if each.size < smallest.size]
        tried += _try_all(row, finer[: max_rows - len(tried)], read_labels)
    return _find_smallest(tried, label)


def _find_smallest(tried: Sequence[Candidate], label: Any) -> Candidate | None:
    changed = [each for each in tried if each.label != label]
    return min(changed, key=lambda each: each.size, default=None)


def _list_changes(row: Mapping[str, Any], field: Field, most: int) -> Iterator[Candidate]:
    own = row.get(field.name)
    if field.numbers:
        sizes = [(each, _size(field, own, each)) for each in _spread(field.numbers, most)]
    else:
        sizes = [(each, 1 - share) for each, share in field.choices()[:most]]
    yield from (Candidate(field, value, size) for value, size in sizes if value != own)


def _spread(numbers: Sequence[Any], most: int) -> list[Any]:
    """Return at most ``most`` of the numbers, with the first and the last one."""
    last = len(numbers) - 1
    if last < most:
        return list(numbers)
    return [numbers[round(at * last / (most - 1))] for at in range(most)]


def _list_finer(
    row: Mapping[str, Any], field: Field, tried: Sequence[Candidate], label: Any
) -> Iterator[Candidate]:
    """Yield numbers between neighbours, one of which keeps the label and the other does not."""
    own = row.get(field.name)
    labels = {each.value: each.label for each in tried if each.field is field}
    if not field.is_continuous or not labels:
        return
    if own is not None:
        labels[own] = label
    for low, high in pairwise(sorted(labels)):
        if (labels[low] == label) != (labels[high] == label):
            for value in field.between(low, high, STEPS):
                yield Candidate(field, value, _size(field, own, value))


def _size(field: Field, own: Any, value: float) -> float:
    if own is None:
        return FROM_MISSING + abs(field.rank(value) - FROM_MISSING)
    return abs(field.rank(value) - field.rank(own))


def _try_all(
    row: Mapping[str, Any], changes: Sequence[Candidate], read_labels: ReadLabels
) -> list[Candidate]:
    """Return the changes with the labels that are predicted then."""
    labels: list[Any] = []
    for start in range(0, len(changes), CALL_ROWS):  # not all rows in memory at once
        part = changes[start : start + CALL_ROWS]
        labels += read_labels([{**row, each.field.name: each.value} for each in part])
    return [replace(each, label=label) for each, label in zip(changes, labels, strict=True)]

"""The parts of an estimator that is composed of others, such as a pipeline or an ensemble.

Parts are recognized by their fitted attributes, so compositions of other packages are understood if
they use scikit-learn's names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

#: Attributes in which a fitted estimator keeps estimators of its own columns.
INNER = ("best_estimator_", "estimator_", "regressor_", "classifier_", "_preprocessor")
#: Members of an ensemble that are inspected; all of them have the same columns.
MOST_MEMBERS = 20

#: Attributes with estimators of some columns, and those that list the columns.
Part = tuple[Any, Sequence[int] | None]


def steps_of(estimator: Any) -> list[Any] | None:
    """Return a pipeline's steps, or ``None`` for anything else."""
    steps = getattr(estimator, "steps", None)
    return [step for _, step in steps] if isinstance(steps, list) else None


def active_steps(estimator: Any) -> list[Any]:
    """Return a pipeline's steps without those that pass everything; empty for anything else."""
    return [step for step in steps_of(estimator) or () if not is_passthrough(step)]


def is_passthrough(step: Any) -> bool:
    """Return whether a step of a pipeline is ``None`` or a text such as ``"passthrough"``."""
    return step is None or isinstance(step, str)


def package_of(value: Any) -> str:
    """Return the top-level package of an object's class."""
    return type(value).__module__.partition(".")[0]


def inner_parts(estimator: Any) -> list[Part]:
    """Return the fitted estimators that get an estimator's own columns, and which of them."""
    found = [getattr(estimator, name, None) for name in INNER]
    parts: list[Part] = [(inner, None) for inner in found if _is_estimator(inner)]
    members = _flat(getattr(estimator, "estimators_", None))
    subsets = getattr(estimator, "estimators_features_", None) or [None] * len(members)
    parts += [
        (member, subset)
        for member, subset in zip(members, subsets, strict=False)
        if _is_estimator(member) or hasattr(member, "estimator")
    ]
    calibrated = _flat(getattr(estimator, "calibrated_classifiers_", None))
    parts += [(each.estimator, None) for each in calibrated if hasattr(each, "estimator")]
    if not parts and type(estimator).__name__ == "FrozenEstimator":
        parts.append((estimator.estimator, None))
    return parts[:MOST_MEMBERS]


def column_parts(transformer: Any) -> Iterator[Part]:
    """Yield the fitted parts of a column transformer, with the places of their columns."""
    names = list(getattr(transformer, "feature_names_in_", ()))
    resolved = getattr(transformer, "_transformer_to_input_indices", {})
    for name, part, columns in transformer.transformers_:
        if isinstance(part, str) and part == "drop":
            continue
        yield part, resolved.get(name) or _places(columns, names)


def path_to_last(model: Any) -> Iterator[Any]:
    """Yield a model and the estimators in it, down to the one that :func:`last_of` returns."""
    yield model
    steps = steps_of(model)
    if hasattr(model, "best_estimator_"):
        yield from path_to_last(model.best_estimator_)
    elif steps:
        yield from path_to_last(steps[-1])


def last_of(model: Any) -> Any:
    """Return the estimator that predicts, out of a search or a pipeline."""
    *_, last = path_to_last(model)
    return last


def _places(columns: Any, names: list[str]) -> list[int]:
    every = [columns] if isinstance(columns, str | int) else columns
    return [names.index(each) if isinstance(each, str) else int(each) for each in every]


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "fit") and not isinstance(value, type)


def _flat(members: Any) -> list[Any]:
    """Return the members of an array or of lists in a list."""
    if members is None:
        return []
    if isinstance(members, np.ndarray):
        return list(members.ravel())
    lists = [each if isinstance(each, list | tuple) else [each] for each in members]
    return [member for each in lists for member in each]

"""Copies of estimators fitted on frames that accept arrays: making a frame of a row costs most."""

from __future__ import annotations

import copy
from typing import Any

from mlmodel.frameworks.sklearn.structure import inner_parts, steps_of


def without_names(model: Any) -> Any:
    """Return a copy of a model that predicts the same for an array as the model for a frame.

    It shares the fitted attributes but lacks the names of the columns, which an array lacks too.
    ``None`` if the model may depend on more than the order of the columns.
    """
    if model is None or model == "passthrough":
        return model
    if not type(model).__module__.startswith("sklearn.") or _needs_names(model):
        return None
    clone = copy.copy(model)
    if steps_of(model) is not None:
        steps = [(name, without_names(step)) for name, step in model.steps]
        if any(step is None for _, step in steps):
            return None
        clone.steps = steps
    vars(clone).pop("feature_names_in_", None)
    return clone


def _needs_names(model: Any) -> bool:
    """Return whether a model selects columns by name, or passes frames to its parts."""
    return (
        hasattr(model, "transformers_")
        or hasattr(model, "transformer_list")
        or type(model).__name__ == "FunctionTransformer"
        or bool(getattr(model, "_sklearn_output_config", None))
        or any(hasattr(inner, "feature_names_in_") for inner, _ in inner_parts(model))
    )

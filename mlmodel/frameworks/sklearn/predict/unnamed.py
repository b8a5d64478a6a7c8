"""Estimators that were fitted on frames, made to answer arrays: a frame of one row costs most."""

from __future__ import annotations

import copy
from typing import Any

from mlmodel.frameworks.sklearn.schemas.columns import inner_parts, steps_of


def nameless(model: Any) -> Any:
    """Return a model that says to an array of numbers what this one says to a frame of them.

    It shares all that was learned, and only forgets the names of the columns, which it would miss
    in an array. ``None`` if more than the order of the columns may matter to it.
    """
    if model is None or model == "passthrough":
        return model
    if not type(model).__module__.startswith("sklearn.") or _looks_for_names(model):
        return None
    made = copy.copy(model)
    if steps_of(model) is not None:
        steps = [(name, nameless(step)) for name, step in model.steps]
        if any(step is None for _, step in steps):
            return None
        made.steps = steps
    vars(made).pop("feature_names_in_", None)
    return made


def _looks_for_names(model: Any) -> bool:
    """Tell whether a model hands columns on by name, or gives frames to whoever is next."""
    return (
        hasattr(model, "transformers_")
        or hasattr(model, "transformer_list")
        or type(model).__name__ == "FunctionTransformer"
        or bool(getattr(model, "_sklearn_output_config", None))
        or any(hasattr(inner, "feature_names_in_") for inner, _ in inner_parts(model))
    )

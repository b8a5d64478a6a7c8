"""Methods of a model that map rows to predictions, by endpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from app.serving.calls.to_json import to_json
from mlmodel.endpoint import get_endpoints
from mlmodel.model import MLModel, call_each

#: The endpoint that every model has.
PREDICT = "predict"
#: Maps rows to predictions.
Method = Callable[[Sequence[Any]], Any]


def get_methods(model: MLModel) -> dict[str, Method]:
    """Return the methods that map rows to predictions in plain JSON, by endpoint name."""
    predict = model.predict_rows if model.answers_json else _to_plain_json(model.predict_rows)
    marked = {
        name: _to_plain_json(partial(call_each, getattr(model, each.attribute)))
        for name, each in get_endpoints(model).items()
    }
    return {PREDICT: predict, **marked}


def _to_plain_json(method: Method) -> Method:
    """Return a method that returns plain JSON, so that a generator runs within its call."""
    return lambda rows: to_json(method(rows))

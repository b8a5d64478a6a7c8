"""Methods of a model that map rows to predictions, by endpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from app.serving.calls.to_json import rows_to_json
from mlmodel.declarations.declaration import get_parser
from mlmodel.declarations.endpoints import get_endpoints
from mlmodel.model import MLModel, call_each

#: The endpoint that every model has.
PREDICT = "predict"
#: Maps rows to predictions.
Method = Callable[[Sequence[Any]], Any]


def get_methods(model: MLModel) -> dict[str, Method]:
    """Return the methods that map rows to predictions in plain JSON, by endpoint name."""
    predict = model.predict_rows if model.returns_json else _to_plain_json(model.predict_rows)
    methods = {PREDICT: _with_objects(predict, model.predict, model.input_schema)}
    for name, each in get_endpoints(model).items():
        marked = getattr(model, each.attribute)
        method = _to_plain_json(partial(call_each, marked))
        methods[name] = _with_objects(method, marked, each.input_schema)
    return methods


def _with_objects(method: Method, taker: Callable[..., Any], declared: Any) -> Method:
    """Return a method that takes rows, if the author's method takes objects of a class.

    :param taker: the author's method, which takes one row or object.
    :param declared: its input schema.
    """
    parse = get_parser(taker, declared)
    return method if parse is None else lambda rows: method(call_each(parse, rows))


def _to_plain_json(method: Method) -> Method:
    """Return a method that returns plain JSON, so that a generator runs within its call.

    It gets a list of its own: an author's code may change rows, and so not those of a
    :class:`~mlmodel.schema.rows.Table`, which holds its values twice.
    """
    return lambda rows: rows_to_json(method(list(rows)))

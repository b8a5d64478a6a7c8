"""Check that a model's class follows the interface, before it is loaded."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from mlmodel.endpoint import get_endpoints
from mlmodel.errors import InvalidModel
from mlmodel.model import MLModel


def check_interface(model: MLModel) -> None:
    """Check the name and the methods of a model.

    :raises InvalidModel: if it has no name, or a method cannot be called as the host calls it.
    """
    if not hasattr(model, "qualified_name"):
        raise InvalidModel(
            f"the class {type(model).__name__!r} must define qualified_name, the model's name in "
            'URLs, such as qualified_name = "credit"'
        )
    marked = [each.attribute for each in get_endpoints(model).values()]
    check_methods(model, ["predict", "predict_rows", *marked])
    for name in ("load", "unload"):
        _check_synchronous(model, name)


def check_methods(model: Any, names: Iterable[str]) -> None:
    """Check methods of a model that are called with one argument.

    :raises InvalidModel: if one is asynchronous, or takes other arguments.
    """
    for name in names:
        _check_synchronous(model, name)
        try:
            inspect.signature(getattr(model, name)).bind(None)
        except TypeError as error:
            expected = "the rows" if name == "predict_rows" else "one row"
            raise InvalidModel(
                f"the method {name!r} of {type(model).__name__!r} must take one argument, "
                f"{expected}: {error}"
            ) from None
        except ValueError:  # a method written in C has no signature
            continue


def _check_synchronous(model: Any, name: str) -> None:
    method = getattr(model, name)
    if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
        raise InvalidModel(
            f"the method {name!r} of {type(model).__name__!r} must not be 'async def': write "
            "'def', since the server calls it in a thread of its own"
        )

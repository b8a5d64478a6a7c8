"""Wrap classes written for ``ml_base`` and ``ml_model_abc``, which are hosted unchanged.

They are recognized by ``predict`` and any of the attributes below. Neither package is imported
here.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from mlmodel.declarations.declaration import (
    to_declaration,
    to_input_schema,
    to_output_schema,
)
from mlmodel.declarations.endpoints import get_endpoints
from mlmodel.declarations.violations import (
    get_violations,
    is_about_row,
    is_named,
    is_of_pydantic,
    is_of_schema,
    to_invalid_input,
)
from mlmodel.errors import InvalidInput, InvalidModel
from mlmodel.model import MLModel

#: Attributes of which such a class has at least one.
ATTRIBUTES = ("qualified_name", "display_name", "input_schema", "output_schema")

#: The exception that both packages raise for invalid input.
VALIDATION_ERROR = "MLModelSchemaValidationException"

Instance = TypeVar("Instance")
#: Attributes of a model, and what their values must be.
SHAPES = {
    "artifacts": "dict",
    "example_names": "list",
    "examples": "list",
    "metadata": "dict",
    "notes": "list",
}


def instantiate(model_class: type[Instance], settings: Mapping[str, Any]) -> Instance:
    """Return an instance of a class, created with ``settings`` as keyword arguments.

    :raises InvalidModel: if the class does not take these settings.
    """
    try:
        inspect.signature(model_class).bind(**settings)
    except TypeError as error:
        raise InvalidModel(
            f"{model_class.__name__!r} does not accept its settings: {error}"
        ) from error
    return model_class(**settings)


def is_model_class(value: Any) -> bool:
    """Return whether an object is a class with a ``predict``, native or foreign."""
    return inspect.isclass(value) and callable(getattr(value, "predict", None))


def adapt(
    model: Any,
    decorators: Sequence[tuple[Any, Mapping[str, Any]]] = (),
    name: str | None = None,
) -> MLModel:
    """Return a model as an :class:`~mlmodel.model.MLModel`, wrapped if it is foreign.

    :param decorators: classes and their settings, innermost first.
    :param name: the name of a model that has none of its own.
    :raises InvalidModel: if it lacks the attributes of a model, a method cannot be called, or it
        cannot be decorated.
    """
    outermost = model
    for decorator_class, settings in decorators:
        outermost = _decorate(outermost, decorator_class, settings)
    if isinstance(outermost, MLModel):
        if name and getattr(outermost, "qualified_name", None) is None:
            outermost.qualified_name = name
        _check_interface(outermost)
        return outermost
    if not any(hasattr(outermost, each) for each in ATTRIBUTES):
        names = ", ".join(ATTRIBUTES)
        raise InvalidModel(
            f"expected {type(model).__name__!r} to have one of these attributes: {names}"
        )
    _check_methods(model, ["predict"])
    return ForeignModel(outermost, model)


class ForeignModel(MLModel):
    """Adapts a foreign model to :class:`~mlmodel.model.MLModel`.

    :param model: the object to call: the model itself, or its outermost decorator.
    :param innermost: the model itself.
    """

    def __init__(self, model: Any, innermost: Any) -> None:
        self._model = model
        self._innermost = innermost
        self._input = to_declaration(getattr(model, "input_schema", None))
        self._parse = self._input.get_parser(innermost.predict)
        self.qualified_name = _text(model, "qualified_name") or type(innermost).__name__
        self.display_name = _text(model, "display_name")
        self.description = _text(model, "description")
        self.version = _version(model)
        self.input_schema = to_input_schema(self._input.declared)
        self.output_schema = to_output_schema(getattr(model, "output_schema", None))

    @property
    def metadata(self) -> Mapping[str, Any]:  # type: ignore[override]
        """The name of the foreign class."""
        return {"class": type(self._innermost).__qualname__}

    def predict(self, row: Any) -> Any:
        """Return the foreign model's prediction for one row.

        :raises InvalidInput: if the model rejects the row with an error of its packages.
        :raises Exception: any other error of the model.
        """
        try:
            return self._model.predict(self._parse(row) if self._parse else row)
        except Exception as error:
            invalid_input = self._to_invalid_input(error, row)
            if invalid_input is None:
                raise
            raise invalid_input from error

    def _to_invalid_input(self, error: Exception, row: Any) -> InvalidInput | None:
        """Return the error for an invalid row; ``None`` if the model failed for another reason."""
        if is_named(error, VALIDATION_ERROR):
            # It is raised while the package's own error, which has the locations, is handled.
            violations = get_violations(error.__cause__ or error.__context__, row)
            return InvalidInput(str(error) or "the model rejected the row", violations=violations)
        if self._cannot_be_about_prediction(error):
            return to_invalid_input(error, row)
        try:
            self._input.validate(row)
        except Exception as violation:  # an author's own validators may raise anything
            return to_invalid_input(violation, row) if is_about_row(violation) else None
        return None

    def _cannot_be_about_prediction(self, error: Any) -> bool:
        """Return whether a package's own error cannot be about the prediction."""
        if not is_of_pydantic(error):
            return is_of_schema(error) and self._input.declared is None
        title = getattr(error, "title", None) or error.model.__name__
        return title not in _titles(self.output_schema) - _titles(self.input_schema)


def _decorate(model: Any, decorator_class: Any, settings: Mapping[str, Any]) -> Any:
    """Return a model wrapped in an instance of a class derived from ``MLModelDecorator``.

    :raises InvalidModel: if the class is not a decorator, or rejects its settings or the model.
    """
    name = getattr(decorator_class, "__name__", repr(decorator_class))
    if not (inspect.isclass(decorator_class) and hasattr(decorator_class, "set_model")):
        raise InvalidModel(f"{name!r} must be a class derived from MLModelDecorator of ml_base")
    parameter = inspect.signature(decorator_class).parameters.get("model")
    requires_model = parameter is not None and parameter.default is inspect.Parameter.empty
    decorator = instantiate(
        decorator_class, {"model": model, **settings} if requires_model else settings
    )
    try:
        decorator.set_model(model)
    except ValueError as error:
        raise InvalidModel(f"{name!r} cannot decorate {type(model).__name__!r}: {error}") from error
    return decorator


def _text(model: Any, name: str) -> str:
    value = getattr(model, name, None)
    return "" if value is None else str(value)


def _version(model: Any) -> str:
    parts = [_text(model, "major_version"), _text(model, "minor_version")]
    return _text(model, "version") or ".".join(filter(None, parts))


def _titles(document: Mapping[str, Any] | None) -> set[str]:
    """Return the names of the pydantic classes from which a JSON Schema was generated."""
    root = document or {}
    definitions = {**root.get("$defs", {}), **root.get("definitions", {})}
    return {str(part.get("title")) for part in [root, *definitions.values()]}


def _check_interface(model: MLModel) -> None:
    """Check the name, the attributes and the methods of a model.

    :raises InvalidModel: if it has no name, an attribute has another type than
        :class:`~mlmodel.model.MLModel` declares, or a method cannot be called as the host calls it.
    """
    if getattr(model, "qualified_name", None) is None:
        raise InvalidModel(
            f"the class {type(model).__name__!r} must define qualified_name, the model's name in "
            'URLs, such as qualified_name = "credit"'
        )
    for name, expected in SHAPES.items():
        value = inspect.getattr_static(model, name)
        # A property may need load().
        if value is not None and not hasattr(value, "__get__"):
            _check_shape(name, value, expected)
    marked = [each.attribute for each in get_endpoints(model).values()]
    _check_methods(model, ["predict", "predict_rows", *marked])
    for name in ("load", "unload"):
        _check_synchronous(model, name)


def _check_shape(name: str, value: Any, expected: str) -> None:
    is_mapping = isinstance(value, Mapping)
    is_list = not is_mapping and not isinstance(value, str | bytes) and hasattr(value, "__iter__")
    if not (is_mapping if expected == "dict" else is_list):
        raise InvalidModel(f"{name} must be a {expected}, got {value!r:.80}")


def _check_methods(model: Any, names: Iterable[str]) -> None:
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

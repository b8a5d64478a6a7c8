"""Wrap classes written for ``ml_base`` and ``ml_model_abc``, which are hosted unchanged.

They are recognized by ``predict`` and any of the attributes below. Neither package is imported
here.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from mlmodel.errors import InvalidInput, InvalidModel, Violation, summary
from mlmodel.foreign.declarations import Declaration, to_declaration
from mlmodel.model import MLModel
from mlmodel.schema.messages import to_pointer

#: Attributes of which such a class has at least one.
ATTRIBUTES = ("qualified_name", "display_name", "input_schema", "output_schema")

#: The exception that both packages raise for invalid input.
VALIDATION_ERROR = "MLModelSchemaValidationException"

#: Annotations of a ``predict`` that takes the row itself.
_MAPPING = re.compile(r"([\w.]+\.)?(dict|Dict|Mapping|MutableMapping)\b")
#: The location in an error of the package ``schema``.
_LOCATION = re.compile(r"Key (.+) error:$")
#: The prefix that pydantic 2 adds to the message of an author's own validator.
_PREFIX = re.compile(r"^(Value error|Assertion failed), ")

Instance = TypeVar("Instance")


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


def adapt(model: Any, decorators: Sequence[tuple[Any, Mapping[str, Any]]] = ()) -> MLModel:
    """Return a model as an :class:`~mlmodel.model.MLModel`, wrapped if it is foreign.

    :param decorators: classes and their settings, innermost first.
    :raises InvalidModel: if it lacks the attributes of a model, or cannot be decorated.
    """
    outermost = model
    for decorator_class, settings in decorators:
        outermost = _decorate(outermost, decorator_class, settings)
    if isinstance(outermost, MLModel):
        return outermost
    if not any(hasattr(outermost, name) for name in ATTRIBUTES):
        names = ", ".join(ATTRIBUTES)
        raise InvalidModel(
            f"expected {type(model).__name__!r} to have one of these attributes: {names}"
        )
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
        output = to_declaration(getattr(model, "output_schema", None))
        self._parse = _get_parser(innermost, self._input)
        self.qualified_name = _text(model, "qualified_name") or type(innermost).__name__
        self.display_name = _text(model, "display_name")
        self.description = _text(model, "description")
        self.version = _version(model)
        self.input_schema = self._input.get_input_schema()
        self.output_schema = output.get_output_schema()

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The name of the foreign class."""
        return {"class": type(self._innermost).__qualname__}

    def predict(self, row: Any) -> Any:
        """Return the foreign model's prediction for one row.

        :raises InvalidInput: if the model rejects the row with an error of its packages.
        :raises Exception: any other error of the model.
        """
        try:
            return self._model.predict(self._parse(row))
        except Exception as error:
            invalid_input = self._to_invalid_input(error, row)
            if invalid_input is None:
                raise
            raise invalid_input from error

    def _to_invalid_input(self, error: Exception, row: Any) -> InvalidInput | None:
        """Return the error for an invalid row; ``None`` if the model failed for another reason."""
        if _is_named(error, VALIDATION_ERROR):
            # It is raised while the package's own error, which has the locations, is handled.
            violations = _violations(error.__cause__ or error.__context__, row)
            return InvalidInput(str(error) or "the model rejected the row", violations=violations)
        if self._is_about_row(error):
            return _from_package_error(error, row)
        try:
            self._input.validate(row)
        except Exception as violation:  # an author's own validators may raise anything
            is_known = _is_of_pydantic(violation) or _is_of_schema(violation)
            return _from_package_error(violation, row) if is_known else None
        return None

    def _is_about_row(self, error: Any) -> bool:
        """Return whether a package's own error cannot be about the prediction."""
        if not _is_of_pydantic(error):
            return _is_of_schema(error) and self._input.declared is None
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


def _get_parser(model: Any, declaration: Declaration) -> Any:
    """Return the function that converts a row to the argument of a model's ``predict``.

    Classes of older ml_base convert the row themselves, from a dict to a pydantic class.
    """
    parameters = list(inspect.signature(model.predict).parameters.values())
    annotation = parameters[0].annotation if parameters else inspect.Parameter.empty
    if annotation is inspect.Parameter.empty:
        return declaration.with_mapping_access().parse
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return _identity if _MAPPING.match(text) else declaration.parse


def _identity(row: Any) -> Any:
    return row


def _text(model: Any, name: str) -> str:
    value = getattr(model, name, None)
    return "" if value is None else str(value)


def _version(model: Any) -> str:
    parts = [_text(model, "major_version"), _text(model, "minor_version")]
    return _text(model, "version") or ".".join(filter(None, parts))


def _is_named(error: BaseException | None, name: str) -> bool:
    return name in [each.__name__ for each in type(error).__mro__]


def _is_of_pydantic(error: BaseException | None) -> bool:
    # Other packages have errors of that name, but without that method.
    return _is_named(error, "ValidationError") and hasattr(error, "errors")


def _is_of_schema(error: BaseException | None) -> bool:
    return _is_named(error, "SchemaError") and hasattr(error, "autos")


def _titles(document: Mapping[str, Any] | None) -> set[str]:
    """Return the names of the pydantic classes from which a JSON Schema was generated."""
    root = document or {}
    definitions = {**root.get("$defs", {}), **root.get("definitions", {})}
    return {str(part.get("title")) for part in [root, *definitions.values()]}


def _from_package_error(error: Exception, row: Any) -> InvalidInput:
    violations = _violations(error, row)
    return InvalidInput(summary(violations), "", violations)


def _violations(error: BaseException | None, row: Any) -> list[Violation]:
    """Return the violations in an error of pydantic or of the package ``schema``."""
    if _is_of_pydantic(error):
        return [
            Violation(to_pointer(_path(each, row)), _PREFIX.sub("", each["msg"]))
            for each in cast(Any, error).errors()
        ]
    return [_violation(error)] if _is_of_schema(error) else []


def _violation(error: Any) -> Violation:
    *locations, detail = [text for text in error.autos if text] or [str(error)]
    steps = [_LOCATION.search(location) for location in locations]
    # The path has no step for an alternative or an item of a list, so it would be incomplete.
    if not all(steps):
        return Violation("", error.code)
    messages = [text for text in error.errors if text]
    path = [ast.literal_eval(step[1]) for step in steps if step]
    return Violation(to_pointer(path), messages[-1] if messages else detail)


def _path(error: Mapping[str, Any], row: Any) -> Iterator[str | int]:
    """Yield those steps of a pydantic location that lead to a value in the row.

    The others name an alternative of a union, or a validator of the whole.
    """
    is_missing = error["type"].endswith("missing")
    for step in error["loc"]:
        is_name = is_missing and step == error["loc"][-1]
        if isinstance(row, Mapping) and (step in row or is_name):
            yield step
            row = row.get(step)
        elif isinstance(row, list) and isinstance(step, int) and step < len(row):
            yield step
            row = row[step]

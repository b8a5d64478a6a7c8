"""Endpoints: methods of a model that the host exposes in addition to predict."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from mlmodel.declarations.declaration import to_input_schema, to_output_schema
from mlmodel.errors import InvalidModel
from mlmodel.model import MLModel

Method = TypeVar("Method", bound=Callable[..., Any])

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
#: Last URL segments that every model already has.
RESERVED = frozenset(
    {
        "inspect",
        "jobs",
        "load",
        "metadata",
        "predict",
        "reload",
        "rows",
        "truth",
        "unload",
        "versions",
    }
)
METHODS = frozenset({"GET", "POST"})

_MARK = "__modelhost_endpoint__"


@dataclass(frozen=True)
class Endpoint:
    """A method that the host exposes, as its author declared it.

    ``attribute`` is the method's name in its class, ``description`` its docstring. The schemas are
    JSON Schemas, classes of pydantic, dataclasses or ``None``.
    """

    name: str
    methods: tuple[str, ...]
    input_schema: Any
    output_schema: Any
    attribute: str = ""
    description: str = ""

    def with_json_schemas(self) -> Endpoint:
        """Return the endpoint with its schemas as JSON Schemas or ``None``."""
        return replace(
            self,
            input_schema=to_input_schema(self.input_schema),
            output_schema=to_output_schema(self.output_schema),
        )


def endpoint(
    name: str,
    *,
    methods: Sequence[str] = ("POST",),
    input_schema: Any = None,
    output_schema: Any = None,
) -> Callable[[Method], Method]:
    """Expose a method of a model as ``/api/models/<model>/<name>``.

    Like :meth:`~mlmodel.model.MLModel.predict`, the method takes a row and returns a result::

        class Scorer(MLModel):
            ...
            @endpoint("explain", input_schema=ROW, output_schema=WEIGHTS)
            def explain(self, row):
                \"\"\"How much each member of the row weighs.\"\"\"

    :param name: lower-case letters, digits, ``_`` and ``-``; not one of :data:`RESERVED`.
    :param input_schema: a JSON Schema, a class of pydantic or a dataclass, see
        :attr:`~mlmodel.model.MLModel.input_schema`; likewise ``output_schema``.
    :param methods: ``POST`` takes the row from the body, ``GET`` from the query.
    The host checks both when it loads the model.
    """

    def mark(method: Method) -> Method:
        description = inspect.getdoc(method) or ""
        declared = Endpoint(
            name, tuple(methods), input_schema, output_schema, description=description
        )
        setattr(method, _MARK, declared)
        return method

    # Without parentheses, the name is the method: the class is rejected when it is loaded.
    return mark(name) if callable(name) else mark


def get_endpoints(model: MLModel) -> dict[str, Endpoint]:
    """Return the endpoints of a model's class and its base classes, sorted by name.

    :raises InvalidModel: if a name or an HTTP method is invalid, or two methods declare the same
        name.
    """
    endpoints: dict[str, Endpoint] = {}
    for each in _get_declared(type(model)):
        _check(each, f"the method {each.attribute!r} of {type(model).__name__!r}")
        if each.name in endpoints:
            raise InvalidModel(f"two methods declare the endpoint {each.name!r}")
        endpoints[each.name] = each
    return dict(sorted(endpoints.items()))


def _check(declared: Endpoint, place: str) -> None:
    if not isinstance(declared.name, str):
        raise InvalidModel(f'{place}: @endpoint needs a name, such as @endpoint("explain")')
    if not NAME.fullmatch(declared.name) or declared.name in RESERVED:
        reserved = ", ".join(sorted(RESERVED))
        raise InvalidModel(
            f"{place}: the name of an endpoint must be 1 to 64 lower-case letters, digits, '_' or "
            f"'-', and not one of {reserved}; got {declared.name!r}"
        )
    if not declared.methods or not METHODS.issuperset(declared.methods):
        raise InvalidModel(
            f"{place}: the methods of an endpoint must be GET, POST or both, "
            f"got {list(declared.methods)!r}"
        )


def _get_declared(model_class: type) -> Iterator[Endpoint]:
    for attribute in dir(model_class):
        mark = getattr(inspect.getattr_static(model_class, attribute), _MARK, None)
        if isinstance(mark, Endpoint):
            yield replace(mark, attribute=attribute)

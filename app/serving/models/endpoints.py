"""Endpoints of a hosted model: predict, and those that its author marks with ``@endpoint``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.serving.calls.methods import PREDICT, Method, get_methods
from app.serving.calls.to_json import to_json
from app.serving.catalog.model_spec import ModelSpec
from app.serving.isolation.isolated import IsolatedModel
from app.serving.process.metrics import CallMetrics
from mlmodel.bounded import sizes
from mlmodel.declarations.declaration import to_input_schema, to_output_schema
from mlmodel.declarations.endpoints import Endpoint, get_endpoints
from mlmodel.model import MLModel
from mlmodel.reference.caution import with_hints
from mlmodel.reference.profile import Profile
from mlmodel.schema.validator import Schema


@dataclass(frozen=True)
class HostedEndpoint:
    """One endpoint of a model: predict, or a method that its author marked with ``@endpoint``.

    ``predict`` maps the rows of a call to as many predictions. ``metrics`` counts the calls.
    """

    name: str
    methods: tuple[str, ...]
    description: str
    input: Schema
    output: Schema
    predict: Callable[[Sequence[Any]], Any]
    metrics: CallMetrics

    @property
    def input_schema(self) -> Mapping[str, Any] | None:
        """The JSON Schema of a row; ``None`` if any row is valid."""
        return self.input.document if isinstance(self.input.document, Mapping) else None

    @property
    def output_schema(self) -> Mapping[str, Any] | None:
        """The JSON Schema of a prediction; ``None`` if any prediction is valid."""
        return self.output.document if isinstance(self.output.document, Mapping) else None

    @property
    def is_closed(self) -> bool:
        """Whether the schemas name all members of rows and predictions.

        A class may return members that ``properties`` of its output schema do not name. Such a
        schema counts as closed too: otherwise a misspelled field in ``leave_out`` would be
        accepted, and the field logged.
        """
        return self.input.is_closed and self.output.is_closed_by_properties


def build_endpoints(
    model: MLModel,
    spec: ModelSpec,
    *,
    unique_name: str,
    profile: Profile | None = None,
    direct: Method | None = None,
    call: Callable[[str, Sequence[Any]], Any],
) -> dict[str, HostedEndpoint]:
    """Return the endpoints of a model by name.

    :param spec: the model's entry, whose input schema overrides the model's own.
    :param profile: whose ranges replace those of the input schema: hints and cautions must agree.
    :param direct: the method behind predict, if it needs neither queue nor time limit.
    :param call: calls the method of the named endpoint while the model is loaded.
    :raises FlmError: if a schema is invalid or too large.
    """
    own_schema = spec.input_schema
    row = to_input_schema(model.input_schema if own_schema is None else own_schema)
    predict = HostedEndpoint(
        name=PREDICT,
        methods=("POST",),
        description=str(model.description),
        input=_schema(
            "input_schema",
            with_hints(row, profile) if row and profile else row,
            is_null_left=model.replaces_missing,
        ),
        output=_schema("output_schema", to_output_schema(model.output_schema)),
        predict=direct or partial(call, PREDICT),
        metrics=CallMetrics(unique_name, PREDICT),
    )
    marked = {
        name: HostedEndpoint(
            name=name,
            methods=each.methods,
            description=each.description,
            input=_schema("input_schema", each.input_schema),
            output=_schema("output_schema", each.output_schema),
            predict=partial(call, name),
            metrics=CallMetrics(unique_name, name),
        )
        for name, each in _get_marked(model).items()
    }
    return {PREDICT: predict, **marked}


def build_methods(model: MLModel) -> dict[str, Method]:
    """Return the methods that map rows to predictions in plain JSON, by endpoint name."""
    if isinstance(model, IsolatedModel):
        return {name: partial(model.call_endpoint, name) for name in (PREDICT, *model.endpoints)}
    return get_methods(model)


def _get_marked(model: MLModel) -> dict[str, Endpoint]:
    endpoints = model.endpoints if isinstance(model, IsolatedModel) else get_endpoints(model)
    return {name: each.with_json_schemas() for name, each in endpoints.items()}


def _schema(
    title: str, document: Mapping[str, Any] | None, *, is_null_left: bool = False
) -> Schema:
    sizes.check_schema(title, document)
    return Schema(True if document is None else to_json(document), is_null_left=is_null_left)

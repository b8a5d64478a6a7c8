"""The ways to ask a hosted model: predict, and what its author offers beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.serving.calls.methods import PREDICT, Method, methods_of
from app.serving.calls.to_json import to_json
from app.serving.catalog.catalog import ModelSpec
from app.serving.isolation.isolated import IsolatedModel
from app.serving.process.metrics import Meter
from mlmodel.endpoint import Endpoint, endpoints_of
from mlmodel.model import MLModel
from mlmodel.schema.validator import Schema


@dataclass(frozen=True)
class HostedEndpoint:
    """One way to ask a model: predict, or what its author has marked with ``@endpoint``.

    ``ask`` takes the rows of one call and gives as many answers. ``meter`` counts such calls.
    """

    name: str
    methods: tuple[str, ...]
    description: str
    input: Schema
    output: Schema
    ask: Callable[[Sequence[Any]], Any]
    meter: Meter

    @property
    def input_schema(self) -> Mapping[str, Any] | None:
        """The JSON Schema of a row; ``None`` where anything goes."""
        return self.input.document if isinstance(self.input.document, Mapping) else None

    @property
    def output_schema(self) -> Mapping[str, Any] | None:
        """The JSON Schema of an answer; ``None`` where it promises nothing."""
        return self.output.document if isinstance(self.output.document, Mapping) else None


def endpoints(
    model: MLModel,
    spec: ModelSpec,
    *,
    label: str,
    methods: Mapping[str, Method],
    ask: Callable[[str, Sequence[Any]], Any],
) -> dict[str, HostedEndpoint]:
    """Return the ways to ask a loaded model, by their names.

    :param spec: its entry, whose input schema counts more than the model's own.
    :param methods: what answers, see :func:`asking`.
    :param ask: calls one of them as long as the model is there, by its name.
    """
    asked = spec.input_schema
    predict = HostedEndpoint(
        name=PREDICT,
        methods=("POST",),
        description=str(model.description),
        input=_schema(
            model.input_schema if asked is None else asked, is_null_left=model.replaces_missing
        ),
        output=_schema(model.output_schema),
        ask=methods[PREDICT] if model.ends_soon else partial(ask, PREDICT),
        meter=Meter(label, PREDICT),
    )
    marked = {
        name: HostedEndpoint(
            name=name,
            methods=each.methods,
            description=each.description,
            input=_schema(each.input_schema),
            output=_schema(each.output_schema),
            ask=partial(ask, name),
            meter=Meter(label, name),
        )
        for name, each in _marked(model).items()
    }
    return {PREDICT: predict, **marked}


def asking(model: MLModel) -> dict[str, Method]:
    """Return what answers rows, in plain JSON, by the names of the endpoints."""
    if isinstance(model, IsolatedModel):
        return {name: partial(model.ask, name) for name in (PREDICT, *model.endpoints)}
    return methods_of(model)


def _marked(model: MLModel) -> dict[str, Endpoint]:
    return model.endpoints if isinstance(model, IsolatedModel) else endpoints_of(model)


def _schema(document: Mapping[str, Any] | None, *, is_null_left: bool = False) -> Schema:
    return Schema(True if document is None else to_json(document), is_null_left=is_null_left)

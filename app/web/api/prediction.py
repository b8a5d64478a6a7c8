"""A prediction over HTTP: the body, and headers with the model's version, runtime and time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from app.serving.calls.methods import PREDICT
from app.serving.models.hosted import HostedModel
from app.serving.models.predictor import Predictor
from app.web.http.json_provider import dumps
from mlmodel.errors import InvalidInput

#: The name and the value of a header.
Header = tuple[str, str]


def to_reference(name: str, version: str | None) -> str:
    """Return how :meth:`ModelManager.get` names a model, or a version of it."""
    return f"{name}@{version}" if version else name


def call(
    predictor: Predictor, name: str, rows: Sequence[Any], endpoint: str = PREDICT
) -> tuple[HostedModel, list[Any], list[Header]]:
    """Return the model, its predictions, and the headers that describe them.

    Raises the same errors as :meth:`Predictor.predict`.
    """
    started = time.perf_counter()
    model, predictions = predictor.predict_with_model(name, rows, endpoint)
    milliseconds = 1000 * (time.perf_counter() - started)
    timing = ("Server-Timing", f"predict;dur={milliseconds:.3f}")
    return model, predictions, [timing, *_model_headers(model.version, model.about.runtime)]


def point_to_rows(error: InvalidInput) -> InvalidInput:
    """Return an error about rows with pointers that begin with the index of the row."""
    violations = [replace(each, pointer=f"/{each.row}{each.pointer}") for each in error.violations]
    return InvalidInput(str(error), violations=violations)


def predict(
    predictor: Predictor, name: str, body: Any, endpoint: str
) -> tuple[bytes, list[Header]]:
    """Call a model, and return the body and headers of the response.

    :param body: a row, for one prediction, or a list of rows, for a list of predictions.
    :raises FlmError: as :meth:`Predictor.predict` does.
    :raises ServingError: as :meth:`Predictor.predict` does.
    """
    is_many = isinstance(body, list)
    _, predictions, headers = call(predictor, name, body if is_many else [body], endpoint)
    return dumps(predictions if is_many else predictions[0]), headers


@lru_cache
def _model_headers(version: str, runtime: str) -> list[Header]:
    """Return the headers that describe the model, without empty ones."""
    headers = {"X-Model-Version": _to_header(version), "X-Model-Runtime": _to_header(runtime)}
    return [(name, value) for name, value in headers.items() if value]


def _to_header(text: str) -> str:
    """Return a text in ASCII on one line, as a header value requires."""
    return "".join(each if " " <= each <= "~" else "?" for each in text).strip()

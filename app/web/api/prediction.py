"""A prediction over HTTP: the body, and headers with the model's version, runtime and time."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

from app.serving.models.predictor import Predictor
from app.web.http.json_provider import dumps

#: The name and the value of a header.
Header = tuple[str, str]


def predict(
    predictor: Predictor, name: str, body: Any, endpoint: str
) -> tuple[bytes, list[Header]]:
    """Call a model, and return the body and headers of the response.

    :param body: a row, for one prediction, or a list of rows, for a list of predictions.
    :raises FlmError: as :meth:`Predictor.predict` does.
    :raises ServingError: as :meth:`Predictor.predict` does.
    """
    is_many = isinstance(body, list)
    started = time.perf_counter()
    model, predictions = predictor.predict_with_model(name, body if is_many else [body], endpoint)
    milliseconds = 1000 * (time.perf_counter() - started)
    timing = ("Server-Timing", f"predict;dur={milliseconds:.3f}")
    content = dumps(predictions if is_many else predictions[0])
    return content, [timing, *_model_headers(model.version, model.about.runtime)]


@lru_cache
def _model_headers(version: str, runtime: str) -> list[Header]:
    """Return the headers that describe the model, without empty ones."""
    headers = {"X-Model-Version": _to_header(version), "X-Model-Runtime": _to_header(runtime)}
    return [(name, value) for name, value in headers.items() if value]


def _to_header(text: str) -> str:
    """Return a text in ASCII on one line, as a header value requires."""
    return "".join(each if " " <= each <= "~" else "?" for each in text).strip()

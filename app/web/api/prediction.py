"""A prediction over HTTP: the body, and headers with the model's version, runtime and time."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

from app.serving.models.predictor import Predictor
from app.web.http.json_provider import dumps

#: The name and the value of a header.
Header = tuple[str, str]


def answer(predictor: Predictor, name: str, body: Any, endpoint: str) -> tuple[bytes, list[Header]]:
    """Call a model, and return the body and headers of the response.

    :param body: a row, for one prediction, or a list of rows, for a list of predictions.
    :raises FlmError: as :meth:`Predictor.predict` does.
    :raises ServingError: as :meth:`Predictor.predict` does.
    """
    is_many = isinstance(body, list)
    started = time.perf_counter()
    model, answers = predictor.asked(name, body if is_many else [body], endpoint)
    milliseconds = 1000 * (time.perf_counter() - started)
    timing = ("Server-Timing", f"predict;dur={milliseconds:.3f}")
    said = dumps(answers if is_many else answers[0])
    return said, [timing, *_identity(model.version, model.runtime)]


@lru_cache
def _identity(version: str, runtime: str) -> tuple[Header, ...]:
    return ("X-Model-Version", _in_header(version)), ("X-Model-Runtime", _in_header(runtime))


def _in_header(text: str) -> str:
    """Return a text in ASCII on one line, as a header value requires."""
    return "".join(each if " " <= each <= "~" else "?" for each in text).strip()

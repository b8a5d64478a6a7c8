"""A prediction over HTTP: from the value of a request body to the content of its response."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from app.serving.calls.caller import CALLER
from app.serving.calls.methods import PREDICT
from app.serving.explaining.cautions import list_cautions
from app.serving.models.endpoints import HostedEndpoint
from app.serving.models.hosted import HostedModel
from app.serving.models.predictor import Explain, Predictor
from app.web.api.bodies import envelopes
from app.web.http.json_provider import dumps
from app.web.http.problems import build_row_problems
from mlmodel.errors import InvalidInput
from mlmodel.reference.caution import Caution

#: The name and the value of a header.
Header = tuple[str, str]


def to_public_name(name: str, version: str | None) -> str:
    """Return how :meth:`.ModelManager.get` names a model, or a version of it."""
    return f"{name}@{version}" if version else name


def to_rows(predictor: Predictor, name: str, body: Any, endpoint: str) -> envelopes.Rows:
    """Return the rows of a body, see :mod:`.envelopes`. A body in split format is changed in place.

    :raises ServingError: if the body may have rows in another form than an array, and there is no
        such model, or there are too many rows.
    :raises InvalidInput: if its form does not fit the model.
    """
    if envelopes.is_likely(body):
        model = predictor.manager.get_described(name)
        hosted = model.endpoints.get(endpoint)
        if hosted is not None:
            example = _get_example(model, endpoint)
            return envelopes.read_rows(body, hosted.input, predictor.max_rows, example)
    return envelopes.plain_rows(body)


def predict(
    predictor: Predictor, name: str, rows: envelopes.Rows, endpoint: str
) -> tuple[bytes, list[Header]]:
    """Call a model, and return the content of the response and the headers that describe it.

    Raises the same errors as :func:`call_rows`.
    """
    _, predictions, headers = call_rows(predictor, name, rows, endpoint)
    return dumps(predictions if isinstance(rows.value, list) else predictions[0]), headers


def call_rows(
    predictor: Predictor, name: str, rows: envelopes.Rows, endpoint: str
) -> tuple[HostedModel, list[Any], list[Header]]:
    """Return the model, its predictions for the rows of a body, and headers that describe them.

    :raises FlmError: as :meth:`Predictor.predict` does, with pointers into the request body.
    :raises ServingError: as :meth:`Predictor.predict` does.
    """

    def explain(error: InvalidInput, model: HostedModel, target: HostedEndpoint) -> InvalidInput:
        return envelopes.with_example(error, rows, target.input, _get_example(model, endpoint))

    values = rows.value if isinstance(rows.value, list) else [rows.value]
    return call(predictor, name, values, endpoint, explain)


def _get_example(model: HostedModel, endpoint: str) -> Any:
    return next(iter(model.about.examples), None) if endpoint == PREDICT else None


def call(
    predictor: Predictor,
    name: str,
    rows: Sequence[Any],
    endpoint: str = PREDICT,
    explain: Explain | None = None,
) -> tuple[HostedModel, list[Any], list[Header]]:
    """Return the model, its predictions, and the headers that describe them.

    Raises the same errors as :meth:`Predictor.predict_with_model`.
    """
    started = time.perf_counter()
    model, predictions = predictor.predict_with_model(name, rows, endpoint, explain)
    timing = _timing(started)
    headers = [timing, *get_model_headers(model)]
    if endpoint == PREDICT:
        headers += _log_headers(model, range(len(rows)))
    return model, predictions, headers


def with_cautions(
    model: HostedModel, rows: Sequence[Any], results: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the results for rows, each prediction with the cautions about its row.

    The cautions are ``None`` if the model has no reference profile.
    """
    pairs = zip(rows, results, strict=True)
    valid = [row for row, result in pairs if "prediction" in result]
    cautions = map(_to_json, list_cautions(model, valid))
    return [
        {**result, "cautions": next(cautions)} if "prediction" in result else result
        for result in results
    ]


def predict_each(
    predictor: Predictor, name: str, rows: envelopes.Rows
) -> tuple[HostedModel, list[dict[str, Any]], list[Header]]:
    """Return the model, its prediction or the problem of each row, and headers for them.

    :param rows: of which some may be the errors for which they could not be read.
    :raises ServingError: as :meth:`Predictor.predict_each` does.
    """
    started = time.perf_counter()
    values = rows.value if isinstance(rows.value, list) else [rows.value]
    model, results = predictor.predict_each(name, values)
    timing = _timing(started)
    errors = [rows.add_line(each.error, at) for at, each in enumerate(results) if each.error]
    problems = iter(build_row_problems(errors))
    documents = [
        {"problem": next(problems)} if each.error else {"prediction": each.prediction}
        for each in results
    ]
    headers = get_model_headers(model)
    valid = [at for at, each in enumerate(results) if not each.error]
    return model, documents, [timing, *headers, *_log_headers(model, valid)]


def get_model_headers(model: HostedModel) -> list[Header]:
    """Return the headers that describe the model, without empty ones."""
    file = model.file_fingerprint
    return _model_headers(model.version, model.about.runtime, file.digest if file else "")


def point_to_rows(error: InvalidInput) -> InvalidInput:
    """Return an error about rows with pointers that begin with the index of the row."""
    violations = [replace(each, pointer=f"/{each.row}{each.pointer}") for each in error.violations]
    return InvalidInput(str(error), violations=violations)


def _to_json(cautions: Sequence[Caution] | None) -> list[dict[str, Any]] | None:
    return None if cautions is None else [each.to_json() for each in cautions]


def _timing(started: float) -> Header:
    milliseconds = 1000 * (time.perf_counter() - started)
    return "Server-Timing", f"predict;dur={milliseconds:.3f}"


def _log_headers(model: HostedModel, indexes: Iterable[int]) -> list[Header]:
    """Return the header with the number of logged rows, if the log has only a share of them.

    :param indexes: those of the rows with a prediction.
    """
    policy, caller = model.spec.log, CALLER.get()
    if policy is None or caller is None or policy.share >= 1:
        return []
    logged = sum(policy.is_sampled(caller.request_id, index) for index in indexes)
    return [("X-Logged-Rows", str(logged * caller.is_logged))]


@lru_cache
def _model_headers(version: str, runtime: str, sha256: str) -> list[Header]:
    headers = {
        "X-Model-Version": _to_header(version),
        "X-Model-Runtime": _to_header(runtime),
        "X-Model-SHA256": sha256,
    }
    return [(name, value) for name, value in headers.items() if value]


def _to_header(text: str) -> str:
    """Return a text in ASCII on one line, as a header value requires."""
    return "".join(each if " " <= each <= "~" else "?" for each in text).strip()

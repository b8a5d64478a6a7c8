"""Reference profiles of models in use: the one in the file, or one of logged predictions."""

from __future__ import annotations

import json
import logging
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

from app.serving.calls.methods import PREDICT
from app.serving.errors import LogUnavailable, TooFewRows
from app.serving.models.hosted import HostedModel
from app.serving.monitoring.drift import MIN_ROWS
from app.serving.prediction_log.store import PredictionStore, Record, Selection
from mlmodel.errors import BadMetadata
from mlmodel.reference.profile import Profile

log = logging.getLogger(__name__)


class Source(StrEnum):
    """Where a reference comes from."""

    FILE = "file"
    LOG = "log"


@dataclass(frozen=True)
class Reference:
    """A profile, and where it comes from.

    ``last`` is the time and the index in its request of the last row, if the rows are logged
    predictions.
    """

    profile: Profile
    source: Source
    last: tuple[float, int] | None = None


def read_reference(store: PredictionStore, model: HostedModel) -> Reference | None:
    """Return the reference of a model; ``None`` if it has none."""
    if model.about.profile is not None:
        return Reference(model.about.profile, Source.FILE)
    path = _get_path(store, model)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        profile = Profile.from_json(document["profile"], path.name)
        time, index = document["last"]
        return Reference(profile, Source.LOG, (float(time), int(index)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, BadMetadata) as error:
        log.warning("ignoring the reference profile in %s: %s", path, error)
        return None


def create_reference(store: PredictionStore, model: HostedModel) -> Reference:
    """Store the first logged predictions of a model as its reference, unless it has one.

    The profile contains no single row, so it remains when the predictions are deleted.

    :raises TooFewRows: if fewer than :data:`MIN_ROWS` are logged.
    :raises LogUnavailable: if the log cannot be read or written.
    """
    try:
        return _create(store, model)
    except (OSError, sqlite3.Error) as error:
        raise LogUnavailable(
            f"the prediction log of {model.name!r} cannot be used: {error}"
        ) from error


def _create(store: PredictionStore, model: HostedModel) -> Reference:
    known = read_reference(store, model)
    if known is not None:
        return known
    records = list(
        islice(store.read(model.name, Selection(unique_name=model.unique_name)), MIN_ROWS)
    )
    if len(records) < MIN_ROWS:
        raise TooFewRows(MIN_ROWS, len(records))
    reference = _build(model, records)
    path = _get_path(store, model)
    new = path.with_suffix(f".{secrets.token_hex(4)}")  # another request may do the same
    document = {"last": reference.last, "profile": reference.profile.to_json()}
    new.write_text(json.dumps(document), encoding="utf-8")
    new.replace(path)
    return reference


def fill_defaults(model: HostedModel, rows: Sequence[Any]) -> Sequence[Any]:
    """Return logged rows as the model gets them: a member with a default is not missing.

    Rows are logged as clients send them. A model that is not loaded gets none.
    """
    target = model.endpoints.get(PREDICT)
    return rows if target is None else target.input.convert(rows)


def _build(model: HostedModel, records: Sequence[Record]) -> Reference:
    rows, predictions = zip(*((each.row, each.prediction) for each in records), strict=True)
    profile = Profile.from_rows(fill_defaults(model, rows), predictions)
    return Reference(profile, Source.LOG, (records[-1].time, records[-1].index))


def _get_path(store: PredictionStore, model: HostedModel) -> Path:
    return store.folder / model.name / f"{model.unique_name}.reference.json"

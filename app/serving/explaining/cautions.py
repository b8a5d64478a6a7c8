"""The cautions about rows of a hosted model, and the column that has them in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.serving.calls.methods import PREDICT
from app.serving.errors import NoProfile
from app.serving.models.hosted import HostedModel
from app.serving.tables import tables
from mlmodel.reference.caution import Caution, find_cautions

#: The column of cautions.
COLUMN = "caution"


def check_profile(model: HostedModel) -> None:
    """Check that a model has a reference profile, if it is loaded.

    :raises NoProfile: if it has none.
    """
    if model.endpoints and model.about.profile is None:
        raise NoProfile(model.name)


def list_cautions(model: HostedModel, rows: Sequence[Any]) -> list[list[Caution] | None]:
    """Return the cautions about valid rows; ``None`` if the model has no reference profile."""
    profile, target = model.about.profile, model.endpoints.get(PREDICT)
    if profile is None or target is None:
        return [None] * len(rows)
    # A member with a default that the host fills in is not blank.
    return [find_cautions(row, profile) for row in target.input.convert(rows)]


def add_cautions(
    model: HostedModel, rows: Sequence[Any], predictions: Sequence[Any]
) -> list[dict[str, Any]]:
    """Return the members of the predictions for rows, and the column of cautions.

    The column is empty for a row without cautions, and if :func:`check_profile` raises an error.
    """
    found = list_cautions(model, rows)
    return [
        tables.add_columns(tables.to_members(prediction), {COLUMN: _to_text(cautions or ())})
        for prediction, cautions in zip(predictions, found, strict=True)
    ]


def _to_text(cautions: Sequence[Caution]) -> str:
    return "; ".join(f"{each.pointer[1:]}: {each.detail}" for each in cautions)

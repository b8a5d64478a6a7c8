"""Build the reference profile of a model while it is packaged."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlmodel import frameworks
from mlmodel.errors import InvalidModel
from mlmodel.frameworks import labels
from mlmodel.model import Row
from mlmodel.reference.distributions import Opaque, is_missing
from mlmodel.reference.main_value import PREDICTION, Scalar
from mlmodel.reference.profile import MIN_ROWS, Profile
from mlmodel.schema.messages import join_first
from mlmodel.schema.shape import Shape
from mlmodel.schema.subschemas import members_of
from mlmodel.schema.validator import Schema

logger = logging.getLogger(__name__)


def build_profile(
    adapter: frameworks.Adapter,
    model: Any,
    found: frameworks.Schemas,
    extra: Mapping[str, Any],
    truths: Sequence[Any] | None = None,
) -> Profile | None:
    """Return the profile of the sample from which schemas were inferred, and of its predictions.

    :param found: the schemas inferred from the sample.
    :param extra: the file's metadata, with the schemas that it will have.
    :param truths: those of the sample's rows, as :func:`to_truths` returns them.
    :return: ``None`` if the sample has too few rows, or the model has no named fields.
    """
    count = max(map(len, found.columns.values()), default=0)
    if count < MIN_ROWS:
        return None
    predictions = _predict(adapter, model, found.rows, extra)
    profile = Profile.from_columns(found.columns, predictions, truths)
    members = Shape.of(found.input).members.values()
    # The texts of a sample may repeat, but those of requests differ from them.
    texts = {
        name: Opaque(profile.fields[name].missing)
        for name, member in zip(found.columns, members, strict=False)
        if name in profile.fields and member.text("contentMediaType") == "text/plain"
    }
    return replace(profile, fields={**profile.fields, **texts})


def to_truths(target: Any, output: Shape, words: Sequence[Any] = ()) -> list[Any]:
    """Return true values in plain Python, those of a classifier as it predicts them.

    :param output: the inferred schema of predictions.
    :param words: those for the integers on which a classifier was fitted: the values may be either.
    :raises InvalidModel: if there are values that a classifier does not predict.
    """
    values = _to_list(target)
    prediction = output.members.get(PREDICTION)
    if prediction is None or "enum" not in prediction.schema:
        return values
    classes = {each.value: each.value for each in prediction.constants}
    scalars = (each for each in values if isinstance(each, Scalar) and not is_missing(each))
    given = dict.fromkeys(scalars).keys()
    encoded = dict(enumerate(words))
    names = encoded if given <= encoded.keys() and not given <= classes.keys() else classes
    unknown = [each for each in given if each not in names]
    if unknown:
        raise InvalidModel(
            f"y has values that the model does not predict: {join_first(map(repr, unknown), 5)}; "
            f"expected only {join_first(map(repr, classes), 5)}"
        )
    return [names[each] if each in given else each for each in values]


def rename(found: frameworks.Schemas, names: Sequence[str]) -> frameworks.Schemas:
    """Return what a sample shows under the names of a row's members, which an author may change."""
    own = list(found.columns)
    if len(names) != len(own) or set(names) == set(own):
        return found
    new = dict(zip(own, names, strict=True))

    def renamed(row: Row) -> Row:
        return {new[name]: value for name, value in row.items()}

    return replace(
        found,
        columns=renamed(found.columns),
        rows=list(map(renamed, found.rows)),
        examples=tuple(map(renamed, found.examples)),
    )


def check_target(sample: Any, target: Any) -> None:
    """Reject true values without a sample, or of another length.

    :raises InvalidModel: if there are not as many true values as rows.
    """
    if target is None:
        return
    if sample is None:
        raise InvalidModel("y needs the sample whose true values it has; pass sample=X too")
    # A sparse matrix has a shape, but no length.
    rows = sample.shape[0] if hasattr(sample, "shape") else len(sample)
    if len(target) != rows:
        raise InvalidModel(f"the sample has {rows} rows, y has {len(target)} values")


def _predict(
    adapter: frameworks.Adapter, model: Any, rows: Sequence[Any], extra: Mapping[str, Any]
) -> list[Any]:
    """Return the predictions for the rows that satisfy the input schema."""
    input_schema = extra.get("input_schema")
    predict = adapter.predictor(model, members_of(input_schema), extra.get("outputs", ()))
    if extra.get(labels.KEY) is not None:
        predict = labels.LabelledPredictor(predict, extra[labels.KEY])
    schema = Schema(True if input_schema is None else input_schema)
    valid = [row for row in rows if not schema.violations(row, most=1)]
    try:
        return predict(schema.convert(valid)) if valid else []
    # The model's code may raise anything for rows that it was not fitted on.
    except Exception as error:
        logger.warning("the reference profile has no predictions: %s", error)
        return []


def _to_list(target: Any) -> list[Any]:
    if hasattr(target, "columns"):  # a frame, whose items are the names of its columns
        target = target.to_numpy()
    if getattr(target, "shape", ())[1:] == (1,):
        target = target[:, 0]
    values = target.tolist() if hasattr(target, "tolist") else list(target)
    return [each.item() if hasattr(each, "item") else each for each in values]

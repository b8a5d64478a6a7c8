"""The columns that a table has besides predictions: the reasons for them, and cautions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from app.serving.errors import CannotExplain, InvalidPrediction, PredictionFailed
from app.serving.explaining.cautions import add_cautions, check_profile
from app.serving.explaining.explanation import (
    Effect,
    Explanation,
    OwnExplanation,
    explain,
    get_outputs,
    is_explainable,
)
from app.serving.explaining.output_paths import check_output, list_choices
from app.serving.models.hosted import HostedModel
from app.serving.models.predictor import Predictor
from app.serving.tables import tables
from mlmodel.reference.distributions import key
from mlmodel.reference.main_value import find_main_shape
from mlmodel.schema.shape import Shape

#: Returns what is stored for rows and their predictions.
Extend = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]
#: Maximum number of effects in a row of a table.
MOST_REASONS = 3
#: The columns of a row without effects.
NO_REASONS = dict.fromkeys((f"why_{place}" for place in range(1, MOST_REASONS + 1)), "")


def check_columns(model: HostedModel, explained: str | None, *, is_cautious: bool) -> None:
    """Check that a model has the columns that :func:`build_extend` adds.

    :raises CannotExplain: if it has no reasons, no such output, or needs one.
    :raises NoProfile: if it has no cautions.
    """
    if explained is not None:
        _check_explainable(model, explained)
    if is_cautious:
        check_profile(model)


def build_extend(
    predictor: Predictor,
    model: HostedModel,
    explained: str | None,
    *,
    is_cautious: bool,
    proceed: Callable[[], None] = lambda: None,
) -> Extend:
    """Return a function that adds columns of reasons and cautions to predictions.

    For a row that cannot be explained, ``why_1`` has the cause.

    :param explained: the output to explain, see :func:`explain`; ``None`` to explain nothing.
    :param proceed: called before a row is explained; raises an error to stop.
    """

    def add_reasons(row: Any, prediction: Any) -> dict[str, Any]:
        proceed()
        try:
            columns = _list_reasons(
                explain(predictor, model.public_name, row, output=explained or "")
            )
        except (CannotExplain, InvalidPrediction, PredictionFailed) as error:
            columns = NO_REASONS | {"why_1": f"not explained: {error}"}
        return tables.add_columns(tables.to_members(prediction), columns)

    def extend(rows: Sequence[Any], predictions: Sequence[Any]) -> Sequence[Any]:
        if explained is not None:
            predictions = [*map(add_reasons, rows, predictions)]
        return add_cautions(model, rows, predictions) if is_cautious else predictions

    return extend


def _check_explainable(model: HostedModel, output: str) -> None:
    if not is_explainable(model):
        raise CannotExplain(
            f"the model {model.name!r} cannot be explained: expected a reference profile with "
            "typical values, a row that is one text, or an endpoint 'explain', and predictions "
            "with a single number or label"
        )
    outputs = get_outputs(model)
    has_main = find_main_shape(Shape.of(model.output_schema)) is not None
    if len(outputs) > 1 and not output and not has_main:
        raise CannotExplain(list_choices(outputs))
    if output and outputs:
        check_output(Shape.of(model.output_schema), output)


def _list_reasons(explanation: Explanation | OwnExplanation) -> dict[str, Any]:
    """Return the largest effects as the columns ``why_1``, ``why_2``... of a table.

    A row with fewer effects has empty columns, so that all rows have the same columns. Effects on
    a probability are in percentage points: ``savings unknown: +8.1 points``. The explanation of an
    author's own endpoint is the column ``why``.
    """
    if isinstance(explanation, OwnExplanation):
        return {"why": explanation.value}
    largest = [each for each in explanation.effects if each.effect][:MOST_REASONS]
    is_number = explanation.number.kind == "number"
    return NO_REASONS | {
        f"why_{place}": f"{_describe(each)}: "
        + (f"{each.effect:+.4g}" if is_number else f"{100 * each.effect:+.1f} points")
        for place, each in enumerate(largest, start=1)
    }


def _describe(effect: Effect) -> str:
    if effect.value is None:
        return f"{effect.name} unknown"
    return effect.name if effect.value == effect.name else f"{effect.name} {key(effect.value)}"

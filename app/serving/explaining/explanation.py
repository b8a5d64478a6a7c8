"""The explanation of one prediction, and the function that makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.serving.errors import CannotExplain
from app.serving.explaining.explained_number import ExplainedNumber, may_have_number
from app.serving.explaining.output_paths import list_outputs
from app.serving.models.hosted import HostedModel
from app.serving.models.predictor import Predictor
from mlmodel.schema.shape import Shape

#: The endpoint of explanations; an author's own of this name is called instead.
EXPLAIN = "explain"


@dataclass(frozen=True)
class Effect:
    """How much a part of the row moves the explained number. ``value`` is the row's own."""

    name: str
    value: Any
    effect: float


@dataclass(frozen=True)
class Change:
    """Another value for one field, and the label that is predicted then."""

    name: str
    value: Any
    label: Any


@dataclass(frozen=True)
class Explanation:
    """The effects of the parts of a row, the largest first.

    They add up to ``prediction`` minus ``base``, the mean of ``number`` over typical rows. ``held``
    names the members of the row that are not varied, and ``typical_rows`` is the number of
    background rows. ``label`` is the predicted label, if there
    is one, and ``change`` the smallest change of one field that leads to another label.
    """

    number: ExplainedNumber
    prediction: float
    base: float
    effects: tuple[Effect, ...]
    held: tuple[str, ...]
    typical_rows: int
    method: str
    rows_evaluated: int
    standard_error: float
    label: Any
    change: Change | None


@dataclass(frozen=True)
class OwnExplanation:
    """The JSON that an author's own endpoint returns for a row."""

    value: Any


def is_explainable(model: HostedModel) -> bool:
    """Return whether a model has an own endpoint, or what an explanation compares with."""
    own = model.endpoints.get(EXPLAIN)
    if own is not None:
        return "POST" in own.methods
    row, profile = Shape.of(model.input_schema), model.about.profile
    if not may_have_number(Shape.of(model.output_schema)):
        return False
    if profile is None:
        return row.find_text() is not None
    # It imports numpy, which a server that explains nothing does not need.
    from mlmodel.reference.background import get_fields  # noqa: PLC0415

    return bool(get_fields(profile, row)) or row.find_text() is not None


def get_outputs(model: HostedModel) -> list[str]:
    """Return the values of predictions that :func:`explain` can explain, as JSON Pointers.

    The first one is the default, unless all are in the members of an object, or in a list.
    """
    return [] if EXPLAIN in model.endpoints else list_outputs(Shape.of(model.output_schema))


def explain(
    predictor: Predictor, name: str, row: Any, class_name: str = "", output: str = ""
) -> Explanation | OwnExplanation:
    """Return the explanation of the prediction for one row: that of the author, if there is one.

    A row always has the same one, unless the model is so slow that the time limits the rows.

    :param name: a model's name, or its name and version, see :meth:`.ModelManager.get`.
    :param class_name: the class whose probability is explained; by default the predicted one.
    :param output: the value of the prediction that is explained, see :func:`.find_path`; by default
        the main one.
    :raises CannotExplain: if the model or the row cannot be explained; the text gives the reason.
    :raises FlmError: as :meth:`Predictor.predict` does.
    :raises ServingError: as :meth:`Predictor.predict` does.
    """
    own = predictor.manager.get_described(name).endpoints.get(EXPLAIN)
    if own is not None:
        if "POST" not in own.methods:
            raise CannotExplain(
                "the model's endpoint 'explain' has only the method GET; add POST to explain rows"
            )
        return OwnExplanation(predictor.predict(name, [row], EXPLAIN)[0])
    # As above.
    from app.serving.explaining.explainer import Explainer  # noqa: PLC0415

    with predictor.evaluate(name) as (hosted, predict):
        return Explainer(hosted, predict, predictor.max_rows).explain(row, class_name, output)

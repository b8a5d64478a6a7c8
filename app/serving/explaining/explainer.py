"""Explains one prediction by the parts of its row, with calls of the model alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from app.serving.calls.methods import PREDICT
from app.serving.errors import CannotExplain
from app.serving.explaining.evaluator import CALL_ROWS, PROBE_ROWS, Evaluator
from app.serving.explaining.explained_number import ExplainedNumber, find_number
from app.serving.explaining.explanation import Change, Effect, Explanation
from app.serving.explaining.single_change import find_smallest_change
from app.serving.explaining.variations import FieldVariation, Variation, WordVariation
from app.serving.models.hosted import HostedModel
from app.serving.models.predictor import validate_rows
from mlmodel.reference.background import Field, draw_background, get_fields
from mlmodel.reference.shapley import (
    LEAST_BACKGROUND,
    ROWS_PER_ORDER,
    Effects,
    Evaluate,
    compute_effects,
    compute_linear_effects,
    is_enumerable,
)
from mlmodel.schema.shape import Shape
from mlmodel.schema.validator import Schema

#: Maximum number of rows evaluated for the effects, and for the smallest change.
MOST_ROWS, MOST_CHANGES = 20_000, 5_000
#: Maximum number of words of a text, so that there are enough rows for each.
MOST_WORDS = 2_000
#: One part in this many of the rows may be evaluated to test whether a model is linear.
LINEAR_PARTS = 4


@dataclass(frozen=True)
class _Typical:
    """The fields that a model's profile describes, and background rows of them."""

    fields: Sequence[Field] = ()
    rows: Sequence[Mapping[str, Any]] = ()


#: Cache by the schema of the rows, for as long as a model uses it.
_TYPICAL: WeakKeyDictionary[Schema, _Typical] = WeakKeyDictionary()


class Explainer:
    """Explains predictions of a model while it is held.

    :param predict: predicts rows with the model, see :meth:`.Predictor.evaluate`.
    :param max_rows: of one call.
    """

    def __init__(
        self,
        hosted: HostedModel,
        predict: Callable[[Sequence[Any]], list[Any]],
        max_rows: int,
    ) -> None:
        self._hosted = hosted
        self._input = hosted.endpoints[PREDICT].input
        self._evaluator = Evaluator(predict, self._input, max_rows, hosted.limits.seconds)

    def explain(self, row: Any, class_name: str, output: str) -> Explanation:
        """Return the explanation of the prediction for a row, see :func:`.explanation.explain`."""
        [row] = validate_rows([row], self._input)
        typical = _get_typical(self._hosted, self._input)
        variation = self._vary(row, typical)
        prediction = self._evaluator.predict_first(row)
        schema = Shape.of(self._hosted.output_schema)
        number = find_number(prediction, schema, class_name, output)
        most = self._limit_rows(variation)
        before = self._evaluator.rows
        effects = self._find_linear(number, prediction, variation, most)
        if effects is None:
            most -= self._evaluator.rows - before
            count = max(LEAST_BACKGROUND, most // _count_rows(variation))
            is_sample = count < len(variation.differs)
            if is_sample:
                rows = self._input.convert(draw_background(typical.fields, count))
                variation = FieldVariation(row, typical.fields, rows)
            effects = compute_effects(
                number.read(prediction),
                self._read_background(number, variation),
                variation.differs,
                self._get_evaluate(number, variation),
                most - len(variation.differs),
                is_sample=is_sample,
                order=variation.get_order(),
            )
        found = zip(variation.names, variation.values, effects.values, strict=True)
        label = number.read_label(prediction)
        change = self._find_change(number, row, typical.fields, label)
        return Explanation(
            number=number,
            prediction=number.read(prediction),
            base=effects.base,
            effects=tuple(
                sorted((Effect(*each) for each in found), key=lambda each: -abs(each.effect))
            ),
            held=variation.held,
            typical_rows=len(variation.differs),
            method=variation.prefix + ("exact" if effects.is_exact else "permutations"),
            rows_evaluated=self._evaluator.rows,
            standard_error=effects.standard_error,
            label=label,
            change=change,
        )

    def _vary(self, row: Any, typical: _Typical) -> Variation:
        if typical.fields:
            return FieldVariation(row, typical.fields, typical.rows)
        member = self._input.shape.find_text()
        if member is None:
            raise CannotExplain(
                f"the model {self._hosted.name!r} has no reference profile with typical values to "
                "compare with; package it again with `dump(..., sample=X)`. A reference of logged "
                "predictions serves drift only"
            )
        words = WordVariation(row, member)
        if len(words.names) > MOST_WORDS:
            raise CannotExplain(
                f"expected a text of at most {MOST_WORDS:,} words, got {len(words.names):,}"
            )
        return words

    def _limit_rows(self, variation: Variation) -> int:
        """Return how many rows may be evaluated for the effects."""
        self._evaluator.probe(variation.get_probe(PROBE_ROWS))
        return self._evaluator.limit(MOST_ROWS, LEAST_BACKGROUND * _count_rows(variation))

    def _find_linear(
        self, number: ExplainedNumber, prediction: Any, variation: Variation, most: int
    ) -> Effects | None:
        """Return the effects if all would take too many rows, and the model is linear."""
        if is_enumerable(variation.differs, most - len(variation.differs)):
            return None
        points = variation.get_points()
        rows = 2 * len(variation.differs) + sum(len(each.rows) for each in points)
        if not points or rows > most // LINEAR_PARTS:
            return None
        return compute_linear_effects(
            number.read(prediction),
            self._read_background(number, variation),
            points,
            self._get_evaluate(number, variation),
        )

    def _read_background(self, number: ExplainedNumber, variation: Variation) -> NDArray[Any]:
        return np.array(self._read_all(number, variation.get_background()))

    def _get_evaluate(self, number: ExplainedNumber, variation: Variation) -> Evaluate:
        def evaluate(taken: NDArray[Any], background: NDArray[Any]) -> NDArray[Any]:
            found: list[float] = []
            # In parts: 20,000 rows of 1,000 fields are 1 GB.
            for start in range(0, len(taken), CALL_ROWS):
                part = slice(start, start + CALL_ROWS)
                found += self._read_all(number, variation.mix(taken[part], background[part]))
            return np.array(found)

        return evaluate

    def _read_all(self, number: ExplainedNumber, rows: Sequence[Any]) -> list[float]:
        return [number.read(each) for each in self._evaluator.predict(rows)]

    def _find_change(
        self, number: ExplainedNumber, row: Any, fields: Sequence[Field], label: Any
    ) -> Change | None:
        def read_labels(rows: Sequence[Any]) -> list[Any]:
            # A rule between fields may exclude some rows; those keep the label.
            predictions = self._evaluator.predict_valid(rows)
            return [label if each is None else number.read_label(each) for each in predictions]

        if label is None or not fields:
            return None
        most = self._evaluator.limit(MOST_CHANGES)
        found = find_smallest_change(row, fields, label, read_labels, most)
        return None if found is None else Change(found.field.name, found.value, found.label)


def _count_rows(variation: Variation) -> int:
    """Return the fewest rows for a background row: itself, and those mixed with it."""
    return 1 + ROWS_PER_ORDER * max(1, len(variation.names))


def _get_typical(hosted: HostedModel, schema: Schema) -> _Typical:
    if schema not in _TYPICAL:
        profile = hosted.about.profile
        fields = get_fields(profile, schema.shape) if profile else []
        _TYPICAL[schema] = _Typical(fields, schema.convert(draw_background(fields)))
    return _TYPICAL[schema]

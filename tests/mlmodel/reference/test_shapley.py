import json

import numpy as np
import pytest

from mlmodel.reference.shapley import ROWS_PER_ORDER, TOLERANCE, compute_effects
from tests import shap_values

ENOUGH = 10_000


def explain(function, fields, max_rows=ENOUGH):
    row, background = shap_values.draw(fields)
    counts = []

    def evaluate(taken, indices):
        counts.append(len(taken))
        return function(np.where(taken, row, background[indices]))

    [prediction] = function(row[None])
    typical = function(background)
    differs = background != row
    effects = compute_effects(float(prediction), typical, differs, evaluate, max_rows)
    assert sum(effects.values) == pytest.approx(prediction - effects.base)
    return effects, sum(counts)


CASES = {
    "linear": (shap_values.linear, 5),
    "curved": (shap_values.curved, 4),
    "forest": (lambda table: shap_values.forest().predict(table), 6),
}


@pytest.mark.parametrize("case", CASES)
def test_exact_effects_agree_with_shap(case):
    effects, _ = explain(*CASES[case])

    assert effects.is_exact
    assert effects.standard_error == 0
    expected = json.loads(shap_values.FILE.read_text())["values"][case]
    assert effects.values == pytest.approx(expected, abs=1e-6)


def test_two_orders_are_exact_for_a_linear_model():
    effects, rows = explain(shap_values.linear, 5, max_rows=1_000)

    assert not effects.is_exact
    assert effects.standard_error == 0
    assert effects.values == pytest.approx(explain(shap_values.linear, 5)[0].values)
    assert rows <= 2 * 2 * shap_values.ROWS * 4


def test_too_few_rows_are_exceeded_once():
    effects, rows = explain(shap_values.curved, 4, max_rows=3)

    assert 3 < rows <= ROWS_PER_ORDER * 3 * shap_values.ROWS
    assert effects.standard_error > 0


def test_error_of_a_sample_includes_the_background():
    row, background = shap_values.draw(5)
    few, width = background[:6], 5

    def evaluate(taken, indices):
        return shap_values.linear(np.where(taken, row, few[indices]))

    prediction, typical = shap_values.linear(row[None])[0], shap_values.linear(few)
    given = prediction, typical, few != row, evaluate, len(few) * 2 * width
    mixed = compute_effects(*given, is_sample=True)
    ordered = compute_effects(*given, is_sample=True, order=few.argsort(axis=0))

    for effects, rows in ((mixed, few), (ordered, np.sort(few, axis=0))):
        steps = np.diff(rows, axis=0) * [1.5, -2, 0, 0.25, 3]
        variance = (steps**2).mean(axis=0).max() / 2
        assert effects.standard_error == pytest.approx((variance / len(few)) ** 0.5)
    assert ordered.standard_error < mixed.standard_error


def test_permutations_end_within_tolerance_or_budget():
    exact, _ = explain(shap_values.curved, 4)
    largest = max(map(abs, exact.values))

    cheap, few = explain(shap_values.curved, 4, max_rows=700)
    good, many = explain(shap_values.curved, 4, max_rows=799)

    assert few <= 700
    assert many <= 799
    assert cheap.standard_error > 0
    assert good.values == pytest.approx(exact.values, abs=0.2 * largest)
    assert TOLERANCE * largest < 0.01

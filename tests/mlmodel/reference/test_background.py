from collections import Counter

import numpy as np
import pytest

from mlmodel.reference.background import draw_background, get_fields
from mlmodel.reference.profile import Profile
from mlmodel.reference.shapley import compute_effects
from mlmodel.schema.validator import Schema
from tests.models.typical import COLUMNS, ROW


@pytest.fixture(scope="module")
def fields():
    return get_fields(Profile.from_columns(COLUMNS), Schema(ROW).shape)


def test_background_has_the_distributions_of_the_profile(fields):
    rows = draw_background(fields)

    assert np.mean([row["income"] for row in rows]) == pytest.approx(49.5, abs=1)
    assert set(Counter(row["term"] for row in rows).values()) <= {16, 17}
    assert Counter(row["savings"] for row in rows)[None] == 10
    assert draw_background(fields) == rows


def test_background_rows_are_valid_and_mixed(fields):
    rows = draw_background(fields)

    assert Schema(ROW).accepts([{**row, "note": ""} for row in rows])
    incomes = [row["income"] for row in rows]
    assert abs(np.corrcoef(incomes, [row["term"] for row in rows])[0, 1]) < 0.4


def test_linear_model_has_the_effects_of_the_training_rows():
    rng = np.random.default_rng(5)
    table = np.column_stack(
        [rng.lognormal(0, 2, 2_000), -rng.lognormal(3, 1, 2_000), rng.normal(50_000, 50, 2_000)]
    )
    table[7, 2] = 5e6
    weights = np.array([2.0, 0.5, 1e-3])
    profile = Profile.from_columns(dict(zip("abc", table.T, strict=True)))
    members = {name: {"type": "number"} for name in "abc"}
    drawn = draw_background(get_fields(profile, Schema({"properties": members}).shape))
    background, row = np.array([[*each.values()] for each in drawn]), np.median(table, axis=0)

    effects = compute_effects(
        float(row @ weights),
        background @ weights,
        background != row,
        lambda taken, used: np.where(taken, row, background[used]) @ weights,
        max_rows=1_000,
    )

    assert effects.base == pytest.approx((table @ weights).mean(), rel=1e-3)
    assert effects.values == pytest.approx((row - table.mean(axis=0)) * weights, rel=5e-3)
    assert np.median(background, axis=0) == pytest.approx(row, rel=0.05)


@pytest.mark.parametrize("rows", [20, 103])
def test_few_rows_have_their_mean(rows):
    values = np.random.default_rng(6).lognormal(0, 2, rows)
    [field] = get_fields(
        Profile.from_columns({"x": values}), Schema({"properties": {"x": {"type": "number"}}}).shape
    )

    assert np.mean(field.draw(50)) == pytest.approx(values.mean(), rel=2e-3)


def test_profile_without_means_is_drawn_evenly():
    even = {"edges": [*range(21)], "counts": [5] * 20, "missing": 0}
    profile = {"rows": 100, "fields": {"x": even}, "predictions": {}}
    [field] = get_fields(
        Profile.from_json(profile), Schema({"properties": {"x": {"type": "number"}}}).shape
    )

    assert field.draw(50) == pytest.approx((np.arange(50) + 0.5) * 20 / 50)


@pytest.mark.parametrize(
    ("member", "values"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 3}, {1, 2, 3}),
        ({"type": "integer", "exclusiveMinimum": 0.5, "exclusiveMaximum": 3}, {1, 2}),
        ({"type": "integer", "exclusiveMinimum": 1, "multipleOf": 1.5}, {3}),
        ({"type": "number", "x-dtype": "int64", "exclusiveMinimum": 2, "maximum": 3}, {3.0}),
        (
            {"type": "number", "exclusiveMinimum": 0.3, "maximum": 0.5, "multipleOf": 0.1},
            {0.4, 0.5},
        ),
    ],
)
def test_numbers_stay_within_the_limits_of_the_schema(member, values):
    numbers = [0.4 + index / 40 for index in range(160)]
    schema = Schema({"properties": {"x": member}})
    [field] = get_fields(Profile.from_columns({"x": numbers}), schema.shape)

    assert set(field.draw(50)) == values
    assert not any(schema.violations({"x": each}) for each in values)


def test_numbers_reach_both_ends_of_the_profile(fields):
    numbers = fields[0].numbers

    assert numbers[0] <= 20
    assert numbers[-1] >= 79

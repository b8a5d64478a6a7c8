from collections import Counter

import numpy as np
import pytest

from mlmodel.reference.background import draw_background, get_fields
from mlmodel.reference.profile import Profile
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


def test_numbers_stay_within_the_limits_of_the_schema():
    numbers = [0.4 + index / 10 for index in range(40)]
    schema = {"properties": {"x": {"type": "integer", "minimum": 1, "maximum": 3}}}
    [field] = get_fields(Profile.from_columns({"x": numbers}), Schema(schema).shape)

    assert set(field.draw(50)) == {1, 2, 3}


def test_numbers_reach_both_ends_of_the_profile(fields):
    numbers = fields[0].numbers

    assert numbers[0] <= 20
    assert numbers[-1] >= 79

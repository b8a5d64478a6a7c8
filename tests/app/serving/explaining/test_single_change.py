import pytest

from app.serving.explaining.single_change import find_smallest_change
from mlmodel.reference.background import get_fields
from mlmodel.reference.profile import Profile
from mlmodel.schema.validator import Schema
from tests.models.typical import COLUMNS, ROW


@pytest.mark.parametrize("max_rows", [1, 5, 30, 5000])
def test_rows_for_a_change_are_limited(max_rows):
    fields = get_fields(Profile.from_columns(COLUMNS), Schema(ROW).shape)
    counts = []

    def read_labels(rows):
        counts.append(len(rows))
        return [row["income"] > 50 for row in rows]

    row = {"income": 30.0, "term": 12, "savings": None}
    find_smallest_change(row, fields, False, read_labels, max_rows)

    assert 0 < sum(counts) <= max_rows

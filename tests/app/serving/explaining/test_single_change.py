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


CODES = {"oneOf": [{"const": at, "title": name} for at, name in enumerate("abc")]}


@pytest.mark.parametrize(
    ("member", "counts", "expected"),
    [
        ({"type": "integer"}, {0: 150, 1: 20, 2: 10, 3: 20}, 1),
        ({"type": "number"}, {0: 150, 1: 20, 2: 10, 3: 20}, 1),
        ({"type": "number", "x-dtype": "int64"}, {0: 150, 1: 20, 2: 10, 3: 20}, 1),
        ({"enum": [0, 1, 3]}, {0: 150, 1: 20, 3: 30}, 1),
        (CODES, {0: 150, 1: 20, 2: 30}, 0),
    ],
)
def test_nearest_of_few_numbers_is_the_smallest_change(member, counts, expected):
    column = [number for number, count in counts.items() for _ in range(count)]
    schema = Schema({"type": "object", "properties": {"defaults": member}})
    fields = get_fields(Profile.from_columns({"defaults": column}), schema.shape)

    def read_labels(rows):
        return ["no" if row["defaults"] >= 2 else "yes" for row in rows]

    found = find_smallest_change({"defaults": max(counts)}, fields, "no", read_labels, 5000)

    assert (found.value, found.label) == (expected, "yes")


@pytest.mark.parametrize(("dtype", "expected"), [("int64", int), ("float64", float)])
@pytest.mark.parametrize("highest", [10, 100])
def test_change_has_the_type_of_the_column(dtype, expected, highest):
    member = {"type": ["number", "null"], "x-dtype": dtype}
    schema = Schema({"type": "object", "properties": {"months": member}})
    column = [at % highest for at in range(400)]
    fields = get_fields(Profile.from_columns({"months": column}), schema.shape)

    def read_labels(rows):
        return [row["months"] >= 5 for row in rows]

    found = find_smallest_change({"months": 8}, fields, True, read_labels, 5000)

    assert type(found.value) is expected
    assert found.value == pytest.approx(4 if dtype == "int64" or highest == 10 else 5, abs=0.1)

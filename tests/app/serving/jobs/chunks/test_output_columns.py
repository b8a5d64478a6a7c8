import pyarrow as pa
import pytest

from app.serving.jobs.chunks.output_columns import to_columns, to_predictions


@pytest.mark.parametrize(
    ("predictions", "names"),
    [
        ([1.5, 2.0], ["prediction"]),
        ([{"a": 1, "b": {"x.y": True}}, {"b": {"x.y": False}, "a": 2}], ["a", "b.x.y"]),
        ([{"a": 1}, {"b": 2}, {}, {"a": None}], ["a", "b"]),
        ([{"a": {"b": 1}}, {"c": 2}, {"a": {"d": [3]}}], ["a.b", "a.d", "c"]),
        ([{"a": {"b": 1}}, {"a": {}}], ["a"]),
        ([{"a": 1}, None], ["prediction"]),
        ([{str(place): 1} for place in range(201)], ["prediction"]),
        ([{"a": [1]}, {"a": {}}], ["a"]),
        ([{"a": 1}, {"a": 1.5}], ["a"]),
        ([{"a": 2**70}, {"a": None}], ["a"]),
        ([{"a": None}, {"a": None}], ["a"]),
        ([[], "x"], ["prediction"]),
    ],
)
def test_columns_hold_predictions_unchanged(predictions, names):
    fields, arrays = zip(*to_columns(predictions), strict=True)

    assert [field.name for field in fields] == names
    assert to_predictions(pa.table(arrays, schema=pa.schema(fields))) == predictions

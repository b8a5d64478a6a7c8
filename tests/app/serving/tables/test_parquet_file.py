"""The values of Parquet files as rows."""

import datetime as dt
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.serving.errors import UnreadableFile
from app.serving.tables.parquet_file import ParquetFile, ValueColumns


def write(columns):
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    stream.seek(0)
    return stream


def read(columns, members, required=()):
    schema = {"type": "object", "properties": members, "required": list(required)}
    file = ParquetFile(write(columns), schema)
    values = ValueColumns(file.names, file.structures, schema)
    return [row for each in file.batches(100, 10_000) for row in values.rows(each.columns)]


DAY = pa.array([dt.datetime(2026, 1, 31)], pa.timestamp("ns"))
UTC = pa.array([dt.datetime(2026, 1, 31, 9)], pa.timestamp("us", "UTC"))


@pytest.mark.parametrize(
    ("values", "schema", "expected"),
    [
        (pa.array([2**63 - 1]), {"type": "integer"}, 2**63 - 1),
        (pa.array([2**64 - 1], pa.uint64()), {"type": "integer"}, 2**64 - 1),
        (pa.array([0.1]), {"type": "number"}, 0.1),
        (pa.array([True]), {"type": "number"}, True),
        (pa.array(["5"]), {"type": "number"}, "5"),
        (pa.array([" a "]).dictionary_encode(), {"enum": ["a"]}, " a "),
        (pa.array(["x"], pa.large_string()), {"type": "string"}, "x"),
        (DAY, {"type": "string", "format": "date"}, "2026-01-31"),
        (DAY, {"type": "string", "format": "date-time-local"}, "2026-01-31T00:00:00"),
        (UTC, {"type": "string", "format": "date-time"}, "2026-01-31T09:00:00+00:00"),
        (DAY.cast(pa.date32()), {"type": "string"}, "2026-01-31"),
        (pa.array([dt.time(9, 30)]), {"type": "string"}, "09:30:00"),
        (pa.array([{"a": [1.5, float("nan")]}]), {"type": "object"}, {"a": [1.5, None]}),
        (pa.nulls(1), {"type": ["string", "null"]}, None),
    ],
)
def test_values_are_those_of_json(values, schema, expected):
    [row] = read({"x": values, "other": ["not used"]}, {"x": schema})

    assert row == {"x": expected}
    assert type(row["x"]) is type(expected)


def test_null_is_left_out_unless_allowed():
    columns = {"a": pa.array([None], pa.string()), "b": pa.array([None], pa.int64())}

    members = {"a": {"type": "string"}, "b": {"type": ["integer", "null"]}}
    assert read(columns, members, required=["a"]) == [{"b": None}]


def test_distinct_texts_of_a_row_group_are_not_kept():
    stream = write({"x": [f"{number:05}" * 500 for number in range(10_000)]})
    file = ParquetFile(stream, {"properties": {"x": {"type": "string"}}})
    before = pa.total_allocated_bytes()

    most = max(pa.total_allocated_bytes() for _ in file.batches(1_000, 1_000_000))

    assert most - before < 10_000_000  # of 25


def test_long_repeated_texts_make_small_batches():
    columns = {"x": ["a" * 1000] * 50}
    file = ParquetFile(write(columns), {"properties": {"x": {}}})

    assert [len(each.columns[0]) for each in file.batches(100, 10_000)] == [10] * 5


def test_moment_that_is_not_exact_is_an_error():
    columns = {"x": pa.array([1], pa.timestamp("ns"))}

    with pytest.raises(UnreadableFile, match="would lose data"):
        read(columns, {"x": {"type": "string"}})


def test_column_that_only_some_rows_need_may_be_missing():
    schema = {
        "properties": {"a": {}, "b": {}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    }

    assert ParquetFile(write({"a": [1]}), schema).names == ["a"]

"""The values of Parquet files as rows."""

import datetime as dt
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.serving.errors import InsufficientStorage
from app.serving.tables.parquet_file import ParquetFile, ValueColumns


def write(columns, **options):
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, **options)
    stream.seek(0)
    return stream


def read(columns, members, required=()):
    schema = {"type": "object", "properties": members, "required": list(required)}
    file = ParquetFile(write(columns), schema)
    values = ValueColumns(file.names, file.structures, schema)
    return [row for each in file.batches(100, 10_000) for row in values.rows(each.columns)]


DAY = pa.array([dt.datetime(2026, 1, 31)], pa.timestamp("ns"))
LOCAL = {"type": "string", "format": "date-time-local"}
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
        (pa.array([-1], pa.timestamp("ns")), LOCAL, "1969-12-31T23:59:59.999999999"),
        (pa.array([1], pa.timestamp("ns", "UTC")), {}, "1970-01-01T00:00:00.000000001+00:00"),
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


def test_columns_of_wide_files_are_not_all_open():
    numbers = np.random.default_rng(0).random(200_000)
    file = ParquetFile(write({f"c{at}": numbers for at in range(100)}), True)
    before = pa.total_allocated_bytes()

    most = max(pa.total_allocated_bytes() for _ in file.batches(1_000, 10**9))

    assert most - before < 20_000_000  # of 130


def test_parts_of_wide_files_are_joined(tmp_path):
    names = [f"c{at}" for at in range(60)]
    columns = {name: [f"{name} {row % 2}" for row in range(7)] for name in names}
    file = ParquetFile(write(columns, row_group_size=3), True)
    written = []

    batches = list(file.batches(2, 10**9, folder=tmp_path, proceed=written.append))

    assert [len(each.columns[0]) for each in batches] == [2, 1, 2, 1, 1]
    joined = pa.concat_tables(pa.table(each.columns, names=names) for each in batches)
    assert joined.to_pydict() == columns
    assert (len(written), list(tmp_path.iterdir())) == (30, [])


def test_full_disk_is_no_unreadable_file(tmp_path):
    def stop(_):
        raise InsufficientStorage(1, 2)

    file = ParquetFile(write({f"c{at}": [1] for at in range(60)}), True)

    with pytest.raises(InsufficientStorage):
        list(file.batches(2, 10**9, folder=tmp_path, proceed=stop))


def test_long_repeated_texts_make_small_batches():
    columns = {"x": ["a" * 1000] * 50}
    file = ParquetFile(write(columns), {"properties": {"x": {}}})

    assert [len(each.columns[0]) for each in file.batches(100, 10_000)] == [10] * 5


def test_column_that_only_some_rows_need_may_be_missing():
    schema = {
        "properties": {"a": {}, "b": {}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    }

    assert ParquetFile(write({"a": [1]}), schema).names == ["a"]

"""Writes records of the prediction log to a file: CSV, NDJSON or Parquet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, BinaryIO

from app.serving.json_text import to_json
from app.serving.prediction_log.store import Record
from app.serving.tables import tables
from app.serving.tables.csv_cells import csv_line, to_text

#: File extensions, and their formats.
FORMATS = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".parquet": "parquet"}
#: Rows of a row group of a Parquet file.
GROUP_ROWS = 20_000

#: Returns an iterator over the same records each time.
Read = Callable[[], Iterator[Record]]


def export(read: Read, stream: BinaryIO, form: str) -> int:
    """Write records to a file, and return their number.

    In a table, a member of a row, a prediction or a truth is a column such as ``row.income``. The
    records are read twice, first for the columns.

    :param form: one of the values of :data:`FORMATS`.
    """
    return _WRITERS[form](read, stream)


def to_columns(record: Record) -> dict[str, Any]:
    """Return a record with a column for each member of row, prediction and truth."""
    return {
        "time": to_iso(record.time),
        "request_id": record.request_id,
        "index": record.index,
        "model": record.model,
        "version": record.version,
        "source": record.source,
        "who": record.who,
        "seconds": record.seconds,
        "runtime": record.runtime,
        **_flatten("row", record.row),
        **_flatten("prediction", record.prediction),
        **({} if record.truth is None else _flatten("truth", record.truth)),
        "truth_time": _to_truth_time(record),
        "truth_who": record.truth_who,
    }


def to_iso(time: float) -> str:
    """Return Unix seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")


def from_iso(text: str) -> float:
    """Return a date or a time in ISO 8601, by default in UTC, in Unix seconds.

    :raises ValueError: if it is neither.
    """
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _to_truth_time(record: Record) -> str | None:
    return None if record.truth_time is None else to_iso(record.truth_time)


def _flatten(prefix: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {prefix: value}
    return {f"{prefix}.{name}": each for name, each in tables.flatten(value).items()}


def _write_ndjson(read: Read, stream: BinaryIO) -> int:
    count = 0
    for record in read():
        times = {"time": to_iso(record.time), "truth_time": _to_truth_time(record)}
        stream.write(f"{to_json(vars(record) | times)}\n".encode())
        count += 1
    return count


def _write_csv(read: Read, stream: BinaryIO) -> int:
    names = tables.columns(map(to_columns, read()))
    count = 0
    stream.write(csv_line(names).encode())
    for row in map(to_columns, read()):
        stream.write(csv_line(map(row.get, names)).encode())
        count += 1
    return count


def _write_parquet(read: Read, stream: BinaryIO) -> int:
    import pyarrow as pa  # noqa: PLC0415  takes 0.1 s
    from pyarrow import parquet  # noqa: PLC0415

    kinds: dict[str, set[type]] = defaultdict(set)
    for row in map(to_columns, read()):
        for name, value in row.items():
            kinds[name].add(_get_kind(value))
    names = list(kinds)
    converted = {name: _choose_type(kinds[name] - {type(None)}) for name in names}
    schema = pa.schema([(name, converted[name][0]) for name in names])
    count = 0
    with parquet.ParquetWriter(stream, schema) as writer:
        rows = map(to_columns, read())
        while group := list(islice(rows, GROUP_ROWS)):
            columns = [_to_array(group, name, *converted[name]) for name in names]
            writer.write_table(pa.table(columns, schema=schema))
            count += len(group)
    return count


def _to_array(
    rows: Iterable[Mapping[str, Any]], name: str, kind: Any, convert: Callable[[Any], Any]
) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    values = (row.get(name) for row in rows)
    return pa.array([None if each is None else convert(each) for each in values], kind)


def _get_kind(value: Any) -> type:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str
    return type(value)


def _choose_type(kinds: set[type]) -> tuple[str, Callable[[Any], Any]]:
    """Return the Arrow type of a column with values of these types, and how to convert them.

    A column of mixed types, lists or objects has JSON texts.
    """
    if kinds == {bool}:
        return "bool", bool
    if kinds == {int}:
        return "int64", int
    if kinds and kinds <= {int, float}:
        return "float64", float
    if kinds <= {str}:
        return "string", to_text
    return "string", to_json


_WRITERS: Mapping[str, Callable[[Read, BinaryIO], int]] = {
    "csv": _write_csv,
    "ndjson": _write_ndjson,
    "parquet": _write_parquet,
}

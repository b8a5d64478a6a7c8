"""The results of a job as one file: the parts of its chunks, one after the other."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from app.serving.jobs.chunk_prediction import INPUT, ORIGIN, OUTPUT
from app.serving.jobs.chunk_rows import JSON_ROW, read_sheet
from app.serving.jobs.chunk_tables import LINE
from app.serving.jobs.output_columns import IS_JSON, to_predictions
from app.serving.tables.csv_cells import FORMULA, escape_formula, to_json, to_text

#: What is appended to the name of a column in front of those of a file that has the name.
FROM_JOB = " (job)"
#: The columns in front of those of the file in a file of invalid rows.
PROBLEM = "problem"
_FORMULA = f"^{FORMULA.pattern}".replace(r"\uff1d\uff0b\uff0d\uff20", "\uff1d\uff0b\uff0d\uff20")


def write_csv(parts: Sequence[Path]) -> Iterator[bytes]:
    """Yield the valid rows with their predictions as CSV."""
    schema = _unify(parts)
    names = list(map(escape_formula, schema.names))
    yield _csv_line(names)
    for part in parts:
        table = _with_schema(_unquote(pq.read_table(part)), schema)
        if len(table):
            columns = [_escape(column) for column in table.columns]
            yield _to_csv(pa.table(columns, names=names))


def write_ndjson(parts: Sequence[Path]) -> Iterator[bytes]:
    """Yield the valid rows with their predictions as one JSON object per line."""
    for part in parts:
        yield "".join(f"{each}\n" for each in _to_json_rows(part)).encode()


def write_json(parts: Sequence[Path]) -> Iterator[bytes]:
    """Yield the valid rows with their predictions as a JSON array of the lines of NDJSON."""
    start = "["
    for part in parts:
        rows = list(_to_json_rows(part))
        if rows:
            yield (start + "\n" + ",\n".join(rows)).encode()
            start = ","
    yield b"[]\n" if start == "[" else b"\n]\n"


def write_parquet(parts: Sequence[Path]) -> Iterator[bytes]:
    """Yield the valid rows with their predictions as a Parquet file."""
    schema = _unify(parts)
    sink = _Sink()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for part in parts:
            writer.write_table(_with_schema(_unquote(pq.read_table(part)), schema))
            yield sink.take()
    yield sink.take()


#: Formats of results, and the functions that write them.
WRITERS = {
    "csv": write_csv,
    "json": write_json,
    "ndjson": write_ndjson,
    "parquet": write_parquet,
}


def read_predictions(part: Path) -> tuple[list[int], list[Any]]:
    """Return the lines of the valid rows of a chunk, and their predictions."""
    table = pq.read_table(part)
    return table.column(LINE).to_pylist(), to_predictions(_select(table, OUTPUT))


def write_problems(bad: Sequence[Path], header: Sequence[str] | None) -> Iterator[bytes]:
    """Yield the invalid rows as CSV, with the columns of the file, so that it can be sent again.

    The columns ``line`` and ``problem`` come first.

    :param header: of a CSV or Parquet file; ``None`` for rows of another format, which are JSON.
    """
    columns = [JSON_ROW] if header is None else list(header)
    own = [_unique(name, columns) for name in (LINE, PROBLEM)]
    yield _csv_line([*own, *columns])
    for path in bad:
        with path.open(encoding="utf-8") as stream:
            for line in stream:
                each = json.loads(line)
                cells = each.get("cells") or [each.get("text") or to_json(each.get("row"))]
                texts = ["" if cell is None else to_text(cell) for cell in cells]
                yield _csv_line([to_text(each["line"]), to_problem_text(each), *texts])


def write_problems_ndjson(bad: Sequence[Path]) -> Iterator[bytes]:
    """Yield the invalid rows with their problems as one JSON object per line."""
    for path in bad:
        yield path.read_bytes()


def to_problem_text(invalid: Mapping[str, Any]) -> str:
    """Return the problems of an invalid row as text."""
    return "; ".join(
        f"{each['pointer'][1:]} {each['detail']}".strip() for each in invalid["problems"]
    )


def read_header(rows: Path) -> list[str] | None:
    """Return the header of the file of a chunk; ``None`` if its rows are JSON."""
    with pa.memory_map(str(rows)) as source:
        sheet = read_sheet(pa.ipc.open_file(source).schema.empty_table())
    return None if sheet is None else list(sheet["header"])


def _to_json_rows(part: Path) -> Iterator[str]:
    lines, predictions = read_predictions(part)
    rows = _rows(_select(pq.read_table(part), INPUT))
    for line, row, prediction in zip(lines, rows, predictions, strict=True):
        yield to_json({"line": line, "row": row, "prediction": prediction})


class _Sink(io.RawIOBase):
    """A file whose content is taken piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._pieces.append(bytes(content))
        return len(content)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def _unify(parts: Sequence[Path]) -> pa.Schema:
    """Return the schema of all parts: a column with several types becomes one of text."""
    found: dict[tuple[bytes, str], pa.Field] = {}
    for part in parts:
        for field in pq.read_schema(part):
            key = _key(field)
            known = found.get(key)
            found[key] = field if known is None else known.with_type(_join(known.type, field.type))
    return pa.schema(found[key] for key in sorted(found, key=lambda key: _ORDER[key[0]]))


#: The order of the columns: the line, those of the file, those of the model.
_ORDER = {b"": 0, INPUT: 1, OUTPUT: 2}


def _key(field: pa.Field) -> tuple[bytes, str]:
    return (field.metadata or {}).get(ORIGIN, b""), field.name


def _join(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    numbers = {pa.int64(), pa.float64()}
    return pa.float64() if {one, other} == numbers else pa.string()


def _with_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    known = {_key(field): at for at, field in enumerate(table.schema)}
    columns = []
    for field in schema:
        at = known.get(_key(field))
        column = pa.nulls(len(table)) if at is None else table.column(at)
        columns.append(column.cast(field.type))
    return pa.table(columns, schema=schema)


def _unquote(table: pa.Table) -> pa.Table:
    """Return a table whose columns of JSON have the texts among their values as they are."""
    for at, field in enumerate(table.schema):
        column = table.column(at)
        is_json = IS_JSON in (field.metadata or {}) and field.name != JSON_ROW
        if is_json and pc.any(pc.starts_with(column, '"')).as_py():
            texts = [None if each is None else json.loads(each) for each in column.to_pylist()]
            column = pa.array([None if each is None else to_text(each) for each in texts])
            table = table.set_column(at, field, column)
    return table


def _unique(name: str, others: Sequence[str]) -> str:
    while name in others:
        name += FROM_JOB
    return name


def _select(table: pa.Table, origin: bytes) -> pa.Table:
    places = [at for at, field in enumerate(table.schema) if _key(field)[0] == origin]
    fields = [table.schema.field(at) for at in places]
    return pa.table([table.column(at) for at in places], schema=pa.schema(fields))


def _rows(table: pa.Table) -> list[Any]:
    if table.column_names == [JSON_ROW]:
        return list(map(json.loads, table.column(0).to_pylist()))
    rows: list[Any] = table.to_pylist()
    for field in table.schema:
        if IS_JSON in field.metadata:
            for row in rows:
                row[field.name] = json.loads(row[field.name] or "null")
    return rows


def _escape(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Escape the texts of a column that a spreadsheet would run as formulas."""
    if not pa.types.is_string(column.type):
        return column
    if not pc.any(pc.match_substring_regex(column, _FORMULA)).as_py():
        return column
    texts = column.to_pylist()
    return pa.array([None if text is None else escape_formula(text) for text in texts], pa.string())


def _to_csv(table: pa.Table) -> bytes:
    for style in ("none", "needed"):
        options = pyarrow.csv.WriteOptions(include_header=False, quoting_style=style)
        stream = io.BytesIO()
        with suppress(pa.ArrowInvalid):  # without quotes, a text with a comma is an error
            pyarrow.csv.write_csv(table, stream, options)
            break
    return stream.getvalue()


def _csv_line(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(map(escape_formula, cells))
    return text.getvalue().encode()

"""The results of a job as one file: the parts of its chunks, one after the other."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from app.serving.jobs.chunks.chunk_prediction import (
    FROM_FILE,
    INPUT,
    OUTPUT,
    unique_name,
)
from app.serving.jobs.chunks.chunk_rows import JSON_ROW, read_sheet
from app.serving.jobs.chunks.chunk_tables import LINE, read_schema, read_table
from app.serving.jobs.chunks.output_columns import IS_JSON, PATH, to_predictions
from app.serving.json_text import to_json
from app.serving.tables import tables
from app.serving.tables.csv_cells import FORMULA, csv_line, escape_formula, to_text
from app.serving.tables.headers import PROBLEM_COLUMNS

#: The largest whole number below which a double has all of them.
MAX_EXACT = 2**53
_FORMULA = f"^{FORMULA.pattern}".replace(r"\uff1d\uff0b\uff0d\uff20", "\uff1d\uff0b\uff0d\uff20")


def write_csv(parts: Sequence[Path]) -> Iterator[bytes]:
    """Yield the valid rows with their predictions as CSV."""
    fields = _unify(parts)
    names = [field.name for field in fields.values()]
    yield csv_line(names).encode()
    for part in parts:
        table = _with_fields(read_table(part), fields)
        if len(table):
            yield _to_csv(pa.table([_escape(column) for column in table.columns], names=names))


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
    fields = _unify(parts)
    sink = _Sink()
    with pq.ParquetWriter(sink, pa.schema(fields.values()), compression="zstd") as writer:
        for part in parts:
            writer.write_table(_with_fields(read_table(part), fields))
            yield sink.take()
    yield sink.take()


#: File extensions of results, and of invalid rows, and their formats.
FORMATS = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "ndjson",
    ".ndjson": "ndjson",
    ".parquet": "parquet",
}
PROBLEM_FORMATS = {ending: FORMATS[ending] for ending in (".csv", ".jsonl", ".ndjson")}
#: Formats of results, and the functions that write them.
WRITERS = {
    "csv": write_csv,
    "json": write_json,
    "ndjson": write_ndjson,
    "parquet": write_parquet,
}


def read_predictions(part: Path) -> tuple[list[int], list[Any]]:
    """Return the lines of the valid rows of a chunk, and their predictions."""
    table = read_table(part)
    return table.column(LINE).to_pylist(), to_predictions(_select(table, OUTPUT))


def write_problems(bad: Sequence[Path], sheet: Mapping[str, Any] | None) -> Iterator[bytes]:
    """Yield the invalid rows as CSV, with the columns of the file, so that it can be sent again.

    The columns of the line and the problem come first, in place of those of a file of problems.

    :param sheet: of a table, see :data:`.chunk_rows.SHEET`; ``None`` for rows that are JSON.
    """
    own, header = (sheet["problems"], sheet["header"]) if sheet else (PROBLEM_COLUMNS, [JSON_ROW])
    start = len(own) if header[: len(own)] == own else 0
    yield csv_line([*own, *header[start:]]).encode()
    for path in bad:
        with path.open(encoding="utf-8") as stream:
            for each in map(json.loads, stream):
                problems = tables.join_problems(each["problems"])
                yield csv_line([each["line"], problems, *_to_cells(each, start)]).encode()


def write_problems_ndjson(bad: Sequence[Path]) -> Iterator[bytes]:
    """Yield the invalid rows with their problems as one JSON object per line."""
    for path in bad:
        yield path.read_bytes()


def read_sheet_of(part: Path) -> Mapping[str, Any] | None:
    """Return the facts about the columns of the file of a chunk, as :func:`read_sheet` does."""
    return read_sheet(read_schema(part).empty_table())


def _to_cells(invalid: Mapping[str, Any], start: int) -> list[Any]:
    if "cells" in invalid:
        cells: list[Any] = invalid["cells"][start:]
        return cells
    return [invalid["text"] if "text" in invalid else to_json(invalid["row"])]


def _to_json_rows(part: Path) -> Iterator[str]:
    table = read_table(part)
    columns = (
        table.column(LINE).to_pylist(),
        _rows(_select(table, INPUT)),
        to_predictions(_select(table, OUTPUT)),
    )
    for line, row, prediction in zip(*columns, strict=True):
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


def _unify(parts: Sequence[Path]) -> dict[str, pa.Field]:
    """Return the columns of the result by their keys, see :func:`_key`."""
    types: dict[str, dict[pa.DataType, None]] = {LINE: {pa.int64(): None}}
    for part in parts:
        for field in read_schema(part):
            types.setdefault(_key(field), {})[field.type] = None
    _join_members(types)
    inputs = [key for key in types if key.partition(".")[0] == INPUT]
    outputs = [key for key in types if key not in {LINE, *inputs}]
    taken = {LINE}
    titles = {LINE: LINE}
    for key in outputs:
        name = ".".join(json.loads(key)) or tables.PREDICTION
        titles[key] = unique_name(name, taken, before=tables.FROM_MODEL)
        taken.add(titles[key])
    for key in inputs:
        titles[key] = unique_name(_strip(key), taken, after=FROM_FILE)
        taken.add(titles[key])
    keys = [LINE, *inputs, *outputs]
    return {key: pa.field(titles[key], _join(parts, key, types[key])) for key in keys}


def _key(field: pa.Field) -> str:
    """Return the name of a column of the file in the parts; the path of a member as JSON."""
    path: bytes = (field.metadata or {}).get(PATH, field.name.encode())
    return path.decode()


def _join_members(types: dict[str, dict[pa.DataType, None]]) -> None:
    """Remove the members of what is no object in another part: there, it is a column of JSON."""
    paths = [json.loads(key) for key in types if key.startswith("[")]
    for path in paths:
        above = next((path[:end] for end in range(len(path)) if path[:end] in paths), None)
        if above is not None:
            del types[json.dumps(path)]
            types[json.dumps(above)][pa.string()] = None


def _starting(names: Iterable[str], origin: str) -> list[str]:
    return [each for each in names if each.partition(".")[0] == origin]


def _strip(name: str) -> str:
    """Return the name of a column in the file."""
    return JSON_ROW if name == INPUT else name.partition(".")[2]


def _join(parts: Sequence[Path], key: str, types: Iterable[pa.DataType]) -> pa.DataType:
    """Return the type of a column: text if it has several, and no number is one for all."""
    found = set(types) - {pa.null()}
    if found == {pa.int64(), pa.float64()}:
        return pa.string() if _has_long_number(parts, key) else pa.float64()
    return pa.string() if len(found) > 1 else (found or {pa.null()}).pop()


def _has_long_number(parts: Sequence[Path], key: str) -> bool:
    """Return whether a whole number in a column may change if it becomes a double."""
    # A chunk without a valid row has no columns of predictions.
    having = (
        (part, field.name)
        for part in parts
        for field in read_schema(part)
        if (_key(field), field.type) == (key, pa.int64())
    )
    ends = (pc.min_max(read_table(*each).column(each[1])).as_py().values() for each in having)
    return any(abs(each or 0) > MAX_EXACT for each in chain.from_iterable(ends))


def _with_fields(table: pa.Table, fields: Mapping[str, pa.Field]) -> pa.Table:
    """Return the table of a part with the columns of the result."""
    places = {_key(field): at for at, field in enumerate(table.schema)}
    columns = []
    for key, field in fields.items():
        if key in places:
            at = places[key]
            column = _unquote(table.column(at), table.field(at))
        elif key == "[]" or any(_is_below(each, key) for each in places):
            column = _to_json_column(table, json.loads(key))
        else:
            column = pa.nulls(len(table))
        columns.append(column.cast(field.type))
    return pa.table(columns, schema=pa.schema(fields.values()))


def _is_below(key: str, above: str) -> bool:
    """Return whether the path of a member, as JSON, begins with another."""
    return key.startswith(f"{above[:-1]}, ")


def _to_json_column(table: pa.Table, path: Sequence[str]) -> pa.Array:
    """Return a member of predictions, whose own members are columns, as JSON."""
    values = to_predictions(_select(table, OUTPUT))
    for step in path:
        values = [(each or {}).get(step) for each in values]
    return pa.array([None if each is None else to_json(each) for each in values], pa.string())


def _unquote(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray | pa.Array:
    """Return a column; if it is JSON, without null, and with the texts among its values."""
    if IS_JSON not in (field.metadata or {}):
        return column
    column = pc.if_else(pc.equal(column, "null"), None, column)
    if not pc.any(pc.starts_with(column, '"')).as_py():
        return column
    values = [None if each is None else json.loads(each) for each in column.to_pylist()]
    return pa.array([None if each is None else to_text(each) for each in values])


def _select(table: pa.Table, origin: str) -> pa.Table:
    return table.select(_starting(table.column_names, origin))


def _rows(table: pa.Table) -> list[Any]:
    if table.column_names == [INPUT]:
        return list(map(json.loads, table.column(0).to_pylist()))
    fields = list(table.schema)
    table = table.rename_columns(list(map(_strip, table.column_names)))
    rows: list[Any] = table.to_pylist()
    for field, name in zip(fields, table.column_names, strict=True):
        if IS_JSON in (field.metadata or {}):
            for row in rows:
                row[name] = json.loads(row[name] or "null")
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
    try:
        return _to_styled_csv(table, "none")
    except pa.ArrowInvalid:  # without quotes, a text with a comma is an error
        return _to_styled_csv(table, "needed")


def _to_styled_csv(table: pa.Table, style: str) -> bytes:
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style=style)
    stream = io.BytesIO()
    pyarrow.csv.write_csv(table, stream, options)
    return stream.getvalue()

"""Reading a file of rows into chunks, and the rows of a chunk.

A chunk is an Arrow table, for any format of the file: the cells of a CSV file are columns of text,
those of a Parquet file are columns of plain values, rows of other formats are a column of JSON. So
a file is parsed once, and any process can continue with any chunk. Python's reader of CSV is used
for its lines and errors, which are the same as in requests and on pages; for four cells per row it
takes no longer than pyarrow's (0.7 s and 1.0 s for 1,000,000 rows).
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import pyarrow as pa
import pyarrow.compute as pc

from app.serving.errors import UnreadableFile
from app.serving.jobs.cell_columns import CellColumns
from app.serving.jobs.job import PARQUET
from app.serving.tables import encodings, tables, workbooks
from app.serving.tables.compressed import expand
from app.serving.tables.csv_cells import parse_json, to_json
from app.serving.tables.csv_file import CsvFile, RawLine, csv_lines, open_table
from app.serving.tables.parquet_file import Batch, ParquetFile, ValueColumns, is_parquet
from mlmodel.schema.subschemas import JsonSchema

#: Maximum rows of a chunk, and maximum cells: more columns make smaller chunks.
MAX_ROWS = 20_000
MAX_CELLS = 500_000
#: Characters from which a chunk ends early. A call of the model has the rows of one chunk.
MAX_CHARACTERS = 8_000_000
#: Maximum bytes of a line that is not CSV.
MAX_LINE_BYTES = 32_000_000
#: The columns beside the cells: the line in the file, and the problem and the cells of a line that
#: is no row.
LINE, PROBLEM, BROKEN = "line", "problem", "broken"
#: The member of a line in a file of problems that lists them.
PROBLEMS = "problems"
#: The column of rows in JSON; without it, the cells are columns of text.
JSON_ROW = "row"
#: The key of a chunk's metadata, as JSON: header, names of the columns, and the decimal mark of a
#: CSV file or the columns of a Parquet file that are JSON.
SHEET = b"sheet"
#: File extensions, and the format in which rows are read.
FORMATS = {**tables.FORMATS, f".{PARQUET}": PARQUET}


class _Line(NamedTuple):
    """A line of a file that is not CSV: a row as JSON, or a problem and the line's own text."""

    line: int | None
    row: str | None
    problem: str | None = None
    broken: str | None = None


@dataclass(frozen=True)
class Chunk:
    """A chunk: its table, and the bytes of the file that were read up to its end."""

    table: pa.Table
    read_bytes: int


def read_chunks(
    stream: BinaryIO,
    form: str,
    schema: JsonSchema,
    decimal: str = "",
    charset: str = "",
    *,
    folder: Path | None = None,
    proceed: Callable[[int], None] = lambda _: None,
) -> Iterator[Chunk]:
    """Yield the chunks of a file. Reading it again yields the same.

    :param stream: a seekable stream at its beginning; it may be compressed with gzip or zstd. It is
        closed at the end.
    :param form: one of the values of :data:`FORMATS`. The content decides which kind a table is.
    :param schema: of a row.
    :param decimal: the decimal mark of a CSV file, if known.
    :param charset: its encoding, if known.
    :param folder: in which a compressed file is expanded.
    :param proceed: see :func:`expand`.
    :raises InvalidInput: if the file is not of that format.
    :raises UnreadableFile: if it cannot be read.
    """
    with expand(stream, folder=folder, proceed=proceed) as content:
        if form == PARQUET or (form in tables.SHEETS and is_parquet(content)):
            yield from _read_parquet(content, schema)
        elif form in tables.SHEETS and not workbooks.is_workbook(content):
            yield from _read_csv(content, schema, decimal, charset)
        elif form in tables.SHEETS:
            sheet = open_table(content, schema, decimal)
            yield from _json_chunks(content, _sheet_lines(sheet))
        else:
            yield from _json_chunks(content, _json_lines(content, form))


class ChunkRows:
    """The rows of a chunk: the lines of its table that are not broken.

    ``places`` are their indices in the table.

    :param schema: of a row; its references must be resolvable.
    """

    def __init__(self, table: pa.Table, schema: JsonSchema) -> None:
        is_row = pc.is_null(table.column(PROBLEM))
        self.places: Sequence[int] = range(len(table))
        if not pc.all(is_row).as_py():
            self.places = pc.indices_nonzero(is_row.combine_chunks()).to_pylist()
            table = table.filter(is_row)
        self._table = table
        sheet = read_sheet(table)
        self._cells: CellColumns | ValueColumns | None = None
        if sheet and "structures" in sheet:
            self._cells = ValueColumns(sheet["names"], sheet["structures"], schema)
        elif sheet:
            self._cells = CellColumns(sheet["names"], schema, sheet["decimal"])

    def read(self, start: int, count: int) -> list[Any]:
        """Return some of the rows, which are not validated, with cells as the schema reads them."""
        table = self._table.slice(start, count)
        if self._cells:
            return self._cells.rows(input_columns(table))
        return [json.loads(each) for each in table.column(JSON_ROW).to_pylist()]

    def __len__(self) -> int:
        return len(self._table)


def read_sheet(table: pa.Table) -> Mapping[str, Any] | None:
    """Return the facts about the columns of a file, see ``SHEET``; ``None`` if rows are JSON."""
    text = (table.schema.metadata or {}).get(SHEET)
    return None if text is None else json.loads(text)


def input_columns(table: pa.Table) -> list[pa.ChunkedArray]:
    """Return the columns of a chunk that are the file's own."""
    names = [each for each in table.column_names if each not in {LINE, PROBLEM, BROKEN}]
    return [table.column(each) for each in names]


def _read_csv(stream: BinaryIO, schema: JsonSchema, decimal: str, charset: str) -> Iterator[Chunk]:
    with encodings.open_text(_unclosed(stream), charset)[0] as text:
        sheet = CsvFile(csv_lines(text)[1], schema, decimal)
        names, decimal = sheet.columns.names, sheet.detect_decimal()
    stream.seek(0)
    with encodings.open_text(_unclosed(stream), charset)[0] as text:
        lines = csv_lines(text)[1]
        about = {"header": _read_header(lines), "names": names, "decimal": decimal}
        metadata = {SHEET: to_json(about).encode()}
        most = max(1, min(MAX_ROWS, MAX_CELLS // len(names)))
        for block in _blocks(lines, most):
            yield Chunk(_to_table(block, len(names), metadata), stream.tell())


def _read_parquet(stream: BinaryIO, schema: JsonSchema) -> Iterator[Chunk]:
    file = ParquetFile(stream, schema)
    stream_bytes = stream.seek(0, io.SEEK_END)
    about = {"header": file.names, "names": file.names, "structures": file.structures}
    metadata = {SHEET: to_json(about).encode()}
    line = 1
    for batch in file.batches(max(1, min(MAX_ROWS, MAX_CELLS // len(file.names))), MAX_CHARACTERS):
        table = _to_parquet_table(batch, line, metadata)
        line += len(table)
        yield Chunk(table, stream_bytes * (line - 1) // file.rows)


def _to_parquet_table(batch: Batch, line: int, metadata: Mapping[bytes, bytes]) -> pa.Table:
    rows = range(len(batch.columns[0]))
    broken = [to_json(batch.cells(at)) if at in batch.problems else None for at in rows]
    arrays = [
        pa.array([line + at for at in rows], pa.int64()),
        pa.array(map(batch.problems.get, rows), pa.string()),
        pa.array(broken, pa.string()),
        *batch.columns,
    ]
    names = [LINE, PROBLEM, BROKEN, *(str(at) for at in range(len(batch.columns)))]
    return pa.table(arrays, names=names).replace_schema_metadata(metadata)


class _Unclosed:
    """A stream that stays open when its reader closes it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        """Close nothing but this object."""
        self.closed = True


def _unclosed(stream: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, _Unclosed(stream))


def _read_header(lines: Iterator[RawLine]) -> list[str]:
    for raw in lines:
        if any(str(cell).strip() for cell in raw.cells):
            return list(map(str, raw.cells))
    return []


def _blocks(lines: Iterable[RawLine], most: int) -> Iterator[list[RawLine]]:
    block: list[RawLine] = []
    size = 0
    for raw in lines:
        if not any(raw.cells) and not raw.problem:
            continue
        block.append(raw)
        size += sum(map(len, cast(Sequence[str], raw.cells)))
        if len(block) >= most or size > MAX_CHARACTERS:
            yield block
            block, size = [], 0
    if block:
        yield block


def _to_table(block: Sequence[RawLine], width: int, metadata: Mapping[bytes, bytes]) -> pa.Table:
    problems = [raw.problem or _width_problem(len(raw.cells), width) for raw in block]
    rows = [raw.cells for raw in block]
    broken: list[str | None] = [None] * len(block)
    if any(problems):
        blank = [None] * width
        for at, problem in enumerate(problems):
            if problem:
                broken[at], rows[at] = to_json(list(block[at].cells)), blank
    columns = zip(*rows, strict=True)
    arrays = [
        pa.array([raw.line for raw in block], pa.int64()),
        pa.array([problem or None for problem in problems], pa.string()),
        pa.array(broken, pa.string()),
        *(pa.array(cells, pa.string()) for cells in columns),
    ]
    names = [LINE, PROBLEM, BROKEN, *map(str, range(width))]
    return pa.table(arrays, names=names).replace_schema_metadata(metadata)


def _width_problem(cells: int, width: int) -> str:
    return "" if cells == width else f"has {cells} cells, the header has {width}"


def _sheet_lines(sheet: CsvFile) -> Iterator[_Line]:
    for each in sheet.lines():
        row = sheet.row(each)
        if row is None:
            yield _Line(each.line, None, each.problem, "[]")
        else:
            yield _Line(each.line, to_json(row))


def _json_lines(stream: BinaryIO, form: str) -> Iterator[_Line]:
    if form == "json":
        for row in tables.read(stream, form, schema=True).rows:
            yield _Line(None, to_json(row.row))
        return
    for line, content in enumerate(_read_lines(stream), start=1):
        text = content.decode("utf-8-sig" if line == 1 else "utf-8", errors="replace")
        if text.strip():
            yield _parse(line, text.strip())


def _read_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file. A line without an end must not fill the memory."""
    while content := stream.readline(MAX_LINE_BYTES + 1):
        if len(content) > MAX_LINE_BYTES:
            raise UnreadableFile(f"a line has more than {MAX_LINE_BYTES:,} bytes")
        yield content


def _parse(line: int, text: str) -> _Line:
    try:
        value = parse_json(text)
    except (ValueError, RecursionError) as error:
        return _Line(line, None, f"is not JSON: {error}", text)
    return _Line(line, to_json(value[JSON_ROW]) if _is_problem(value) else text)


def _is_problem(value: Any) -> bool:
    """Return whether a line is one of a file of problems, whose rows were corrected."""
    return (
        isinstance(value, dict)
        and value.keys() == {LINE, PROBLEMS, JSON_ROW}
        and isinstance(value[PROBLEMS], list)
        and all(isinstance(each, dict) and "pointer" in each for each in value[PROBLEMS])
    )


def _json_chunks(stream: BinaryIO, lines: Iterable[_Line]) -> Iterator[Chunk]:
    block: list[_Line] = []
    size = 0
    for each in lines:
        block.append(each)
        size += len(each.row or each.broken or "")
        if len(block) >= MAX_ROWS or size > MAX_CHARACTERS:
            yield Chunk(_to_json_table(block), stream.tell())
            block, size = [], 0
    if block:
        yield Chunk(_to_json_table(block), stream.tell())


def _to_json_table(block: Sequence[_Line]) -> pa.Table:
    line, row, problem, broken = zip(*block, strict=True)
    arrays = [
        pa.array(line, pa.int64()),
        pa.array(problem, pa.string()),
        pa.array(broken, pa.string()),
        pa.array(row, pa.string()),
    ]
    return pa.table(arrays, names=[LINE, PROBLEM, BROKEN, JSON_ROW])

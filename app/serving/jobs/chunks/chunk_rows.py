"""Reading a file of rows into chunks, and the rows of a chunk.

A chunk is an Arrow table, for any format of the file: the cells of a CSV file are columns of text,
those of a Parquet file are columns of plain values, rows of other formats are a column of JSON. So
a file is parsed once, and any process can continue with any chunk.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar, cast

import pyarrow as pa
import pyarrow.compute as pc

from app.serving.errors import UnreadableFile
from app.serving.jobs.chunks.cell_columns import CellColumns
from app.serving.jobs.chunks.chunk_tables import (
    BROKEN,
    LINE,
    PROBLEM,
    join_tables,
    read_csv,
    to_table,
    unescape,
)
from app.serving.json_text import InvalidJson, parse, to_json
from app.serving.tables import encodings, tables, workbooks
from app.serving.tables.csv_cells import Members
from app.serving.tables.csv_file import CsvFile, Dialect, Line, csv_lines, open_table
from app.serving.tables.headers import problem_columns
from app.serving.tables.parquet_file import Batch, ParquetFile, ValueColumns, is_parquet
from mlmodel.schema.subschemas import JsonSchema

#: Maximum rows of a chunk, three calls of the model, and maximum cells: more columns make smaller
#: chunks.
MAX_ROWS = 12_288
MAX_CELLS = 250_000
#: Characters from which a chunk ends early. A call of the model has the rows of one chunk.
MAX_CHARACTERS = 4_000_000
#: Maximum bytes of a line that is not CSV.
MAX_LINE_BYTES = 32_000_000
#: The member of a line in a file of problems that lists them.
PROBLEMS = "problems"
#: The column of rows in JSON; without it, the cells are columns.
JSON_ROW = "row"
#: The key of a chunk's metadata, as JSON: header, names of the columns, the first columns of a file
#: of problems, encoding and decimal mark of a CSV file, and the columns of another table that are
#: JSON.
SHEET = b"sheet"
#: The key of a chunk's metadata that is present if the file is a JSON document and no list.
SINGLE = b"single"


T = TypeVar("T")


class _Line(NamedTuple):
    """A line of a file that is not CSV: a row as JSON, or a problem and the line's own text."""

    line: int | None
    row: str | None
    problem: str | None = None
    broken: str | None = None


class Chunk(NamedTuple):
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
    max_depth: int,
    max_bytes: int | None = None,
    folder: Path | None = None,
    proceed: Callable[[int], None] = lambda _: None,
) -> Generator[Chunk]:
    """Yield the chunks of a file. Reading it again yields the same.

    :param stream: a seekable stream at its beginning; it may be compressed with gzip or zstd. It is
        closed at the end.
    :param form: one of the values of :data:`.tables.FORMATS`. The content decides which kind a
        table is.
    :param schema: of a row.
    :param decimal: the decimal mark of a CSV file, if known.
    :param charset: its encoding, if known.
    :param max_depth: the nesting of a row in JSON.
    :param max_bytes: the bytes to which a compressed file may expand; ``None`` for any number.
    :param folder: in which a compressed file is expanded, and a Parquet file of many columns.
    :param proceed: see :func:`.encodings.expand`.
    :raises InvalidInput: if the file is not of that format.
    :raises UnreadableFile: if it cannot be read.
    :raises TooLarge: if it expands too far.
    """
    sent_bytes = _size(stream)
    with encodings.expand(stream, max_bytes, folder=folder, proceed=proceed) as content:
        content_bytes = _size(content) or 1
        if form == tables.PARQUET or (form in tables.SHEETS and is_parquet(content)):
            chunks = _read_parquet(content, schema, folder, proceed)
        elif form in tables.SHEETS:
            chunks = _read_sheet(content, schema, decimal, charset)
        else:
            chunks = _read_json(content, form, max_depth)
        for table, read_bytes in chunks:
            yield Chunk(table, read_bytes * sent_bytes // content_bytes)


def divide(chunks: Iterable[Chunk], most: int) -> Iterator[Chunk]:
    """Yield smaller chunks, with at most ``most`` rows."""
    for table, read_bytes in chunks:
        for start in range(0, len(table), most):
            yield Chunk(table.slice(start, most), read_bytes)


def _read_sheet(
    content: BinaryIO, schema: JsonSchema, decimal: str, charset: str
) -> Iterator[Chunk]:
    if workbooks.is_workbook(content):
        return _read_workbook(content, schema, decimal)
    return _read_csv(content, schema, decimal, charset)


def _read_json(content: BinaryIO, form: str, max_depth: int) -> Iterator[Chunk]:
    if form == "ndjson":
        return _json_chunks(content, _ndjson_lines(content, max_depth), {})
    rows, is_single = tables.read_document(content, max_depth)
    lines = (_Line(line, to_json(row)) for line, row in enumerate(rows, start=1))
    return _json_chunks(content, lines, {SINGLE: b""} if is_single else {})


def _size(stream: BinaryIO) -> int:
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    return size


class ChunkRows:
    """The rows of a chunk: the lines of its table that are not broken.

    ``places`` are their indices in the table, and ``lines`` their lines in the file; 0 for the
    only row of a JSON document, as in a request.

    :param schema: of a row; its references must be resolvable.
    """

    def __init__(self, table: pa.Table, schema: JsonSchema) -> None:
        is_row = pc.is_null(table.column(PROBLEM))
        self.places: Sequence[int] = range(len(table))
        if not pc.all(is_row).as_py():
            self.places = pc.indices_nonzero(is_row.combine_chunks()).to_pylist()
            table = table.filter(is_row)
        self._table = table
        is_single = SINGLE in (table.schema.metadata or {})
        self.lines: Sequence[int] = [0] if is_single else table.column(LINE).to_pylist()
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
    text, codec = encodings.open_text(_unclosed(stream), charset)
    with text:
        delimiter, lines = csv_lines(text)
        sheet = CsvFile(lines, schema, decimal, dialect=Dialect(codec, delimiter))
        sheet.columns.check_required()
        names, dialect = sheet.columns.names, cast(Dialect, sheet.dialect)
        about = {
            "header": sheet.header,
            "names": names,
            "problems": sheet.columns.problem_columns,
            "encoding": dialect.encoding,
            "decimal": sheet.detect_decimal(),
        }
    stream.seek(0)
    with io.TextIOWrapper(_unclosed(stream), encoding=codec, newline="") as text:
        for _ in range(dialect.first_line - 1):
            text.readline()
        pieces = read_csv(text, dialect.first_line, delimiter, len(names))
        if sheet.columns.is_corrected:
            pieces = map(unescape, pieces)
        metadata = {SHEET: to_json(about).encode()}
        joined = join_tables(pieces, _most_rows(names), MAX_CHARACTERS)
        # A file without rows has one chunk, for its columns.
        no_rows = to_table((), (), (), [pa.array([], pa.string())] * len(names))
        for table in chain([next(joined, no_rows)], joined):
            yield Chunk(table.replace_schema_metadata(metadata), stream.tell())


def _read_parquet(
    stream: BinaryIO, schema: JsonSchema, folder: Path | None, proceed: Callable[[int], None]
) -> Iterator[Chunk]:
    file = ParquetFile(stream, schema)
    stream_bytes = stream.seek(0, io.SEEK_END)
    about = {
        "header": file.names,
        "names": file.names,
        "problems": problem_columns(file.names, Members(schema)),
        "structures": file.structures,
    }
    metadata = {SHEET: to_json(about).encode()}
    line = 1
    most = _most_rows(file.names)
    for batch in file.batches(most, MAX_CHARACTERS, folder=folder, proceed=proceed):
        table = _to_parquet_table(batch, line, metadata)
        line += len(table)
        yield Chunk(table, stream_bytes * (line - 1) // file.rows)


def _to_parquet_table(batch: Batch, line: int, metadata: Mapping[bytes, bytes]) -> pa.Table:
    rows = range(len(batch.columns[0]))
    broken = [to_json(batch.cells(at)) if at in batch.problems else None for at in rows]
    problems = map(batch.problems.get, rows)
    table = to_table((line + at for at in rows), problems, broken, batch.columns)
    return table.replace_schema_metadata(metadata)


class _Unclosed:
    """A stream that stays open when its reader closes it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def flush(self) -> None:
        """Do nothing: the stream is only read, and may be closed already."""

    def close(self) -> None:
        """Close nothing but this object."""
        self.closed = True


def _unclosed(stream: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, _Unclosed(stream))


def _most_rows(names: Sequence[str]) -> int:
    return max(1, min(MAX_ROWS, MAX_CELLS // len(names)))


def _blocks(items: Iterable[T], most: int, size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Divide what was read into chunks."""
    block: list[T] = []
    size = 0
    for each in items:
        block.append(each)
        size += size_of(each)
        if len(block) >= most or size > MAX_CHARACTERS:
            yield block
            block, size = [], 0
    if block:
        yield block


def _read_workbook(stream: BinaryIO, schema: JsonSchema, decimal: str) -> Iterator[Chunk]:
    sheet = open_table(stream, schema, decimal)
    sheet.columns.check_required()
    names = sheet.columns.names
    blocks = _blocks(sheet.lines(), _most_rows(names), lambda _: 0)
    for block in chain([next(blocks, [])], blocks):
        about = {
            "header": sheet.header,
            "names": names,
            "problems": sheet.columns.problem_columns,
            "decimal": sheet.decimal,
        }
        yield Chunk(_to_value_table(block, about), stream.tell())


def _to_value_table(block: Sequence[Line], about: Mapping[str, Any]) -> pa.Table:
    """Return a chunk of values, those of a column as JSON unless all of them are texts."""
    blank = [None] * len(about["names"])
    values = zip(*(each.values or blank for each in block), strict=True)
    columns = list(values) or [()] * len(blank)
    is_text = [all(each is None or isinstance(each, str) for each in values) for values in columns]
    structures = [
        name for name, is_plain in zip(about["names"], is_text, strict=True) if not is_plain
    ]
    table = to_table(
        (each.line for each in block),
        (each.problem or None for each in block),
        (to_json(each.texts) if each.problem else None for each in block),
        [
            pa.array(values if is_plain else map(_to_json, values), pa.string())
            for values, is_plain in zip(columns, is_text, strict=True)
        ],
    )
    metadata = {SHEET: to_json({**about, "structures": structures}).encode()}
    return table.replace_schema_metadata(metadata)


def _to_json(value: Any) -> str | None:
    return None if value is None else to_json(value)


def _ndjson_lines(stream: BinaryIO, max_depth: int) -> Iterator[_Line]:
    for line, content in enumerate(_read_lines(stream), start=1):
        try:
            text = content.decode("utf-8-sig" if line == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            broken = content.decode(errors="replace").strip()
            yield _Line(line, None, f"is not UTF-8: {error.reason}", broken)
            continue
        if text:
            yield _parse(line, text, max_depth)


def _read_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file. A line without an end must not fill the memory."""
    while content := stream.readline(MAX_LINE_BYTES + 1):
        if len(content) > MAX_LINE_BYTES:
            raise UnreadableFile(f"a line has more than {MAX_LINE_BYTES:,} bytes")
        yield content


def _parse(line: int, text: str, max_depth: int) -> _Line:
    try:
        value = parse(text.encode(), max_depth)
    except InvalidJson as error:
        return _Line(line, None, str(error), text)
    return _Line(line, to_json(value[JSON_ROW]) if _is_problem(value) else text)


def _is_problem(value: Any) -> bool:
    """Return whether a line is one of a file of problems, whose rows were corrected."""
    return (
        isinstance(value, dict)
        and value.keys() == {LINE, PROBLEMS, JSON_ROW}
        and isinstance(value[PROBLEMS], list)
        and all(isinstance(each, dict) and "pointer" in each for each in value[PROBLEMS])
    )


def _json_chunks(
    stream: BinaryIO, lines: Iterable[_Line], metadata: Mapping[bytes, bytes]
) -> Iterator[Chunk]:
    for block in _blocks(lines, MAX_ROWS, lambda each: len(each.row or each.broken or "")):
        yield Chunk(_to_json_table(block).replace_schema_metadata(metadata), stream.tell())


def _to_json_table(block: Sequence[_Line]) -> pa.Table:
    line, row, problem, broken = zip(*block, strict=True)
    table = to_table(line, problem, broken, [pa.array(row, pa.string())])
    return table.rename_columns([LINE, PROBLEM, BROKEN, JSON_ROW])

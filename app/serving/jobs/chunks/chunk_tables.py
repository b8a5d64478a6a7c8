"""Tables of chunks, and those of a CSV file.

A table has the line of each row in the file, and the problem and the text of a line that is no
row, in front of the columns of the file.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from app.serving.json_text import to_json
from app.serving.tables.csv_cells import unescape_formula
from app.serving.tables.csv_file import (
    RawLine,
    is_blank,
    raw_lines,
    read_line,
    rest_of,
    width_problem,
)

#: The columns besides the cells: the line in the file, the problem of a line that is no row, and
#: its cells, or its text, as JSON.
LINE, PROBLEM, BROKEN = "line", "problem", "broken"
#: Characters of a CSV file that are read at once; more for many columns, each of which takes time
#: in every piece: 500 columns take a sixth of the time in pieces of 2 MB.
PIECE_CHARACTERS = 1 << 18
MAX_PIECES, PIECE_COLUMNS = 16, 64


def to_table(
    lines: Iterable[int | None],
    problems: Iterable[str | None],
    broken: Iterable[str | None],
    columns: Sequence[pa.Array],
) -> pa.Table:
    """Return the table of a chunk.

    :param columns: those of the file.
    """
    arrays = [
        pa.array(lines, pa.int64()),
        pa.array(problems, pa.string()),
        pa.array(broken, pa.string()),
        *columns,
    ]
    return pa.table(arrays, names=[LINE, PROBLEM, BROKEN, *map(str, range(len(columns)))])


def write_table(table: pa.Table, path: Path, compression: str) -> None:
    """Write a table to a file of Arrow's own format.

    With Parquet, a job takes 15 MB more, and one of a small model a fifth more processor time.
    """
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with (
        pa.OSFile(str(path), "wb") as stream,
        pa.ipc.new_file(stream, table.schema, options=options) as writer,
    ):
        writer.write_table(table)


def read_table(path: Path, column: str | None = None) -> pa.Table:
    """Return the table in a file that :func:`write_table` wrote, or only one of its columns."""
    # Not pa.memory_map: a file that another machine truncates would kill the process by SIGBUS.
    with pa.OSFile(str(path)) as source:
        place = None if column is None else [read_schema(path).get_field_index(column)]
        options = pa.ipc.IpcReadOptions(included_fields=place)
        return pa.ipc.open_file(source, options=options).read_all()


def read_schema(path: Path) -> pa.Schema:
    """Return the columns of the table in a file."""
    with pa.OSFile(str(path)) as source:
        return pa.ipc.open_file(source).schema


def join_tables(tables: Iterable[pa.Table], max_rows: int, max_bytes: int) -> Iterator[pa.Table]:
    """Yield the rows of tables in tables of the given size, of which the last one is smaller."""
    waiting: list[pa.Table] = []
    rows = size = 0
    for table in tables:
        start = 0
        while start < len(table):
            piece = table.slice(start, max_rows - rows)
            waiting.append(piece)
            start += len(piece)
            rows += len(piece)
            size += piece.nbytes
            if rows >= max_rows or size >= max_bytes:
                yield pa.concat_tables(waiting)
                waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.concat_tables(waiting)


def unescape(table: pa.Table) -> pa.Table:
    """Return the table of a corrected file of problems with the cells of the original file."""
    for at, name in enumerate(table.column_names):
        column = table.column(at)
        if name in {LINE, PROBLEM} or not pc.any(pc.match_substring(column, "'")).as_py():
            continue
        convert = _unescape_broken if name == BROKEN else unescape_formula
        texts = [None if text is None else convert(text) for text in column.to_pylist()]
        table = table.set_column(at, name, pa.array(texts, pa.string()))
    return table


def _unescape_broken(broken: str) -> str:
    value = json.loads(broken)
    return to_json(list(map(unescape_formula, value))) if isinstance(value, list) else broken


def read_csv(text: TextIO, line: int, delimiter: str, width: int) -> Iterator[pa.Table]:
    """Yield the lines of a CSV file, whose cells are text, in tables of about equal size.

    Python's reader determines what a line is. Text that it would only divide at line breaks and
    delimiters is divided by pyarrow, in a tenth of the time.

    :param text: at the first line, opened with ``newline=""``.
    :param line: the number of that line.
    :param width: the number of columns.
    :raises UnreadableFile: if a line is too long.
    """
    size = PIECE_CHARACTERS * min(MAX_PIECES, 1 + width // PIECE_COLUMNS)
    while piece := text.read(size):
        if not piece.endswith("\n"):
            piece += read_line(text)
        table = _read_plain(piece, line, delimiter, width)
        if table is None:
            texts = _Texts(piece, text)
            table = _read_quoted(texts, line, delimiter, width)
            line += texts.count
        else:
            line += len(table)
        yield table


def _read_plain(piece: str, line: int, delimiter: str, width: int) -> pa.Table | None:
    """Return the lines of a text; ``None`` if it takes Python's reader."""
    plain = piece.replace("\r\n", "\n")
    if any(mark in plain for mark in '"\r') or plain[0] == "\ufeff" or not delimiter.isascii():
        return None
    content = plain.encode()
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(content),
            pyarrow.csv.ReadOptions(
                use_threads=False,
                block_size=len(content),
                column_names=list(map(str, range(width))),
            ),
            pyarrow.csv.ParseOptions(delimiter=delimiter, quote_char=False),
            pyarrow.csv.ConvertOptions(
                check_utf8=False, column_types=dict.fromkeys(map(str, range(width)), pa.string())
            ),
        )
    except pa.ArrowInvalid:  # a line with another number of cells
        return None
    count = plain.count("\n") + (not plain.endswith("\n"))
    if len(table) != count or _has_unusual_cells(table):
        return None
    nothing = pa.nulls(count, pa.string())
    return to_table(np.arange(line, line + count), nothing, nothing, table.columns)


def _has_unusual_cells(table: pa.Table) -> bool:
    """Return whether a cell is too long for Python's reader, or a line may have only empty ones."""
    longest = max(pc.max(pc.binary_length(column)).as_py() for column in table.columns)
    if longest > csv.field_size_limit():
        return True
    is_blank = pc.equal(table.column(0), "")
    for column in table.columns[1:]:
        if not pc.any(is_blank).as_py():
            return False
        is_blank = pc.and_(is_blank, pc.equal(column, ""))
    return bool(pc.any(is_blank).as_py())


class _Texts:
    """The lines of a text, and then those that follow it in its file. ``count`` are those read."""

    def __init__(self, piece: str, rest: TextIO) -> None:
        lines = list(io.StringIO(piece, newline=""))
        self._lines = chain(lines, rest_of(rest))
        self._least = len(lines)
        self.count = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.count += 1
        return line

    @property
    def is_done(self) -> bool:
        """Whether all lines of the text were read."""
        return self.count >= self._least


def _read_quoted(texts: _Texts, line: int, delimiter: str, width: int) -> pa.Table:
    """Return the lines of a text, of which the last one may end behind it."""
    lines: list[RawLine] = []
    for raw in raw_lines(texts, line - 1, delimiter):
        if raw.problem or not is_blank(raw.cells, width):
            lines.append(raw)
        if texts.is_done:
            break
    problems = [
        raw.problem or (width_problem(len(raw.cells), width) if len(raw.cells) != width else None)
        for raw in lines
    ]
    blank = [None] * width
    pairs = list(zip(lines, problems, strict=True))
    rows = [blank if problem else raw.cells for raw, problem in pairs]
    columns = [[row[at] for row in rows] for at in range(width)]
    return to_table(
        (raw.line for raw in lines),
        problems,
        (to_json(raw.text or list(raw.cells)) if problem else None for raw, problem in pairs),
        [pa.array(cells, pa.string()) for cells in columns],
    )

"""Excel workbooks: the cells of the first sheet.

openpyxl reads them as a stream. python-calamine is ten times faster but not used: it allocates the
whole rectangle that a sheet's cells span, so that a file of 5 kB whose last cell is XFD1048576
kills the process (0.9.1).
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time
from typing import Any, BinaryIO, NamedTuple, TypeVar

from app.serving.errors import UnreadableFile
from app.serving.tables.csv_cells import Cell

#: The first bytes of ZIP archives, and of Excel files before 2007 or with a password.
ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
#: Maximum bytes of all expanded parts. zipfile reads no more than the sizes the archive declares.
MAX_EXPANDED = 100_000_000
#: Maximum rows of a sheet, as in Excel.
MAX_ROW = 1_048_576
#: Rows among which the header must be, and maximum consecutive blank rows.
MAX_ABOVE = 1_000
MAX_BLANK = 10_000
#: Numbers of this size and above are read as text.
LARGEST = 1e308

#: A formula cell without a saved value, as written by libraries that do not compute formulas.
_FORMULA = re.compile(
    rb"""<(?:\w+:)?c\s[^>]*?\br=["']([A-Z]+\d+)["'][^>]*>\s*"""
    rb"<(?:\w+:)?f\b(?:[^>]*/>|[^<]*</(?:\w+:)?f>)\s*"
    rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)

T = TypeVar("T")


def is_workbook(stream: BinaryIO) -> bool:
    """Return whether a file is a workbook or another archive. The stream is rewound."""
    beginning = stream.read(len(OLE))
    stream.seek(0)
    return beginning.startswith(ZIP) or beginning == OLE


def check_workbook(stream: BinaryIO) -> None:
    """Check the parts of a workbook, without reading its cells. The stream is rewound.

    :raises UnreadableFile: if it is not an .xlsx workbook, or too large.
    """
    if stream.read(len(ZIP)) != ZIP:
        raise UnreadableFile(
            "expected an .xlsx workbook without a password: save it as .xlsx or CSV"
        )
    with _call_openpyxl(lambda: zipfile.ZipFile(stream)) as archive:
        size = sum(part.file_size for part in archive.infolist())
        names = set(archive.namelist())
    stream.seek(0)
    if "xl/workbook.xml" not in names:
        is_other = "content.xml" in names or "xl/workbook.bin" in names
        what = (
            "an .ods or .xlsb workbook" if is_other else "an archive that is not an .xlsx workbook"
        )
        raise UnreadableFile(f"it is {what}: save it as .xlsx or CSV")
    if size > MAX_EXPANDED:
        raise UnreadableFile(
            f"the workbook expands to {size:,} bytes; the limit is {MAX_EXPANDED:,}: "
            "save the sheet as CSV"
        )


class SheetRow(NamedTuple):
    """A row of a sheet, numbered from 1.

    ``unsaved`` are the indices of the formulas without a saved value, whose cells are blank.
    """

    line: int
    cells: Sequence[Cell]
    unsaved: Sequence[int]


def first_sheet(stream: BinaryIO) -> tuple[str, Iterator[SheetRow]]:
    """Return the name of the first visible sheet, and its rows.

    A formula cell has the value that was saved with it.

    :raises UnreadableFile: if it is not an .xlsx workbook, or too large; also while iterating.
    """
    check_workbook(stream)
    try:
        from openpyxl import load_workbook  # noqa: PLC0415
    except ImportError as error:
        raise UnreadableFile(
            "reading .xlsx workbooks requires openpyxl, which is not installed: save it as CSV"
        ) from error
    book = _call_openpyxl(lambda: load_workbook(stream, read_only=True, data_only=True))
    visible = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    if not visible:
        raise UnreadableFile("the workbook has no sheet with cells")
    return visible[0].title, _rows(visible[0])


def _rows(sheet: Any) -> Iterator[SheetRow]:
    # The dimensions that a file declares are often wrong.
    sheet.reset_dimensions()
    unsaved = _Unsaved(sheet)
    above = sheet.iter_rows(max_row=MAX_ABOVE, values_only=True)
    found = next(
        ((at, row) for at, row in _number_rows(above, 1) if any(map(_is_filled, row))), None
    )
    if found is None:
        return
    at, first = found
    width = max(place for place, cell in enumerate(first, start=1) if _is_filled(cell))
    yield SheetRow(at, [_cell(cell) for cell in first[:width]], unsaved.take(at, width))
    blank = 0
    below = sheet.iter_rows(min_row=at + 1, max_row=MAX_ROW, max_col=width, values_only=True)
    for line, row in _number_rows(below, at + 1):
        formulas = unsaved.take(line, width)
        blank = 0 if formulas or any(map(_is_filled, row)) else blank + 1
        if blank > MAX_BLANK:
            raise UnreadableFile(f"more than {MAX_BLANK:,} rows above row {line:,} are blank")
        if not blank:
            yield SheetRow(line, [_cell(cell) for cell in row], formulas)


def _number_rows(rows: Iterator[Any], first: int) -> Iterator[tuple[int, Sequence[Any]]]:
    line = first
    while (row := _call_openpyxl(lambda: next(rows, None))) is not None:
        yield line, row
        line += 1


class _Unsaved:
    """The formulas of a sheet without a saved value, which openpyxl reads as blank cells."""

    def __init__(self, sheet: Any) -> None:
        # The two private names are openpyxl's: its public API does not distinguish the two.
        content = _call_openpyxl(lambda: sheet.parent._archive.read(sheet._worksheet_path))
        self._found = (
            found[1].decode() for found in _FORMULA.finditer(content) if b't="str"' not in found[0]
        )
        self._next = self._read()

    def take(self, line: int, width: int) -> list[int]:
        """Return the indices of those in a row below the last one, in its first columns."""
        indices = []
        while self._next and self._next[0] <= line:
            if self._next[0] == line and self._next[1] <= width:
                indices.append(self._next[1] - 1)
            self._next = self._read()
        return indices

    def _read(self) -> tuple[int, int] | None:
        from openpyxl.utils.cell import coordinate_to_tuple  # noqa: PLC0415

        name = next(self._found, None)
        if name is None:
            return None
        place: tuple[int, int] = _call_openpyxl(lambda: coordinate_to_tuple(name))
        return place


def _is_filled(cell: Any) -> bool:
    return cell is not None and cell != ""


def _cell(value: Any) -> Cell:
    if value is None or isinstance(value, str | bool | datetime | time):
        return value
    if isinstance(value, int | float) and -LARGEST < value < LARGEST:
        return value
    return value.isoformat() if isinstance(value, date) else str(value)


def _call_openpyxl(read: Callable[[], T]) -> T:
    """Call a reader and convert its errors: on a broken file, it may raise errors of any kind."""
    try:
        return read()
    except Exception as error:
        raise UnreadableFile("the file is not a readable .xlsx workbook") from error

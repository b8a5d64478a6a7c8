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
from typing import Any, BinaryIO, TypeVar

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


def first_sheet(stream: BinaryIO) -> tuple[str, Iterator[tuple[int, Sequence[Cell]]]]:
    """Return the name of the first visible sheet, and its rows, numbered from 1.

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


def _rows(sheet: Any) -> Iterator[tuple[int, Sequence[Cell]]]:
    # The dimensions that a file declares are often wrong.
    sheet.reset_dimensions()
    _check_formulas(sheet)
    above = sheet.iter_rows(max_row=MAX_ABOVE, values_only=True)
    found = next(
        ((at, row) for at, row in _number_rows(above, 1) if any(map(_is_filled, row))), None
    )
    if found is None:
        return
    at, first = found
    width = max(place for place, cell in enumerate(first, start=1) if _is_filled(cell))
    yield at, [_cell(cell) for cell in first[:width]]
    blank = 0
    below = sheet.iter_rows(min_row=at + 1, max_row=MAX_ROW, max_col=width, values_only=True)
    for line, row in _number_rows(below, at + 1):
        blank = 0 if any(map(_is_filled, row)) else blank + 1
        if blank > MAX_BLANK:
            raise UnreadableFile(f"more than {MAX_BLANK:,} rows above row {line:,} are blank")
        if not blank:
            yield line, [_cell(cell) for cell in row]


def _number_rows(rows: Iterator[Any], first: int) -> Iterator[tuple[int, Sequence[Any]]]:
    line = first
    while (row := _call_openpyxl(lambda: next(rows, None))) is not None:
        yield line, row
        line += 1


def _check_formulas(sheet: Any) -> None:
    """Reject a sheet with a formula without a saved value, which would be read as a blank cell.

    The two private names are openpyxl's: its public API does not distinguish the two.
    """
    content = _call_openpyxl(lambda: sheet.parent._archive.read(sheet._worksheet_path))
    for found in _FORMULA.finditer(content):
        if b't="str"' not in found[0]:
            raise UnreadableFile(
                f"the formula in cell {found[1].decode()} has no value: open the workbook in a "
                "spreadsheet program, and save it"
            )


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

"""Workbooks of Excel: read as CSV files are, within bounds."""

import io
import zipfile
from datetime import datetime, time

import pytest

from app.serving.errors import UnreadableFile
from app.serving.tables import workbooks
from app.serving.tables.csv_file import open_table
from mlmodel.errors import InvalidInput

openpyxl = pytest.importorskip("openpyxl")

SCHEMA = {
    "properties": {
        "n": {"type": ["number", "null"]},
        "b": {"type": "boolean"},
        "t": {"type": "string"},
        "day": {"type": "string", "format": "date"},
        "at": {"type": "string", "format": "date-time"},
    }
}


def workbook(*rows, title="Table"):
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    content = io.BytesIO()
    book.save(content)
    content.seek(0)
    return content


def changed(content, name, change):
    """Return a workbook with one of its parts changed."""
    made = io.BytesIO()
    with zipfile.ZipFile(content) as before, zipfile.ZipFile(made, "w", 8) as after:
        for part in before.namelist():
            text = before.read(part)
            after.writestr(part, change(text) if part == name else text)
    made.seek(0)
    return made


def read(content):
    sheet = open_table(content, SCHEMA)
    return sheet, [(line.line, line.values) for line in sheet.lines()]


def test_workbook_cells_are_converted():
    days = datetime(2026, 1, 31), datetime(2026, 1, 31, 14, 30)
    content = workbook(
        ["N", "B", "T", "Day", "At", None, "id"],
        [52.5, True, "a", *days, "x", 7],
        [None, 1, 12, "31.01.2026", days[0], None, None],
        ["52 000", "yes", 1.5, "2026-01-31", time(9), None, "x"],
    )

    sheet, lines = read(content)

    assert (sheet.title, sheet.columns.known, sheet.columns.unknown) == (
        "Table",
        list(SCHEMA["properties"]),
        ["id"],
    )
    assert lines == [
        (2, [52.5, True, "a", "2026-01-31", "2026-01-31T14:30:00", "x", "7"]),
        (3, [None, True, "12", "2026-01-31", "2026-01-31T00:00:00", "", ""]),
        (4, [52000, True, "1.5", "2026-01-31", "09:00:00", "", "x"]),
    ]


def test_number_cell_ignores_decimal_mark():
    _, lines = read(workbook(["n"], [1.234], ["1.234"]))

    assert lines == [(2, [1.234]), (3, ["1.234"])]


def test_blank_rows_are_passed_over():
    _, lines = read(workbook([], [None, None], ["n", "t"], [1, "a"], [], [None, ""], [2, "b"]))

    assert lines == [(4, [1, "a"]), (7, [2, "b"])]


def test_rows_of_zeros_are_kept():
    _, lines = read(workbook(["n", "b"], [0, False], [0.0, None], [None, False], [None, None]))

    assert lines == [(2, [0, False]), (3, [0, None]), (4, [None, False])]


def test_hidden_sheet_is_not_read():
    book = openpyxl.Workbook()
    book.active.sheet_state = "hidden"
    book.create_sheet("Shown").append(["n"])
    content = io.BytesIO()
    book.save(content)

    sheet, _ = read(io.BytesIO(content.getvalue()))

    assert (sheet.title, sheet.columns.names) == ("Shown", ["n"])


def test_declared_sheet_size_is_ignored():
    content = changed(
        workbook(["n"], [1]),
        "xl/worksheets/sheet1.xml",
        lambda text: text.replace(b'ref="A1:A2"', b'ref="A1"'),
    )

    assert read(content)[1] == [(2, [1])]


def test_distant_cell_needs_no_memory():
    content = changed(
        workbook(["n"], [1]),
        "xl/worksheets/sheet1.xml",
        lambda text: text.replace(b'r="2"', b'r="1048576"').replace(b'"A2"', b'"XFD1048576"'),
    )

    with pytest.raises(UnreadableFile, match="rows above row 10,002 are blank"):
        read(content)


def test_formula_without_value_fails_only_rows_that_use_it():
    rows = ([1, "a", "=A2*2"], ["=A1*2", "b", 7], ["=A2", None, None], [None, None, "=A1"])

    sheet = open_table(workbook(["n", "t", "id"], *rows), SCHEMA)
    lines = list(sheet.lines())

    assert (lines[0].line, lines[0].values) == (2, [1, "a", ""])
    problem = (
        "has a formula in 'n' without a value: open the workbook in a spreadsheet program, and "
        "save it"
    )
    assert [(each.line, each.problem, each.texts) for each in lines[1:]] == [
        (3, problem, ["", "b", "7"]),
        (4, problem, ["", "", ""]),
    ]


def test_formula_without_value_in_header_is_rejected():
    with pytest.raises(InvalidInput, match="line 1 has a formula without a value: open the work"):
        read(workbook(["n", "=A1", "t"], [1, 2, "a"]))


def test_zip_bomb_workbook_is_rejected(monkeypatch):
    monkeypatch.setattr(workbooks, "MAX_EXPANDED", 5_000)

    with pytest.raises(UnreadableFile, match="the limit is 5,000: save the sheet as CSV"):
        read(workbook(["n"], [1]))


def test_broken_workbook_is_rejected():
    content = changed(workbook(["n"], [1]), "xl/worksheets/sheet1.xml", lambda text: text[:-30])

    with pytest.raises(UnreadableFile, match=r"not a readable .xlsx workbook"):
        read(content)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("content.xml", "an .ods or .xlsb workbook"),
        ("a.txt", "an archive that is not an .xlsx workbook"),
    ],
)
def test_other_archives_are_named(name, words):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, "x")

    with pytest.raises(UnreadableFile, match=f"it is {words}: save it as .xlsx or CSV"):
        read(io.BytesIO(content.getvalue()))


def test_old_workbook_is_named():
    with pytest.raises(UnreadableFile, match=r"expected an .xlsx workbook without a password"):
        read(io.BytesIO(workbooks.OLE + bytes(500)))


def test_truncated_archive_is_rejected():
    with pytest.raises(UnreadableFile, match=r"not a readable .xlsx workbook"):
        read(io.BytesIO(workbook(["n"]).getvalue()[:300]))

import gzip
import io

import pytest
import zstandard

from app.serving.errors import UnreadableFile
from app.serving.tables.columns import MAX_OTHERS
from app.serving.tables.csv_file import Dialect, Line, header_line, open_table
from mlmodel.errors import InvalidInput
from mlmodel.schema.validator import Schema

SCHEMA = {
    "type": "object",
    "properties": {"age": {"type": "integer"}, "note": {"type": "string"}, "a,b": {}},
    "allOf": [{"properties": {"more": {"type": "number"}}, "required": ["more"]}],
    "required": ["age"],
}


def sheet(text, schema=SCHEMA, decimal=""):
    content = text if isinstance(text, bytes) else text.encode()
    return open_table(io.BytesIO(content), schema, decimal)


def test_columns_are_compared_with_members():
    read = sheet(",id,age,note\n")

    assert (read.columns.known, read.columns.unknown) == (["age", "note"], ["id"])
    assert read.columns.missing == {"a,b": False, "more": True}


def test_schema_without_members_has_all_columns():
    assert sheet("a,b\n", True).columns.known == ["a", "b"]


def test_additional_members_keep_all_columns():
    schema = {"properties": {"a": {}}, "additionalProperties": {"type": "number"}}

    [line] = sheet("a,b\nx,1\n", schema).lines()

    assert line == Line(2, ("x", 1))


def test_lines_follow_an_invalid_line():
    lines = list(sheet('age,note\n1,a\n2\n3,"x" y\n4,"two\nlines"\n5,e\n').lines())

    assert [(each.line, each.problem) for each in lines] == [
        (2, ""),
        (3, "has 1 cells, but the header has 2"),
        (4, "is not CSV: ',' expected after '\"'"),
        (5, ""),
        (7, ""),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('"a', "a quote is never closed"),
        (
            '"a\n2,b\n3,c\n',
            "a quote is never closed: lines 2 to 4, the rest of the file, are one cell",
        ),
        (
            '"a\n2,"b"\n',
            "',' expected after '\"'; quoted text reaches from line 2 to line 3",
        ),
    ],
)
def test_problem_of_an_unclosed_quote_has_its_lines(text, problem):
    lines = list(sheet(f"age,note\n1,{text}").lines())

    assert [(each.line, each.problem) for each in lines] == [(2, f"is not CSV: {problem}")]


def test_unknown_columns_stay_text():
    read = sheet("id,age\n007,7\n")

    [line] = read.lines()

    assert line == Line(2, ("007", 7))
    assert read.row(line) == {"age": 7}


def test_blank_cell_is_left_out():
    read = sheet("age,more\n7,\n")

    [line] = read.lines()

    assert (line.values, line.blank) == ([7, None], [1])
    assert read.row(line) == {"age": 7}


@pytest.mark.parametrize(("more", "value"), [({"x-seen-missing": False}, ""), ({}, None)])
def test_blank_cell_is_empty_text_of_training_data(more, value):
    member = {"type": ["string", "null"], "examples": ["", "a"], **more}
    read = sheet("c,d\n,x\n", {"properties": {"c": member, "d": {"type": "string"}}})

    assert [read.row(line) for line in read.lines()] == [{"c": value, "d": "x"}]


def test_quoted_empty_text_of_one_column_is_row():
    schema = {"properties": {"text": {"type": "string"}}, "required": ["text"]}
    read = sheet('text\na\n""\n\nb\n', schema)

    assert [(line.line, read.row(line)) for line in read.lines()] == [
        (2, {"text": "a"}),
        (3, {"text": ""}),
        (5, {"text": "b"}),
    ]


def test_additional_columns_are_limited():
    schema = {"properties": {f"m{number}": {} for number in range(2 * MAX_OTHERS)}}

    assert len(sheet(",".join(schema["properties"]) + "\n", schema).columns.known) == 2 * MAX_OTHERS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age,b,b\n", "line 1 names the column 'b' more than once"),
        ("id,b\n", "line 1 must name columns of the model, such as 'age'"),
        (",".join("a" * 5000) + "\n", "line 1 must name at most 1,004 columns, got 5,000"),
    ],
)
def test_oversized_header_is_rejected(text, message):
    with pytest.raises(InvalidInput, match=message):
        sheet(text)


def test_the_header_names_all_members():
    assert header_line(SCHEMA) == 'age,note,"a,b",more\n'
    assert header_line(True) == ""


def test_formula_header_is_escaped_and_matched():
    schema = {"properties": {"=1+1|cmd": {}, "-1": {}}}

    first = header_line(schema)

    assert first == "'=1+1|cmd,-1\n"
    assert sheet(first, schema).columns.known == ["=1+1|cmd", "-1"]


NUMBERS = {
    "type": "object",
    "properties": {
        "a": {"type": "number"},
        "b": {"type": ["number", "null"]},
        "t": {"type": "string"},
    },
}


def values(text, schema=NUMBERS, decimal=""):
    return [line.values for line in sheet(text, schema, decimal).lines()]


@pytest.mark.parametrize(
    ("text", "mark", "first"),
    [
        pytest.param("a;b\n14,9;1\n", ",", [14.9, 1], id="comma"),
        pytest.param("a;b\n1;52.000\n2;14,9\n", ",", [1, 52000], id="comma below a group"),
        pytest.param("a;b\n1;52.000\n2;0.5\n", ".", [1, 52.0], id="point below a group"),
        pytest.param("a;b\n14,9;0.5\n", ".", ["14,9", 0.5], id="both"),
        pytest.param('a,b\n"52,000",1.5\n', ".", [52000, 1.5], id="grouped by commas"),
        pytest.param("a;b\n52.000;1\n", "", ["52.000", 1], id="neither"),
        pytest.param("a;b\n1.234.567;1\n", ",", [1234567, 1], id="two groups"),
        pytest.param("a;b\n1;2\n", ".", [1, 2], id="whole numbers"),
        pytest.param("a;t\n52.000;1,5\n", "", ["52.000", "1,5"], id="texts show nothing"),
        pytest.param("a;t\n1,5;2,5\n", ",", [1.5, "2,5"], id="texts stay"),
    ],
)
def test_decimal_mark_is_detected_from_numbers(text, mark, first):
    read = sheet(text, NUMBERS)

    lines = [line.values for line in read.lines()]

    assert (read.decimal, lines[0]) == (mark, first)


def test_given_decimal_mark_is_kept():
    assert values("a;b\n52.000;1\n", decimal=".") == [[52.0, 1]]
    assert values("a;b\n52.000;0,5\n", decimal=",") == [[52000, 0.5]]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("größe;a\nä;1\n".encode("utf-8-sig"), "utf-8"),
        ("größe;a\nä;1\n".encode("utf-16"), "utf-16"),
        ("größe;a\nä;1\n".encode("utf-16-le"), "utf-16"),
        ("größe;a\nä;1\n".encode("utf-16-be"), "utf-16"),
        ("größe;a\nä;1\n".encode("cp1252"), "windows-1252"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_encoding_is_found_out(content, encoding):
    read = sheet(content, {"properties": {"größe": {"type": "string"}}})

    assert [read.row(line) for line in read.lines()] == [{"größe": "ä"}]
    assert read.dialect.encoding == encoding


@pytest.mark.parametrize(
    "content", ["größe\n".encode() + b"\xff\n", "a\nä\n".encode("utf-16")[:-1]], ids=["8", "16"]
)
def test_broken_file_has_no_other_encoding(content):
    with pytest.raises(UnreadableFile, match=r"not (valid )?UTF-"):
        sheet(content)


NAMED = {
    "properties": {
        "annual_income": {"title": "Yearly income"},
        " Flow Duration": {},
        "a": {},
        "A": {},
        "x y": {},
        "x_y": {},
    }
}


@pytest.mark.parametrize(
    ("first", "names"),
    [
        ("Yearly income", ["annual_income"]),
        ("ANNUAL INCOME", ["annual_income"]),
        ("Annual income , id", ["annual_income", "id"]),
        (" Flow Duration,a", [" Flow Duration", "a"]),
        ("Flow Duration, a", [" Flow Duration", "a"]),
        ("flow_duration,A", [" Flow Duration", "A"]),
        ("x_y,X Y", ["x_y", "x y"]),
        ("annual_income,Yearly income", ["annual_income", "Yearly income"]),
    ],
)
def test_header_matches_only_possible_member(first, names):
    assert sheet(f"{first}\n", NAMED).columns.names == names


def test_line_of_spaces_is_row_only_of_one_column():
    text = {"properties": {"a": {"type": "string"}}}

    assert [each.line for each in sheet("a,b\n  \n1,2\n\t\n , \n", NUMBERS).lines()] == [3, 5]
    assert [each.line for each in sheet("a\n  \n\nx\n", text).lines()] == [2, 4]


def test_lines_without_anything_are_passed_over():
    lines = list(sheet("sep=;\r\na;b\r\n1;2\r\n;\r\n\r\n3;4\r\n", NUMBERS).lines())

    assert [(each.line, each.values) for each in lines] == [(3, [1, 2]), (6, [3, 4])]


@pytest.mark.parametrize("text", ["1,2.5,x\n2,3,y\n", "5.1;3.5;1.4\n", "1\n2\n"])
def test_file_without_header_is_rejected(text):
    with pytest.raises(InvalidInput, match="the first line looks like values, not names"):
        sheet(text, NUMBERS)


LOANS = {
    "properties": {
        "annual_income": {"type": "number", "title": "Income a year"},
        "employed_since": {"type": "string", "format": "date"},
        "note": {"type": "string"},
    },
    "additionalProperties": False,
}
LOAN = "annual_income,employed_since,note\n52000.5,2019-03-31,café\n"
GERMAN = "annual_income;employed_since;note\r\n52.000,5;31.03.2019;café\r\n"
ROW = {"annual_income": 52000.5, "employed_since": "2019-03-31", "note": "café"}


@pytest.mark.parametrize(
    ("content", "row"),
    [
        pytest.param(LOAN.encode(), ROW, id="plain"),
        pytest.param(LOAN.encode("utf-8-sig"), ROW, id="byte order mark"),
        pytest.param(GERMAN.encode("utf-8-sig"), ROW, id="Excel, UTF-8"),
        pytest.param(GERMAN.encode("latin-1"), ROW, id="Excel, Latin-1"),
        pytest.param(GERMAN.replace(";", "\t").encode("utf-16"), ROW, id="Excel, Unicode text"),
        pytest.param(b"sep=;\r\n" + GERMAN.encode(), ROW, id="Excel, sep="),
        pytest.param(gzip.compress(LOAN.encode()), ROW, id="gzip"),
        pytest.param(
            gzip.compress(LOAN[:33].encode()) + gzip.compress(LOAN[33:].encode()), ROW, id="2 gzip"
        ),
        pytest.param(zstandard.compress(GERMAN.encode("utf-16")), ROW, id="zstd"),
        pytest.param(LOAN.replace("annual_income", "Income a Year").encode(), ROW, id="label"),
        pytest.param(LOAN.replace("annual_income", '"annual\nincome"').encode(), ROW, id="break"),
        pytest.param(
            LOAN.replace("café", '"one, ""two""\r\nlines"').encode(),
            ROW | {"note": 'one, "two"\r\nlines'},
            id="quoted newline",
        ),
        *(
            pytest.param(LOAN.replace("2019-03-31", text).encode(), ROW, id=text)
            for text in (
                *("3/31/2019", "31/03/2019", "31-Mar-2019", "20190331", "2019-03-31 00:00:00"),
                *('"March 31, 2019"', "31.3.2019 0:00", "2019/3/31", "3/31/2019 12:00:00 AM"),
            )
        ),
    ],
)
def test_exported_file_is_read(content, row):
    read = sheet(content, LOANS)

    assert [read.row(line) for line in read.lines()] == [row]
    assert Schema(LOANS).violations(row) == []


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        pytest.param(LOAN[34:], "the first line looks like values", id="no header"),
        pytest.param("note,x,x\na,b,c\n", "names the column 'x' more than once", id="duplicate"),
        pytest.param(
            "Annual income,annual-income,INCOME A YEAR\n1,2,3\n",
            "2 columns match the field 'annual_income': 'Annual income', 'INCOME A YEAR'",
            id="duplicate label",
        ),
        pytest.param(gzip.compress(LOAN.encode())[:-1], "not a readable gzip file", id="gzip"),
        pytest.param(zstandard.compress(LOAN.encode())[:-1], "not a readable zstd file", id="zstd"),
    ],
)
def test_unclear_file_is_rejected(content, detail):
    with pytest.raises((InvalidInput, UnreadableFile)) as caught:
        sheet(content, LOANS)

    assert detail in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "detail"),
    [
        ("2019-03-31", "03/04/2019", 'got "03/04/2019". Write 2019-03-04 or 2019-04-03'),
        ("2019-03-31", "31.03.19", "must be a date"),
        ("2019-03-31", "2019-03-31 14:30", "must be a date"),
        ("52000.5", "52.000", "Write 52000, or 52.0 for a decimal"),
    ],
)
def test_ambiguous_cell_is_invalid(before, after, detail):
    read = sheet(LOAN.replace(before, after), LOANS)

    [row] = map(read.row, read.lines())

    [violation] = Schema(LOANS).violations(row)
    assert detail in violation.detail


def test_file_of_500_columns_is_read():
    names = [f"F{number}" for number in range(500)]
    schema = {"properties": {name.lower(): {"type": "number"} for name in names}}

    [line] = sheet(f"{';'.join(names)}\n{';'.join(['1,5'] * 500)}\n", schema).lines()

    assert line.values == [1.5] * 500


def test_decimal_mark_is_detected_without_lines():
    read = sheet('\nsep=;\n"a\nb";a\n1;1\n2;14,9\n', NUMBERS)

    assert (read.detect_decimal(), read.dialect) == (",", Dialect("utf-8-sig", ";", 5))
    assert sheet("a\n1\n52.000\n", NUMBERS).detect_decimal() == ""

import io

import pytest

from app.serving.errors import UnreadableFile
from app.serving.tables.csv_file import MAX_OTHERS, Line, header_line, open_table
from mlmodel.errors import InvalidInput

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

    assert (read.known, read.unknown) == (["age", "note"], ["id"])
    assert read.missing == {"a,b": False, "more": True}


def test_schema_without_members_has_all_columns():
    assert sheet("a,b\n", True).known == ["a", "b"]


def test_additional_members_keep_all_columns():
    schema = {"properties": {"a": {}}, "additionalProperties": {"type": "number"}}

    [line] = sheet("a,b\nx,1\n", schema).lines()

    assert line == Line(2, ("x", 1))


def test_lines_follow_an_invalid_line():
    lines = list(sheet('age,note\n1,a\n2\n3,"x" y\n4,"two\nlines"\n5,e\n').lines())

    assert [(each.line, each.problem) for each in lines] == [
        (2, ""),
        (3, "has 1 cells, the header has 2"),
        (4, "is not CSV: ',' expected after '\"'"),
        (5, ""),
        (7, ""),
    ]


def test_unclosed_quote_is_one_invalid_line():
    lines = list(sheet('age,note\n1,"a\n2,b\n').lines())

    assert [(each.line, each.problem) for each in lines] == [
        (2, "is not CSV: unexpected end of data")
    ]


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


def test_additional_columns_are_limited():
    schema = {"properties": {f"m{number}": {} for number in range(2 * MAX_OTHERS)}}

    assert len(sheet(",".join(schema["properties"]) + "\n", schema).known) == 2 * MAX_OTHERS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,a\n", "line 1 names the column 'a' more than once"),
        (",".join("a" * 5000) + "\n", "line 1 must name at most 1,004 columns, got 5,000"),
    ],
)
def test_oversized_header_is_rejected(text, message):
    with pytest.raises(InvalidInput, match=message):
        sheet(text)


def test_the_header_names_all_members():
    assert header_line(SCHEMA) == 'age,note,"a,b",more\r\n'
    assert header_line(True) == ""


def test_formula_header_is_escaped_and_matched():
    schema = {"properties": {"=1+1|cmd": {}, "-1": {}}}

    first = header_line(schema)

    assert first == "'=1+1|cmd,-1\r\n"
    assert sheet(first, schema).known == ["=1+1|cmd", "-1"]


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
    assert read.encoding == encoding


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
        ("X Y", ["X Y"]),
        ("x_y,X Y", ["x_y", "x y"]),
        ("yearly income,Annual income", ["yearly income", "Annual income"]),
        ("annual_income,Yearly income", ["annual_income", "Yearly income"]),
    ],
)
def test_header_matches_only_possible_member(first, names):
    assert sheet(f"{first}\n", NAMED).names == names


def test_lines_without_anything_are_passed_over():
    lines = list(sheet("sep=;\r\na;b\r\n1;2\r\n;\r\n\r\n3;4\r\n", NUMBERS).lines())

    assert [(each.line, each.values) for each in lines] == [(3, [1, 2]), (6, [3, 4])]


@pytest.mark.parametrize("text", ["1,2.5,x\n2,3,y\n", "5.1;3.5;1.4\n", "1\n2\n"])
def test_file_without_header_is_rejected(text):
    with pytest.raises(InvalidInput, match="the first line looks like values, not names"):
        sheet(text, NUMBERS)

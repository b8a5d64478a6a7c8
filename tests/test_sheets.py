import io

import pytest

from app.serving.sheets import MAX_OTHERS, Line, Sheet, header
from mlmodel.errors import InvalidInput

SCHEMA = {
    "type": "object",
    "properties": {"age": {"type": "integer"}, "note": {"type": "string"}, "a,b": {}},
    "allOf": [{"properties": {"more": {"type": "number"}}, "required": ["more"]}],
    "required": ["age"],
}


def sheet(text, schema=SCHEMA):
    return Sheet(io.StringIO(text, newline=""), schema)


def test_columns_stand_beside_the_members_of_the_schema():
    read = sheet(",id,age,note\n")

    assert (read.known, read.unknown) == (["age", "note"], ["id"])
    assert read.missing == {"a,b": False, "more": True}


def test_a_schema_that_names_no_members_takes_all_columns():
    assert sheet("a,b\n", True).known == ["a", "b"]


def test_a_schema_that_asks_for_other_members_takes_all_columns():
    schema = {"properties": {"a": {}}, "additionalProperties": {"type": "number"}}

    [line] = sheet("a,b\nx,1\n", schema).lines()

    assert line == Line(2, ("x", 1))


def test_a_bad_line_does_not_end_the_sheet():
    lines = list(sheet('age,note\n1,a\n2\n3,"x" y\n4,"two\nlines"\n5,e\n').lines())

    assert [(each.line, each.problem) for each in lines] == [
        (2, ""),
        (3, "has 1 cells, the header has 2"),
        (4, "is not CSV: ',' expected after '\"'"),
        (5, ""),
        (7, ""),
    ]


def test_a_quote_that_nothing_ends_is_one_bad_line():
    lines = list(sheet('age,note\n1,"a\n2,b\n').lines())

    assert [(each.line, each.problem) for each in lines] == [
        (2, "is not CSV: unexpected end of data")
    ]


def test_columns_that_are_no_part_of_the_row_stay_as_they_stand():
    read = sheet("id,age\n007,7\n")

    [line] = read.lines()

    assert line == Line(2, ("007", 7))
    assert read.row(line) == {"age": 7}


def test_a_cell_that_gives_nothing_has_a_place_and_no_member():
    read = sheet("age,more\n7,\n")

    [line] = read.lines()

    assert (line.values, line.blank) == ([7, None], [1])
    assert read.row(line) == {"age": 7}


def test_a_file_may_have_a_column_for_each_member_and_some_more():
    schema = {"properties": {f"m{number}": {} for number in range(2 * MAX_OTHERS)}}

    assert len(sheet(",".join(schema["properties"]) + "\n", schema).known) == 2 * MAX_OTHERS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,a\n", "line 1 names the column 'a' more than once"),
        (",".join("a" * 5000) + "\n", "line 1 must name at most 1,004 columns, got 5,000"),
    ],
)
def test_a_header_with_too_much_in_it_is_refused(text, message):
    with pytest.raises(InvalidInput, match=message):
        sheet(text)


def test_the_header_names_all_members():
    assert header(SCHEMA) == 'age,note,"a,b",more\r\n'
    assert header(True) == ""


def test_a_member_that_reads_as_a_formula_is_guarded_and_known_again():
    schema = {"properties": {"=1+1|cmd": {}, "-1": {}}}

    first = header(schema)

    assert first == "'=1+1|cmd,-1\r\n"
    assert sheet(first, schema).known == ["=1+1|cmd", "-1"]

import io

import pytest

from app.serving.tables import tables
from mlmodel.errors import InvalidInput

SCHEMA = {
    "type": "object",
    "properties": {
        "age": {"type": "integer"},
        "income": {"type": ["number", "null"]},
        "member": {"type": "boolean"},
        "city": {"$ref": "#/$defs/City"},
        "term": {"enum": [12, 24, "open"]},
        "note": {"type": "string"},
        "code": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "tags": {"type": "array"},
        "mixed": {"type": ["number", "string"]},
        "any": True,
        "blanks": {"type": "string", "examples": [" Oslo", "Rome"]},
        "day": {"type": "string", "format": "date"},
        "moment": {"type": "string", "format": "date-time"},
    },
    "required": ["age", "note"],
    "$defs": {"City": {"type": "string", "enum": ["Bonn", "1"]}},
}


def read(text, form="csv", schema=SCHEMA):
    return list(tables.read(io.BytesIO(text.encode()), form, schema).rows)


def cell(name, text):
    [placed] = read(f'{name},extra\n"{text}",x\n')
    return placed.row.get(name, "not given")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("age", "42", 42),
        ("age", " 42 ", 42),
        ("age", "42.0", 42.0),
        ("age", "forty", "forty"),
        ("age", "1e999", "1e999"),
        ("age", "", "not given"),
        ("income", "1.5e3", 1500.0),
        ("income", "", None),
        ("income", "NaN", None),
        ("member", "TRUE", True),
        ("member", "0", False),
        ("member", "maybe", "maybe"),
        ("city", "1", "1"),
        ("city", "", "not given"),
        ("term", "24", 24),
        ("term", "open", "open"),
        ("note", "042", "042"),
        ("note", "null", "null"),
        ("note", "", ""),
        ("code", "", None),
        ("code", "NA", "NA"),
        ("tags", "[1, 2]", [1, 2]),
        ("tags", "[1e400]", "[1e400]"),
        ("tags", "[NaN]", "[NaN]"),
        ("tags", '[{""a"": 1, ""a"": 2}]', '[{"a": 1, "a": 2}]'),
        ("tags", "[" * 100_000, "[" * 100_000),
        ("tags", "[1, 2", "[1, 2"),
        ("mixed", "7", 7),
        ("mixed", "007", "007"),
        ("any", "-0.5", -0.5),
        ("any", "true", True),
        ("any", "word", "word"),
        ("age", "052", 52),
        ("age", "52 000", 52000),
        ("age", "52.000", "52.000"),
        ("income", "1,234.5", 1234.5),
        ("income", "€ 14.90", 14.9),
        ("income", "N/A", None),
        ("income", "-", "-"),
        ("member", "yes", True),
        ("member", "FALSCH", False),
        ("city", " Bonn ", "Bonn"),
        ("note", " a b ", "a b"),
        ("blanks", "Oslo", " Oslo"),
        ("blanks", " Rome ", "Rome"),
        ("day", "1.2.2026", "2026-02-01"),
        ("day", "2026-02-01", "2026-02-01"),
        ("day", "01/02/2026", "01/02/2026"),
        ("moment", "31.12.2026 9:30", "2026-12-31T09:30"),
    ],
)
def test_cells_are_converted_by_column(name, text, value):
    found = cell(name, text)

    assert found == value
    assert type(found) is type(value)


def test_row_has_its_line():
    rows = read('note,age\n"two\nlines",1\n\nx,2\n')

    assert [(placed.index, placed.line) for placed in rows] == [(0, 2), (1, 5)]
    assert rows[0].row == {"note": "two\nlines", "age": 1}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
def test_header_determines_delimiter(delimiter):
    [placed] = read(f"note{delimiter}age\na{delimiter}1\n")

    assert placed.row == {"note": "a", "age": 1}


def test_unnamed_column_is_left_out():
    [placed] = read(",age\n0,42\n")

    assert placed.row == {"age": 42}


@pytest.mark.parametrize(
    ("form", "text", "message"),
    [
        ("csv", "", "line 1 must name the columns"),
        ("csv", "a,b,a\n", "line 1 names the column 'a' more than once"),
        ("csv", "age,b\n1,2\n1\n", "line 3 has 1 cells, but the header has 2"),
        ("csv", 'age\n"x" y\n', "line 2 is not CSV: "),
        ("ndjson", '{"a": 1}\n{"a": \n', "line 2 is not JSON: expected a value (column 7)"),
        ("json", "[1,\n2,,]", "the file is not JSON: expected a value (line 2, column 3)"),
        ("json", "[NaN]", "the file is not JSON: NaN is not a JSON number"),
        ("json", "[1e400]", "the file is not JSON: 1e400 is beyond the range of a double"),
        ("json", '[{"a": 1, "a": 2}]', "the file is not JSON: an object has a key twice"),
        ("json", "[" * 100_000, "the file is nested too deeply"),
    ],
)
def test_invalid_table_names_the_line(form, text, message):
    with pytest.raises(InvalidInput) as caught:
        read(text, form)

    assert message in str(caught.value)


def test_ndjson_lines_are_rows():
    assert read('{"a": 1}\n\n[2]\n', "ndjson") == [
        tables.TableRow({"a": 1}, 0, 1),
        tables.TableRow([2], 1, 3),
    ]


def test_json_object_is_single_row():
    table = tables.read(io.BytesIO(b'{"a": 1}'), "json", True)

    assert table.is_single
    assert [placed.row for placed in table.rows] == [{"a": 1}]


def test_a_json_list_is_many_rows():
    table = tables.read(io.BytesIO(b'[{"a": 1}, {"a": 2}]'), "json", True)

    assert not table.is_single
    assert [placed.row for placed in table.rows] == [{"a": 1}, {"a": 2}]


def test_rows_are_read_lazily():
    table = tables.read(io.BytesIO(b"age\n1\nbroken,line\n"), "csv", SCHEMA)

    assert next(table.rows).row == {"age": 1}


ANSWERS = [{"prediction": "a", "probabilities": {"a": 1.0}}, {"prediction": None, "more": [1]}]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("csv", "prediction,probabilities.a,more\na,1.0,\n,,[1]\n"),
        (
            "json",
            '[{"prediction": "a", "probabilities": {"a": 1.0}}, {"prediction": null, "more": [1]}]\n',
        ),
        (
            "ndjson",
            '{"prediction": "a", "probabilities": {"a": 1.0}}\n{"prediction": null, "more": [1]}\n',
        ),
    ],
)
def test_predictions_are_written(form, text):
    stream = io.StringIO()

    tables.write(ANSWERS, stream, form)

    assert stream.getvalue() == text


def test_scalar_prediction_is_one_column():
    assert tables.flatten(3) == {"answer": 3}


def test_formulas_are_escaped_in_output():
    stream = io.StringIO(newline="")

    tables.write([{"=a": "@b", "c": -1.5, "d": "+cmd"}], stream, "csv")

    assert stream.getvalue() == "'=a,c,d\n'@b,-1.5,'+cmd\n"

import io

import pytest

from app.serving.tables import tables
from app.serving.tables.csv_cells import csv_line
from app.serving.tables.csv_file import open_table
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
        "moment": {"type": "string", "format": "date-time-local"},
        "zoned": {"type": "string", "format": "date-time"},
    },
    "required": ["age", "note"],
    "$defs": {"City": {"type": "string", "enum": ["Bonn", "1"]}},
}


def read(text):
    table = open_table(io.BytesIO(text.encode()), SCHEMA)
    return [table.row(line) for line in table.lines()]


def cell(name, text):
    [row] = read(f'{name},extra\n"{text}",x\n')
    return row.get(name, "not given")


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
        ("zoned", "31.12.2026 9:30", "31.12.2026 9:30"),
        ("zoned", "2026-01-31 14:30:00+01:00", "2026-01-31T14:30:00+01:00"),
        ("zoned", "2026-01-31 14:30:00.5Z", "2026-01-31T14:30:00.5Z"),
        ("zoned", "2026-01-31T14:30-0530", "2026-01-31T14:30:00-05:30"),
        ("zoned", "2026-01-31 14:30 UTC", "2026-01-31T14:30:00Z"),
        ("zoned", "2026-01-31T14:30:00.123456789Z", "2026-01-31T14:30:00.123456789Z"),
        ("zoned", "2026-01-31 14:30+01", "2026-01-31T14:30:00+01:00"),
        ("zoned", "2026-01-31 14:30+99:00", "2026-01-31 14:30+99:00"),
        ("zoned", "2026-01-31 14:30+01:75", "2026-01-31 14:30+01:75"),
        ("zoned", "2026-01-31", "2026-01-31"),
    ],
)
def test_cells_are_converted_by_column(name, text, value):
    found = cell(name, text)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
def test_header_determines_delimiter(delimiter):
    assert read(f"note{delimiter}age\na{delimiter}1\n") == [{"note": "a", "age": 1}]


def test_unnamed_column_is_left_out():
    assert read(",age\n0,42\n") == [{"age": 42}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1,\n2,,]", "the file is not JSON: expected a value (line 2, column 3)"),
        ("[[[1]]]", "the file is nested deeper than 2 levels"),
    ],
)
def test_invalid_document_is_rejected(text, message):
    with pytest.raises(InvalidInput) as caught:
        tables.read_document(io.BytesIO(text.encode()), max_depth=2)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "found"), [('{"a": 1}', ([{"a": 1}], True)), ('[{"a": 1}]', ([{"a": 1}], False))]
)
def test_document_is_single_row_or_list(text, found):
    assert tables.read_document(io.BytesIO(text.encode()), max_depth=2) == found


def test_predictions_are_written_as_csv():
    predictions = [
        {"prediction": "a", "probabilities": {"a": 1.0}},
        {"prediction": None, "more": [1]},
    ]
    stream = io.StringIO()

    tables.write_csv(predictions, stream)

    assert stream.getvalue() == "prediction,probabilities.a,more\na,1.0,\n,,[1]\n"


def test_line_breaks_and_missing_values_are_quoted_or_empty():
    assert csv_line(["a\rb", "c\nd", None, 1.5, [True]]) == '"a\rb","c\nd",,1.5,[true]\n'


def test_scalar_prediction_is_one_column():
    assert tables.flatten(3) == {"prediction": 3}


def test_formulas_are_escaped_in_output():
    stream = io.StringIO(newline="")

    tables.write_csv([{"=a": "@b", "c": -1.5, "d": "+cmd"}], stream)

    assert stream.getvalue() == "'=a,c,d\n'@b,-1.5,'+cmd\n"


def test_added_columns_have_one_name_in_all_rows():
    found = [
        tables.add_columns(members, {"caution": "high"})
        for members in ({"y": 1}, {"caution": "own"}, {"model caution": 2, "caution": 3})
    ]

    assert found == [
        {"y": 1, "caution": "high"},
        {"model caution": "own", "caution": "high"},
        {"model model caution": 2, "model caution": 3, "caution": "high"},
    ]

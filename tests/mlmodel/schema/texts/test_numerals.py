import json

import pytest

from mlmodel.schema.texts.numerals import COMMA, POINT, decimal_marks, number_advice, parse_number
from tests import DATA

CASES = json.loads((DATA / "numerals.json").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"])
def test_unambiguous_text_is_parsed(case):
    number = parse_number(case["text"])

    assert number == case["number"]
    assert type(number) is type(case["number"])


@pytest.mark.parametrize(
    "case", [one for one in CASES if "advice" in one], ids=lambda one: one["text"]
)
def test_unparsed_text_has_advice(case):
    assert number_advice(case["text"]) == case["advice"]


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("52.000", POINT, 52.0),
        ("52.000", COMMA, 52000),
        ("52,000", POINT, 52000),
        ("52,000", COMMA, 52.0),
        ("14,9", POINT, None),
        ("14.9", COMMA, None),
        ("1.234,5", COMMA, 1234.5),
        ("1.234,5", POINT, None),
    ],
)
def test_decimal_mark_resolves_ambiguity(text, decimal, number):
    assert parse_number(text, decimal) == number


@pytest.mark.parametrize(
    ("text", "marks"), [("12.5", "."), ("12,5", ","), ("52.000", ".,"), ("52", ".,"), ("x", "")]
)
def test_possible_decimal_marks_are_returned(text, marks):
    assert decimal_marks(text) == marks


def test_long_texts_are_parsed_quickly():
    assert parse_number("1" * 100_000) is None
    assert parse_number("1 " * 100_000) is None
    assert number_advice("1 a" * 100_000) == ""

from pathlib import Path

import pytest
from werkzeug.exceptions import BadRequest

from app.web.body import parse

SUITE = sorted((Path(__file__).parent / "data" / "json").glob("*.json"))

#: Of the texts that RFC 8259 leaves to the parser ("i_"), those that are taken as they are.
TAKEN = {
    "i_number_double_huge_neg_exp.json",
    "i_number_real_underflow.json",
    "i_number_too_big_neg_int.json",
    "i_number_too_big_pos_int.json",
    "i_number_very_big_negative_int.json",
}


@pytest.mark.parametrize("path", SUITE, ids=lambda path: path.stem)
def test_json_is_read_by_the_letter(path):
    is_json = path.name.startswith("y_") or path.name in TAKEN
    # The one valid text that is refused: its object has a key twice.
    is_json = is_json and "duplicated_key" not in path.name

    try:
        parse(path.read_bytes(), max_depth=64)
        was_read = True
    except BadRequest:
        was_read = False

    assert was_read == is_json


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON: Expecting value (line 1, column 1)"),
        (b'{"a" 1}', "the body is not JSON: Expecting ':' delimiter (line 1, column 6)"),
        (b"\xff", "the body is not UTF-8: see byte 0"),
        (b"\xef\xbb\xbf{}", "the body is not JSON: it starts with a byte order mark"),
        (b"[NaN]", "the body is not JSON: it has no NaN"),
        (b"[-Infinity]", "the body is not JSON: it has no -Infinity"),
        (b"[1e400]", "the body has a number beyond the range of a double: 1e400"),
        (b"[" + b"9" * 10_000 + b"]", "the body has a number with too many digits"),
        (b"[" + b"9" * 400 + b"]", "the body has a number beyond the range of a double: 999"),
        (b'{"a": 1, "b": 2, "a": 3}', "the body has the key 'a' twice in one object"),
        (b'["\\ud800"]', "the body has half of a surrogate pair"),
        (b"[" * 65 + b"]" * 65, "the body is nested deeper than 64 levels"),
        (b"[" * 100_000, "the body is nested deeper than 64 levels"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "the body is nested deeper than 64 levels"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_what_is_wrong_is_said(body, message):
    with pytest.raises(BadRequest) as caught:
        parse(body, max_depth=64)

    assert caught.value.description.startswith(message)


def test_many_digits_in_a_text_are_no_number():
    assert parse(b'"' + b"9" * 400 + b'"', max_depth=2) == "9" * 400


def test_many_shallow_brackets_are_not_deep():
    assert parse(b"[" + b"[]," * 100 + b"[]]", max_depth=2) == [[]] * 101

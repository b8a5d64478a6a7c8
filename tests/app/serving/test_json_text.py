import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.serving import json_text
from app.serving.json_text import InvalidJson, parse, parse_strictly
from tests import DATA

SUITE = sorted((DATA / "json").glob("*.json"))

#: Of the texts that RFC 8259 leaves to the parser ("i_"), those that are taken as they are.
TAKEN = {
    "i_number_double_huge_neg_exp.json",
    "i_number_real_underflow.json",
    "i_number_too_big_neg_int.json",
    "i_number_too_big_pos_int.json",
    "i_number_very_big_negative_int.json",
}


@pytest.mark.parametrize("path", SUITE, ids=lambda path: path.stem)
def test_json_follows_rfc_8259(path):
    is_json = path.name.startswith("y_") or path.name in TAKEN
    # The only valid text that is rejected: its object has a duplicate key.
    is_json = is_json and "duplicated_key" not in path.name

    try:
        parse(path.read_bytes(), max_depth=64)
        was_read = True
    except InvalidJson:
        was_read = False

    assert was_read == is_json


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "is not JSON: expected a value (line 1, column 1)"),
        (b'{"a" 1}', "is not JSON: expected a colon after the name (line 1, column 6)"),
        (b"\xff", "is not UTF-8: see byte 0"),
        (b"\xef\xbb\xbf{}", "is not JSON: it starts with a byte order mark"),
        (b"[NaN]", "is not JSON: NaN is not allowed"),
        (b"[-Infinity]", "is not JSON: -Infinity is not allowed"),
        (b"[1e400]", "has a number beyond the range of a double: 1e400"),
        (b"[" + b"9" * 10_000 + b"]", "has a number with too many digits"),
        (b"[" + b"9" * 400 + b"]", "has a number beyond the range of a double: 999"),
        (b'{"a": 1, "b": 2, "a": 3}', "has the key 'a' twice in one object"),
        (b'["\\ud800"]', "has an unpaired surrogate"),
        (b"[" * 65 + b"]" * 65, "is nested deeper than 64 levels"),
        (b"[" * 100_000, "is nested deeper than 64 levels"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "is nested deeper than 64 levels"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_message_names_the_error(body, message):
    with pytest.raises(InvalidJson) as caught:
        parse(body, max_depth=64)

    assert str(caught.value).startswith(message)


def test_digits_in_string_are_accepted():
    assert parse(b'"' + b"9" * 400 + b'"', max_depth=2) == "9" * 400


def test_many_shallow_brackets_are_not_deep():
    assert parse(b"[" + b"[]," * 100 + b"[]]", max_depth=2) == [[]] * 101


#: Texts of numbers: of any length, at the ends of 64 bits and of a double.
NUMBERS = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.from_regex(r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.from_regex(r"-?(0|[1-9][0-9]{305,330})(\.[0-9]{300,330})?", fullmatch=True),
    st.sampled_from(
        [
            "-0",
            "-0.0",
            "1e400",
            "-1e-400",
            "NaN",
            "-Infinity",
            "01",
            "1.",
            ".5",
            "9223372036854775808",
        ]
    ),
    st.sampled_from(["18446744073709551615", "18446744073709551616", "-9223372036854775809"]),
)
SPACES = st.sampled_from(["", "", "", " ", "\n", "\t", "\r ", "\u00a0"])
WORDS = st.one_of(
    st.text(max_size=6).map(json.dumps),
    st.text(max_size=6).map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from(['"a"', '"b"', '"\\u0061"', '"12:30"', '":"', '" :a"', '"{["', '"\\"":"']),
    st.sampled_from(['"\\ud800"', '"\\ud83d\\ude00"', '"\\ude00\\ud83d"', '"\\u0000"', '"\x01"']),
)


def lists(items):
    return st.lists(items, max_size=4).map(lambda texts: "[" + ",".join(texts) + "]")


def objects(values):
    members = st.tuples(SPACES, WORDS, SPACES, SPACES, values)
    written = members.map(lambda each: "{}{}{}:{}{}".format(*each))
    return st.lists(written, max_size=4).map(lambda texts: "{" + ",".join(texts) + "}")


TEXTS = st.recursive(
    st.one_of(NUMBERS, WORDS, st.sampled_from(["true", "false", "null"])),
    lambda values: st.one_of(lists(values), objects(values), lists(objects(values))),
    max_leaves=12,
)
BODIES = st.one_of(
    TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from([path.read_bytes() for path in SUITE]),
)


MARKS = [b":", b'"', b"{", b"[", b"\\", b"9" * 19]


def said(read, body, max_depth):
    """Return what comes of a body, in words that tell 5 from 5.0 and 0.0 from -0.0."""
    try:
        return repr(read(body, max_depth))
    except InvalidJson as error:
        return f"refused: {error}"


@given(BODIES, st.integers(1, 6))
@example(b'{"a": 1, "a": 2}', 6)
@example(b'{"a": 1, "a" : ":"}', 6)
@example(b'[{"a":1,"a":2}, [":"]]', 6)
@example(b'[{"a": 99999999999999999999}]', 6)
@example(b'[{"a":1,"a":2},{"b":":"}]', 6)
@example(b'[{"a":{}},{"a":[]}]', 2)
@example(b'[{"a":[{}]}]', 3)
def test_parsers_agree(body, max_depth):
    assert said(parse, body, max_depth) == said(parse_strictly, body, max_depth)


@given(BODIES, st.data())
def test_parsers_agree_on_corrupted_bodies(body, data):
    at = data.draw(st.integers(0, len(body)))
    cut = data.draw(st.integers(0, 3))
    put = data.draw(st.one_of(st.binary(max_size=2), st.sampled_from(MARKS)))

    spoilt = body[:at] + put + body[at + cut :]

    assert said(parse, spoilt, 6) == said(parse_strictly, spoilt, 6)
    assert json_text._scan_long(spoilt) == json_text._scan(spoilt)


@pytest.mark.parametrize("path", SUITE, ids=lambda path: path.stem)
def test_parsers_agree_on_json_test_suite(path):
    body = path.read_bytes()

    for each in (body, b"[" + body + b"]", b'{"a":' + body + b"}"):
        assert said(parse, each, 64) == said(parse_strictly, each, 64)


@pytest.mark.parametrize(
    "value",
    [
        {"sepal_length": 5.1, "sepal_width": 3, "name": "setosa"},
        {"x": [0.1] * 784},
        [{"at": "2026-11-21T10:00:00", "x": 0.00012345678901234567}] * 300,
        {"columns": ["a", "b"], "data": [[1.5, "12:30"], [None, True]] * 300},
        {"head": {"name": "Ann"}, "others": [{"name": "Bo"}]},
    ],
    ids=["row", "array", "rows", "columns", "nested"],
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")], ids=["compact", "spaced"])
def test_ordinary_bodies_skip_strict_parser(value, separators, monkeypatch):
    monkeypatch.setattr(json_text, "parse_strictly", None)

    assert parse(json.dumps(value, separators=separators).encode(), max_depth=64) == value


def test_deep_bodies_use_strict_parser():
    deep = b"[" * 900 + b"]" * 900

    assert said(parse, deep, 5_000) == said(parse_strictly, deep, 5_000)

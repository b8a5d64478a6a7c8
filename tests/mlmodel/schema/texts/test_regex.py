"""Patterns: those that explode elsewhere, and those that cannot be matched here."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmodel.errors import InvalidSchema
from mlmodel.schema.texts.regex import matches
from mlmodel.schema.validator import Schema, build_validator

EXPLODING = ["(a+)+$", "^(a|aa)+$", "^(a|a?)+$", "(.*a){25}$", r"^(\w+\s?)*$", "^(([a-z])+.)+$"]
#: Python's own engine needs exponential time for these.
TEXT = "a" * 5_000 + "!"
ROW = {TEXT: TEXT}


def wherever(pattern):
    """Schemas with a pattern in each place that may have one."""
    inner = {"type": "string", "pattern": pattern}
    return {
        "pattern": {"properties": {TEXT: inner}},
        "names": {"propertyNames": inner},
        "pattern-properties": {"patternProperties": {pattern: False}},
        "closed": {"patternProperties": {pattern: {}}, "additionalProperties": False},
        "additional": {
            "patternProperties": {pattern: {}},
            "additionalProperties": {"type": "null"},
        },
        "referred-to": {"additionalProperties": {"$ref": "#/$defs/A"}, "$defs": {"A": inner}},
        "not": {"additionalProperties": {"not": {"anyOf": [inner, {"type": "null"}]}}},
        "unevaluated": {"unevaluatedProperties": inner},
        "draft-7": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "definitions": {"A": {"additionalProperties": inner}},
            "allOf": [{"$ref": "#/definitions/A"}],
        },
        "itself": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "properties": {"down": {"$ref": "#"}},
            "additionalProperties": inner,
        },
    }


@pytest.mark.parametrize("pattern", EXPLODING)
@pytest.mark.parametrize("place", wherever(""))
def test_exponential_pattern_is_fast(pattern, place):
    schema = Schema(wherever(pattern)[place])
    started = time.process_time()

    for row in (ROW, {"down": ROW}):
        schema.violations(row)
        schema.convert([row])

    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("pattern", "right"),
    [
        ("^(?=.*[A-Z]).+$", "lookahead is not supported"),
        ("(?<!a)b", "lookbehind is not supported"),
        (r"(a)\1", "backreferences are not supported"),
        ("(?P<a>a)(?P=a)", "backreferences are not supported"),
        (r"^a\Z", r"write \$ instead"),
        ("[", "an ECMA 262 regular expression"),
        ("(" * 100_000, "an ECMA 262 regular expression"),
        ("(?:a{1000}){1000}", "an ECMA 262 regular expression"),
    ],
    ids=lambda text: text[:20],
)
def test_unsupported_pattern_is_rejected(pattern, right):
    with pytest.raises(
        InvalidSchema, match=rf"at /properties/a/pattern, .* is not a supported pattern.*{right}"
    ):
        Schema({"properties": {"a": {"pattern": pattern}}})


def test_unsupported_member_pattern_is_rejected():
    with pytest.raises(InvalidSchema, match=r"at /patternProperties, .*lookahead is not supported"):
        Schema({"patternProperties": {"(?=a)": {}}})


def test_pattern_of_referenced_schema_is_checked():
    with pytest.raises(InvalidSchema, match="at #/default/pattern"):
        Schema({"items": {"$ref": "#/default"}, "default": {"pattern": "(?=a)"}})


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("^a$", "a\n", False),
        (r"^\d$", "\u0661", False),
        (r"^\s$", "\ufeff", True),
        (r"^\p{L}+$", "Zoë", True),
        ("b", "abc", True),
        ("^.$", "\ud800", True),
        ("^.$", "\U0001f44d", True),
        ("(?P<year>[0-9]{4})", "2026", True),
    ],
)
def test_patterns_follow_ecma_262(pattern, text, fits):
    schema = Schema({"type": "string", "pattern": pattern})

    assert matches(pattern, text) == fits
    assert (schema.violations(text) == []) == fits


SIGNS = ["a", "b", ".", "^", "$", "|", "(", ")", "(?:", "*", "+", "?", "{2}", "{1,3}", "-", " "]
CLASSES = [
    "[ab]",
    "[^a]",
    r"\d",
    r"\w",
    r"\s",
    r"\S",
    r"\b",
    r"\.",
    r"\-",
    "\n",
    "é",
    r"\u00e9",
    "/",
]
PIECES = st.sampled_from([*SIGNS, *CLASSES])
TEXTS = st.text(alphabet="ab1 -.\n\u0661é\u00a0/", max_size=8)


@given(pattern=st.lists(PIECES, max_size=8).map("".join), text=TEXTS)
def test_validators_agree_on_any_pattern(pattern, text):
    named = {"type": "object", "patternProperties": {pattern: False}}
    closed = {**named, "patternProperties": {pattern: {}}, "additionalProperties": False}
    for document, value in (
        ({"type": "string", "pattern": pattern}, text),
        (named, {text: 1}),
        (closed, {text: 1}),
    ):
        try:
            schema = Schema(document)
        except InvalidSchema:
            return

        assert schema.accepts([value]) == build_validator(document).is_valid(value)


def test_pattern_properties_exclude_unevaluated_properties():
    with pytest.raises(InvalidSchema, match="patternProperties and unevaluatedProperties cannot"):
        Schema({"allOf": [{"patternProperties": {"(a+)+$": {}}}], "unevaluatedProperties": False})


def test_unique_objects_are_checked_fast():
    schema = Schema({"type": "array", "uniqueItems": True})
    items = [{"a": [number, None]} for number in range(20_000)]

    started = time.process_time()
    assert schema.violations(items) == []
    assert len(schema.violations([*items, {"a": [7.0, None]}])) == 1
    assert time.process_time() - started < 5


@pytest.mark.parametrize("items", [[1, True], [0, False], ["1", 1], [[1], [True]], [{}, []]])
def test_true_and_one_are_unique(items):
    assert Schema({"uniqueItems": True}).violations(items) == []


@pytest.mark.parametrize("name", ["duration", "regex", "uri-template", "uri", "email", "time"])
@pytest.mark.parametrize("text", ["{a", "P1", "(", "a@", "[", "%"])
def test_long_text_fails_format_fast(name, text):
    schema = Schema({"type": "string", "format": name})
    started = time.process_time()

    schema.violations(text * 200_000)

    assert time.process_time() - started < 2

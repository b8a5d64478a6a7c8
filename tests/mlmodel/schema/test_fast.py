import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mlmodel import load
from mlmodel.errors import InvalidSchema
from mlmodel.schema.fast import MANY, compile_columns, compile_schema
from mlmodel.schema.rows import Table
from mlmodel.schema.texts.formats import build_checker
from mlmodel.schema.validator import Schema, build_validator
from tests.conftest import EXAMPLES

FORMATS = build_checker(Draft202012Validator)
NUMBERS = (
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0.3, 2**53, 2**53 + 1, -(2**63), 2**64, 1e300, 10**309, -(10**400)])
)
TEXTS = st.sampled_from(
    ["", "a", "a\n", "ab", "b", "1", "\u0661", "\ufeff", "\U0001f44d", "\ud800", "999.-12-31"]
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
TYPES = st.sampled_from(["array", "boolean", "integer", "null", "number", "object", "string"])
PATTERNS = st.sampled_from(
    ["^a$", "^(?:a|b)$", "a", r"\.", r"^\D$", r"^\S*$", "^[^a]$", "$", "^.$"]
)
COUNTS = st.integers(0, 3)


def documents(inner):
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
            "enum": st.lists(SCALARS, min_size=1, max_size=3),
            "const": VALUES,
            "minimum": NUMBERS,
            "maximum": NUMBERS,
            "exclusiveMinimum": NUMBERS,
            "multipleOf": st.sampled_from([1, 2, 0.1, 0.01, 1e-9]),
            "minLength": COUNTS,
            "maxLength": COUNTS,
            "pattern": PATTERNS,
            "format": st.sampled_from(["date", "email", "uuid"]),
            "minItems": COUNTS,
            "uniqueItems": st.booleans(),
            "items": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "properties": st.dictionaries(TEXTS, inner, max_size=3),
            "patternProperties": st.dictionaries(PATTERNS, inner, max_size=2),
            "additionalProperties": inner,
            "required": st.lists(TEXTS, max_size=2, unique=True),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "title": st.just("A title"),
            "x-unit": st.just("m"),
        },
    )


SCHEMAS = st.recursive(st.booleans() | documents(st.booleans()), documents, max_leaves=4)


@given(document=SCHEMAS, values=st.lists(VALUES, min_size=1, max_size=8))
@example(document={"patternProperties": {"^a$": False}}, values=[{"a\n": 1}])
@example(document={"type": "number"}, values=[10**309])
@example(
    document={"type": "object", "properties": {"a": {"pattern": r"^\D$"}}}, values=[{"a": "\u0661"}]
)
def test_accepted_values_are_valid(document, values):
    fit = compile_schema(document, FORMATS)
    try:
        decides = build_validator(document)
    except InvalidSchema:
        return

    assert [value for value in values if fit and fit([value]) and not decides.is_valid(value)] == []
    assert not fit or fit(values) == all(fit([value]) for value in values)


NUMERIC = st.fixed_dictionaries(
    {"type": st.sampled_from(["integer", "number", ["number", "null"], ["null", "integer"]])},
    optional={
        "minimum": st.integers(-3, 3),
        "maximum": st.floats(-3, 3),
        "exclusiveMinimum": st.integers(-3, 3),
        "exclusiveMaximum": st.sampled_from([2**53, 1e300]),
    },
)
STRINGS = st.sampled_from(
    [{"type": "string"}, {"enum": ["a", "b"]}, {"enum": ["a", 1]}, {"type": ["string", "null"]}]
)
RECORDS = st.fixed_dictionaries(
    {
        "type": st.just("object"),
        "properties": st.dictionaries(
            st.sampled_from("abc"),
            st.recursive(
                NUMERIC | STRINGS,
                lambda inner: st.fixed_dictionaries(
                    {"type": st.just("object"), "properties": st.fixed_dictionaries({"a": inner})}
                ),
                max_leaves=2,
            ),
            max_size=3,
        ),
    },
    optional={
        "required": st.lists(st.sampled_from("abcd"), unique=True),
        "additionalProperties": st.booleans(),
    },
)
CELLS = (
    st.integers(-4, 4)
    | st.floats(-4, 4)
    | st.sampled_from([2**53, 2**53 + 1, 1e300, 10**400, -(10**400), float("nan"), float("inf")])
    | st.sampled_from(["a", "b", "c", None, True])
)
MANY_ROWS = st.dictionaries(
    st.sampled_from("abcd"), CELLS | st.fixed_dictionaries({"a": CELLS}), min_size=2
)


@given(document=RECORDS, first=MANY_ROWS, rows=st.lists(MANY_ROWS, max_size=3))
@example(
    document={"type": "object", "properties": {"a": {"type": "number"}}},
    first={"a": 10**400},
    rows=[{"a": -(10**400)}],
)
def test_one_invalid_row_rejects_many(document, first, rows):
    fit = compile_columns(document)
    decides = build_validator(document)
    values = [first] * MANY + rows

    if fit and fit(values):
        assert all(map(decides.is_valid, values))
        assert plain(Schema(document).convert(values)) == plain(values)


ROW = {"width": 1.5, "count": 2, "rate": 0.5, "kind": "a", "of": {"a": 0.5}}


@pytest.mark.parametrize(
    ("wrong", "is_valid"),
    [
        ({}, True),
        ({"width": 3}, True),
        ({"count": 2.0}, True),
        ({"count": 2.5}, False),
        ({"width": float("nan")}, False),
        ({"width": float("-inf")}, False),
        ({"width": 0}, False),
        ({"width": True}, False),
        ({"kind": "c"}, False),
        ({"of": {}}, False),
        ({"of": {"a": "0.5"}}, False),
        ({"else": 1}, False),
        ({"rate": None}, True),
        ({"rate": 3.5}, False),
        ({"kind": None}, False),
    ],
)
def test_single_wrong_cell_is_found(wrong, is_valid):
    schema = Schema(
        {
            "type": "object",
            "properties": {
                "width": {"type": "number", "exclusiveMinimum": 0, "title": "Width"},
                "count": {"type": "integer"},
                "rate": {"type": ["number", "null"], "maximum": 3},
                "kind": {"enum": ["a", "b"]},
                "of": {
                    "type": "object",
                    "properties": {"a": {"type": "number"}},
                    "required": ["a"],
                },
            },
            "additionalProperties": False,
        }
    )
    rows = [ROW] * MANY + [{**ROW, **wrong}]

    assert schema.accepts(rows) is is_valid
    assert (schema.accept(rows) is not None) is is_valid


@pytest.mark.parametrize("form", [list, lambda rows: Table.build(len(rows), by_column(rows))])
def test_valid_rows_keep_their_columns(form):
    schema = Schema({"properties": {"x": {"type": "number", "maximum": 3}}, "type": "object"})
    rows = [{"x": at / 4} for at in range(MANY)]

    accepted = schema.accept(form(rows))

    assert accepted == rows
    assert accepted.columns["x"].tolist() == [row["x"] for row in rows]
    assert schema.accept(form([*rows, {"x": 3.5}])) is None
    assert type(schema.accept(form([*rows, {"x": 3}]))) is list


def by_column(rows):
    return {name: [row[name] for row in rows] for name in rows[0]}


def test_many_rows_get_defaults_and_conversions():
    schema = Schema(
        {
            "type": "object",
            "properties": {"x": {"type": "number"}, "n": {"type": "integer", "default": 2}},
        }
    )

    *rows, integer, short = schema.accept([{"x": 0.5, "n": 1}] * MANY + [{"x": 1, "n": 1}, {}])

    assert rows == [{"x": 0.5, "n": 1}] * MANY
    assert type(integer["x"]) is float
    assert short == {"n": 2}


def test_references_start_at_schema_of_value():
    fit = compile_schema(
        {
            "properties": {"size": {"$ref": "#/$defs/Size"}, "part": {"$ref": "#"}},
            "$defs": {"Size": {"type": "number"}},
        },
        FORMATS,
    )

    assert fit([{"size": 1.5}, {"part": {"size": 2.5}}])
    assert not fit([{"size": 1.5}, {"size": "L"}])
    assert not fit([{"size": 1.5}, {"part": {"size": "L"}}])


@pytest.mark.parametrize("name", ["diabetes", "loan", "tickets", "wine"])
def test_schemas_of_examples_are_compiled(name):
    model = load(EXAMPLES.parent / f"../../examples/models/{name}.flm")
    row, answer = model.examples[0], model.predict(model.examples[0])

    assert compile_schema(plain(model.input_schema), FORMATS)([plain(row)])
    assert compile_schema(plain(model.output_schema), FORMATS)([plain(answer)])
    assert not compile_schema(plain(model.input_schema), FORMATS)([{}])


@pytest.mark.parametrize(
    "document",
    [
        {"$schema": "http://json-schema.org/draft-07/schema#", "type": "string"},
        {"not": {"type": "string"}},
        {"maximum": 3},
        {"type": "number", "maximum": 2**53 + 1},
        {"type": "number", "multipleOf": 0.1},
    ],
)
def test_ambiguous_schema_is_not_compiled(document):
    assert compile_schema(document, FORMATS) is None


def test_accepted_value_skips_full_validator(monkeypatch):
    schema = Schema({"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}})
    monkeypatch.delattr(schema, "_validator")

    assert schema.violations({"age": 3}) == []
    with pytest.raises(AttributeError):
        schema.violations({"age": -3})


def plain(value):
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("place", [lambda day: {"day": day}, lambda day: {"days": [day]}])
def test_formats_are_checked_at_any_depth(place):
    day = {"type": "string", "format": "date"}
    fit = compile_schema({"properties": {"day": day, "days": {"items": day}}}, FORMATS)

    assert fit([place("2026-01-31"), {}])
    assert not fit([place("2026-02-31")])
    assert not fit([place("999.-12-31")])
    assert not fit([place(1)])

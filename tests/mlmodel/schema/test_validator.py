from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmodel.errors import InvalidSchema
from mlmodel.schema.messages import omit_value
from mlmodel.schema.validator import Schema

PERSON = {
    "type": "object",
    "properties": {
        "age": {"type": "integer", "minimum": 0},
        "height": {"type": "number"},
        "email": {"type": "string", "format": "email"},
        "home": {"$ref": "#/$defs/Address"},
    },
    "required": ["age", "height"],
    "additionalProperties": False,
    "$defs": {
        "Address": {"type": "object", "properties": {"lines": {"type": "array", "maxItems": 2}}}
    },
}


def errors(document, value):
    return [(each.pointer, each.detail) for each in Schema(document).violations(value)]


def test_a_fitting_value_has_no_violations():
    assert errors(PERSON, {"age": 4, "height": 1}) == []


def test_all_violations_have_pointers():
    row = {"age": -4, "email": "x", "home": {"lines": [1, 2, 3]}}

    assert errors(PERSON, row) == [
        ("/age", "must be at least 0, got -4"),
        ("/email", 'must be an e-mail address, got "x"'),
        ("/home/lines", "must have at most 2 items, got 3"),
        ("/height", "is required"),
    ]


def test_unknown_member_suggests_close_name():
    row = {"age": 4, "hieght": 1.8, "height": 1.8, "shoe/size": 44}

    assert errors(PERSON, row) == [
        ("/hieght", "is unknown; did you mean 'height'?"),
        ("/shoe~1size", "is unknown; valid names: age, height, email, home"),
    ]


def test_patterns_of_names_are_known_members():
    document = {"patternProperties": {"^x-": {}}, "additionalProperties": False}

    assert errors(document, {"x-a": 1}) == []
    assert errors(document, {"y": 1}) == [("/y", "is unknown; valid names: none")]


def test_nullable_value_reports_other_alternative():
    document = {"anyOf": [{"type": "number", "maximum": 5}, {"type": "null"}]}

    assert errors(document, 7) == [("", "must be at most 5, got 7")]


def test_constant_selects_the_alternative():
    circle = {"properties": {"kind": {"const": "circle"}}, "required": ["kind", "radius"]}
    square = {"properties": {"kind": {"const": "square"}}, "required": ["kind", "side"]}

    assert errors({"oneOf": [circle, square]}, {"kind": "square"}) == [("/side", "is required")]


@pytest.mark.parametrize(
    ("document", "value", "detail"),
    [
        ({"type": "number"}, "a", 'must be a number, got "a"'),
        ({"type": ["integer", "null"]}, 1.5, "must be a whole number or null, got 1.5"),
        ({"type": "number"}, "5,1", 'must be a number, got "5,1"; write decimals with a dot'),
        ({"type": "number"}, True, "must be a number, got true"),
        ({"enum": ["a", "b"]}, "c", 'must be one of "a", "b", got "c"'),
        ({"const": 1}, 2, "must be 1, got 2"),
        ({"pattern": "^a"}, "b", 'must match the pattern ^a, got "b"'),
        ({"minLength": 2}, "b", "must be at least 2 characters long, got 1"),
        ({"minItems": 1}, [], "must have at least 1 item, got 0"),
        (
            {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "x",
            'must be a number or null, got "x"',
        ),
        ({"multipleOf": 0.1}, 0.35, "must be a multiple of 0.1, got 0.35"),
        ({"format": "date", "type": "string"}, "x", 'must be a date such as 2026-01-31, got "x"'),
        ({"uniqueItems": True}, [1, 1], "must not contain duplicate items, got [1, 1]"),
        (
            {"oneOf": [{"type": "number"}, {}]},
            1,
            "must match exactly one of the alternatives, got 1, which matches several",
        ),
        (False, 1, "False schema does not allow 1"),
    ],
)
def test_message_states_expected_value(document, value, detail):
    assert errors(document, value) == [("", detail)]


@pytest.mark.parametrize(
    ("document", "value", "expected"),
    [
        ({"enum": ["a", "b"]}, "secret", 'must be one of "a", "b"'),
        ({"oneOf": [{"type": "string"}, {}]}, "secret", "must match exactly one of the alt"),
        ({"not": {"type": "string"}}, "secret", "violates the schema"),
        ({"required": ["y"]}, {"x": "secret"}, "is required"),
        (False, "secret", "violates the schema"),
    ],
)
def test_value_is_omitted_from_message(document, value, expected):
    [(_, detail)] = errors(document, value)

    assert omit_value(detail).startswith(expected)
    assert "secret" not in omit_value(detail)


def test_message_truncates_long_value():
    [(_, detail)] = errors({"type": "number"}, "x" * 10_000)

    assert len(detail) < 100


@pytest.mark.parametrize("value", [0.3, 0.7, 2.3, 1e300, 10**20])
def test_decimal_fraction_is_multiple(value):
    assert errors({"multipleOf": 0.1}, value) == []


def test_a_number_fits_a_double():
    assert errors({"type": "number"}, 10**400) != []


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"$ref": "https://example.org/x"}, "$ref must stay inside its document"),
        ({"items": {"$ref": "file:///etc/passwd"}}, "$ref must stay inside its document"),
        ({"$ref": "#/$defs/X"}, "does not exist"),
        ({"type": "nmber"}, 'at /type, must be one of "array", .*, "string", got "nmber"'),
        ({"required": "x"}, 'not a JSON Schema: at /required, must be a list, got "x"'),
        ({"pattern": "("}, "not a JSON Schema: at /pattern"),
        ({"$schema": "https://example.org/draft"}, "unknown draft in $schema"),
        ("object", "is an object or a boolean"),
        (reduce(lambda inner, _: {"not": inner}, range(5_000), {}), "nested too deeply"),
        ({"items": {"$schema": "http://json-schema.org/draft-07/schema#"}}, "only the root may"),
    ],
)
def test_wrong_schema_is_rejected(document, message):
    with pytest.raises(InvalidSchema, match=message.replace("$", r"\$")):
        Schema(document)


def test_ref_in_data_is_ignored():
    document = {"properties": {"$ref": {"enum": [{"$ref": "x"}]}}, "examples": [{"$ref": "y"}]}

    assert errors(document, {"$ref": {"$ref": "x"}}) == []


def test_numbers_become_those_of_the_schema():
    row = {"age": 4.0, "height": 2}

    [converted] = Schema(PERSON).convert([row])

    assert [type(converted["age"]), type(converted["height"])] == [int, float]
    assert row == {"age": 4.0, "height": 2}


def test_nested_numbers_are_converted():
    document = {
        "properties": {
            "pair": {"prefixItems": [{"type": "integer"}], "items": {"type": "number"}},
            "maybe": {"anyOf": [{"$ref": "#/$defs/Size"}, {"type": "null"}]},
        },
        "additionalProperties": {"type": "number"},
        "$defs": {"Size": {"type": "number"}},
    }

    [converted] = Schema(document).convert([{"pair": [1.0, 2], "maybe": 3, "other": 4}])

    assert repr(converted) == "{'pair': [1, 2.0], 'maybe': 3.0, 'other': 4.0}"


def test_recursive_schema_converts_numbers():
    tree = {"properties": {"size": {"type": "number"}, "parts": {"items": {"$ref": "#"}}}}

    row = {"size": 1, "parts": [{"size": 2, "parts": [{"size": 3}]}]}

    [converted] = Schema(tree).convert([row])

    assert repr(converted) == "{'size': 1.0, 'parts': [{'size': 2.0, 'parts': [{'size': 3.0}]}]}"


def test_ambiguous_number_is_unchanged():
    assert repr(Schema({"type": ["integer", "number"]}).convert([1])) == "[1]"


@given(
    st.recursive(
        st.none() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(), st.lists
    )
)
def test_conversion_keeps_every_value_equal(value):
    schema = Schema({"type": "number", "items": {"type": "integer", "items": {"$ref": "#"}}})

    assert schema.convert([value]) == [value]


@pytest.mark.parametrize(
    ("document", "value", "converted"),
    [
        (
            {"patternProperties": {"^n_": {"type": "number"}}},
            {"n_a": 1, "b": 1},
            "{'n_a': 1.0, 'b': 1}",
        ),
        (
            {
                "patternProperties": {"^n_": {"type": "number"}},
                "additionalProperties": {"type": "integer"},
            },
            {"n_a": 2.0, "b": 2.0},
            "{'n_a': 2.0, 'b': 2}",
        ),
        ({"unevaluatedProperties": {"type": "number"}}, {"a": 1}, "{'a': 1.0}"),
        (
            {"dependentSchemas": {"a": {"properties": {"b": {"type": "number"}}}}},
            {"a": 1, "b": 1},
            "{'a': 1, 'b': 1.0}",
        ),
        (
            {"$dynamicRef": "#n", "$defs": {"N": {"$dynamicAnchor": "n", "type": "number"}}},
            1,
            "1.0",
        ),
        ({"anyOf": [{"type": "number"}, {}]}, 10**400, str(10**400)),
    ],
    ids=lambda value: str(value)[:30],
)
def test_every_applicator_converts_numbers(document, value, converted):
    assert repr(Schema(document).convert([value])[0]) == converted


@pytest.mark.parametrize("document", [{"type": "integer", "maximum": 5}, {"type": "integer"}])
def test_integer_must_fit_a_double(document):
    assert errors(document, 10**400) != []


def test_reference_to_itself_is_rejected():
    with pytest.raises(InvalidSchema, match="refers to itself without end"):
        Schema({"$ref": "#"})


def test_number_of_violations_is_limited():
    schema = Schema({"additionalProperties": False})

    assert len(schema.violations(dict.fromkeys(map(str, range(1000))), most=3)) == 3


@pytest.mark.parametrize(
    "document",
    [
        PERSON,
        {"type": "number", "exclusiveMinimum": 3, "maximum": 4},
        {"type": "string", "format": "uuid"},
        {"type": "array", "items": {"type": "integer"}, "minItems": 3},
        {"anyOf": [{"type": "null"}, {"type": "string"}]},
        {"$ref": "#/$defs/Size", "$defs": {"Size": {"enum": [7]}}},
        {"type": "object", "properties": {"next": {"$ref": "#"}}},
        {"type": "array", "minItems": 2.0, "items": {"type": "string", "minLength": 9.0}},
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "array",
            "items": [{"const": 1}],
        },
    ],
)
def test_an_example_fits_its_schema(document):
    schema = Schema(document)

    assert schema.violations(schema.example()) == []


def test_endless_example_is_none():
    assert Schema({"type": "array", "minItems": 10**9}).example() is None


def test_own_example_comes_first():
    assert Schema({"type": "string", "examples": ["Ada"], "default": "Bob"}).example() == "Ada"

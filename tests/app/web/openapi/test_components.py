import json

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from app.web.openapi.components import build_components

PREFIX = "#/components/schemas/"


def refer(schema):
    """Return the target of the reference in a component."""
    return build_components("m", schema)["m"]["$ref"]


@pytest.mark.parametrize(
    ("schema", "reference"),
    [
        ({"$ref": "#/$defs/A", "$defs": {"A": {}}}, "m.A"),
        ({"$ref": "#/definitions/A", "definitions": {"A": {}}}, "m.A"),
        ({"$ref": "#/$defs/A%20b", "$defs": {"A b": {}}}, "m.A_b"),
        ({"$ref": "#/$defs/c~1d", "$defs": {"c/d": {}}}, "m.c_d"),
        (
            {"$ref": "#/$defs/A/properties/x", "$defs": {"A": {"properties": {"x": {}}}}},
            "m.A/properties/x",
        ),
        ({"$ref": "#/properties/x", "properties": {"x": {}}}, "m/properties/x"),
        ({"$ref": "#foo", "$defs": {"A": {"$anchor": "foo"}}}, "m.A"),
        ({"$dynamicRef": "#n", "$defs": {"A": {"$dynamicAnchor": "n"}}}, "m.A"),
        ({"$ref": "#"}, "m"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_references_point_into_the_document(schema, reference):
    assert refer(schema) == PREFIX + reference


def test_similar_definition_names_stay_distinct():
    components = build_components("m", {"$defs": {"A b": {"const": 1}, "A_b": {"const": 2}}})

    assert components == {"m": {}, "m.A_b": {"const": 1}, "m.A_b_2": {"const": 2}}


def test_data_and_names_are_not_rewritten():
    schema = {"properties": {"$ref": {"const": {"$ref": "#/x"}}}, "examples": [{"$ref": "#/y"}]}

    assert build_components("m", schema)["m"] == schema


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            {"items": [{"type": "null"}], "additionalItems": False},
            {"prefixItems": [{"type": "null"}], "items": False},
        ),
        ({"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        ({"maximum": 1, "exclusiveMaximum": False}, {"maximum": 1}),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "$id": "x"}, {}),
    ],
    ids=str,
)
def test_older_drafts_are_converted(old, new):
    assert build_components("m", old)["m"] == new


@pytest.mark.parametrize(
    ("enum", "schema"),
    [
        ([0.0, 1.0, None], {"enum": [0, 1, None]}),
        ([0.5, 1.0, "a"], {"enum": [0.5, 1, "a"]}),
        ([1e300], {"enum": [1e300]}),
        ([True, False], {"type": "boolean"}),
        ([True, 0], {"enum": [True, 0]}),
        ([1, 0], {"enum": [1, 0]}),
    ],
    ids=str,
)
def test_enum_is_plain_for_generators(enum, schema):
    found = build_components("m", {"enum": enum})["m"]

    assert json.dumps(found) == json.dumps(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"x": True}, "items": False, "allOf": [True]},
        {"$defs": {"T": True}, "$ref": "#/$defs/T"},
        {"items": {"$ref": "#"}},
    ],
    ids=str,
)
def test_components_are_valid(schema):
    document = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "paths": {},
        "components": {"schemas": build_components("m", schema)},
    }

    validate(document)
    assert Draft202012Validator({**document, "$ref": f"{PREFIX}m"}).is_valid([])

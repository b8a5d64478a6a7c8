import pytest

from mlmodel.schema.validator import Schema


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({"properties": {"a": {"enum": [1]}}, "unevaluatedProperties": False}, True),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": ["number", "null"]}}}, True),
        ({"type": "array", "items": {"type": "object", "properties": {"a": {}}}}, False),
        ({"properties": {"a": {}}, "additionalProperties": False}, False),
        ({"type": "array"}, False),
        ({"type": "array", "items": True}, False),
        ({"type": "array", "items": {"type": "number"}}, True),
        ({"type": "array", "prefixItems": [{"type": "number"}], "items": False}, True),
        ({"type": ["array", "object"], "additionalProperties": False}, False),
        ({"properties": {"a": True}, "additionalProperties": False}, False),
        ({"enum": [{"a": 1}]}, False),
        (True, False),
    ],
)
def test_schema_is_closed(schema, expected):
    assert Schema(schema).is_closed is expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object"}, False),
        ({"type": "object", "properties": {"a": {"type": "number"}}}, True),
        ({"type": "object", "properties": {"a": {"type": "object"}}}, False),
        ({"properties": {}, "additionalProperties": {"type": "number"}}, False),
    ],
)
def test_schema_is_closed_by_properties(schema, expected):
    assert Schema(schema).is_closed_by_properties is expected

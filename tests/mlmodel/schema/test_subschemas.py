"""What the subschemas of a schema require together."""

import pytest

from mlmodel.schema.subschemas import required_members

A, B, AB = ({"required": list(names)} for names in ("a", "b", "ab"))
LOOP = {"$defs": {"x": {"required": ["a"], "anyOf": [{"$ref": "#/$defs/x"}, B]}}}


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        (AB, "ab"),
        ({"anyOf": [A, B]}, ""),
        ({"oneOf": [A, AB], **B}, "ab"),
        ({"anyOf": [A, AB]}, "a"),
        ({"anyOf": [A, True]}, ""),
        ({"allOf": [A, {"oneOf": [B]}]}, "ab"),
        ({"$ref": "#/$defs/x", "$defs": {"x": A}, **B}, "ab"),
        ({"$ref": "#/$defs/x", **LOOP}, "a"),
        ({"not": A, "properties": {"c": B}}, ""),
        (True, ""),
    ],
    ids=str,
)
def test_only_what_all_objects_need_is_required(schema, names):
    assert required_members(schema) == set(names)

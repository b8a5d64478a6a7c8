"""Defaults of a schema, filled in for missing members."""

import pytest

from mlmodel.schema.validator import Schema

ROW = {
    "type": "object",
    "properties": {
        "z": {"type": "integer", "default": 1},
        "limits": {"$ref": "#/$defs/limits", "default": {}},
        "points": {"type": "array", "items": {"properties": {"x": {"default": 0}}}},
        "note": {"type": ["string", "null"], "default": "none"},
    },
    "$defs": {"limits": {"type": "object", "properties": {"most": {"default": 10}}}},
}


def test_missing_members_get_their_defaults():
    assert Schema(ROW).convert([{"z": 2}]) == [{"z": 2, "limits": {"most": 10}, "note": "none"}]


def test_defaults_reach_into_lists_and_objects():
    (row,) = Schema(ROW).convert([{"points": [{}, {"x": 5}], "limits": {"least": 1}}])

    assert row["points"] == [{"x": 0}, {"x": 5}]
    assert row["limits"] == {"most": 10, "least": 1}


def test_default_does_not_replace_null():
    assert Schema(ROW).convert([{"note": None}])[0]["note"] is None


def test_nullable_member_keeps_no_default():
    (row,) = Schema(ROW, is_null_left=True).convert([{}])

    assert "note" not in row
    assert row["z"] == 1


def test_default_of_alternative_is_ignored():
    schema = {
        "anyOf": [{"properties": {"x": {"default": 1}}}, {"properties": {"y": {"default": 2}}}]
    }

    assert Schema(schema).convert([{}]) == [{}]


def test_rows_do_not_share_a_default():
    first, second = Schema(ROW).convert([{}, {}])
    first["limits"]["most"] = 5

    assert second["limits"] == {"most": 10}


@pytest.mark.parametrize("row", [{}, {"z": 3}])
def test_class_model_receives_the_default(make_app, row):
    client = make_app("models:\n  - class: tests.models.simple.Defaulted").test_client()

    answer = client.post("/api/models/defaulted/predict", json=row).get_json()

    assert answer == {"z": row.get("z", 7)}


def test_invalid_default_is_ignored():
    schema = {"properties": {"a": {"type": "number", "default": "x"}, "b": {"default": 1}}}

    assert Schema(schema).convert([{}]) == [{"b": 1}]


def test_many_values_are_converted_like_single_ones():
    members = {
        "a": {"type": "number", "default": 1},
        "b": {"type": "integer"},
        "c": {"type": ["number", "null"]},
        "d": {},
    }
    schema = Schema({"type": "object", "properties": members})
    complete = [{"a": 1.5, "b": 2, "c": None, "d": 1}, {"a": 2.0, "b": 3, "c": 1.5, "d": 1.5}]
    for rows in (complete, [*complete, {"a": 1}], [*complete, {"b": 2.0}], [{"d": [1]}, {}]):
        assert repr(schema.convert(rows)) == repr([schema.convert([row])[0] for row in rows])

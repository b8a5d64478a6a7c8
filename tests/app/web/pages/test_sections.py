"""The sections of long forms, and the values that fill the rest."""

import pytest

from app.web.pages import forms
from mlmodel.reference.profile import Profile
from mlmodel.schema.shape import Shape

NUMBER = {"type": "number"}


def titles(properties):
    form = forms.build({"type": "object", "properties": properties})
    sections = forms.get_sections(form)
    return [(each.title, len(each.fields), each.is_open) for each in sections]


def test_short_form_has_no_sections():
    assert titles({f"a_{number}": NUMBER for number in range(23)}) == [("", 23, True)]


def test_fields_are_grouped_by_keyword_in_order():
    group = {"x-group": "Home"}
    properties = {"a": NUMBER | group, "b": NUMBER, "c": NUMBER | group}

    assert titles(properties) == [("", 1, True), ("Home", 2, True)]


def test_many_fields_are_grouped_by_name():
    properties = {
        f"{part}_{name}": NUMBER
        for part in ("income", "credit_history")
        for name in ("amount", "share", "age", *map(str, range(9)))
    }

    assert titles(properties) == [("Income", 12, True), ("Credit history", 12, False)]


@pytest.mark.parametrize("name", ["gene_{:03}", "{0}_a"])
def test_very_many_fields_are_cut_into_sections(name):
    found = titles({name.format(number): NUMBER for number in range(60)})

    assert [count for _, count, _ in found] == [25, 25, 10]
    assert [is_open for _, _, is_open in found] == [True, False, False]
    assert titles({f"gene_{number:03}": NUMBER for number in range(59)}) == [("", 59, True)]


def test_typical_values_are_of_required_fields():
    properties = {
        "a": NUMBER | {"examples": [5.0, 6]},
        "b": NUMBER | {"x-range": [10, 20.5]},
        "c": {"type": "integer", "x-range": [0, 5]},
        "d": {"enum": ["x", "y"]},
        "e": {"enum": ["x", "y"], "default": "y"},
        "optional": NUMBER | {"examples": [1]},
    }
    schema = {"properties": properties, "required": list("abcde")}

    typical = forms.get_typical_values(Shape.of(schema))

    assert typical == {"a": 5, "b": 15.2, "c": 2, "e": "y"}


def test_typical_values_come_from_the_training_data():
    properties = {
        "a": NUMBER | {"examples": [5]},
        "b": {"type": "integer"},
        "c": {"enum": [1, 2]},
        "d": {"type": "string"},
        "e": {"type": "boolean"},
        "f": {"type": ["string", "number"]},
        "g": {"enum": [1, 2]},
    }
    row = Shape.of({"properties": properties, "required": list("abcdefg")})
    bins = {"counts": [1] * 20, "missing": 0}
    choices = {"other": 0, "missing": 0}
    fields = {
        "a": {"edges": [number / 4 for number in range(21)], **bins},
        "b": {"edges": [number / 4 for number in range(21)], **bins},
        "c": {"choices": {"1": 5, "2": 7}, **choices},
        "d": {"choices": {"x": 9, "y": 7}, **choices},
        "e": {"choices": {"true": 9, "false": 7}, **choices},
        "f": {"choices": {"own": 9}, **choices},
        "g": {"choices": {"3": 9}, **choices},
    }
    profile = Profile.from_json({"rows": 20, "fields": fields, "predictions": {}})

    typical = forms.get_typical_values(row, profile)

    assert typical == {"a": 2.5, "b": 2, "c": 2, "d": "x", "e": True, "f": "own"}

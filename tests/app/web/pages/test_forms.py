"""From a JSON Schema to the fields of its form."""

import json
from itertools import pairwise

import pytest

from app.web.pages.display.labels import readable
from app.web.pages.forms import build
from app.web.pages.forms.builder import MAX_FIELDS


def field_for(schema, required=True, **words):
    """Return the field of the one member of an object."""
    names = ["x"] if required else []
    form = build({"type": "object", "properties": {"x": schema}, "required": names, **words})
    return form.fields[0]


def test_fields_keep_the_schema_order():
    form = build({"properties": {"z": {}, "a": {}, "m": {}}})

    assert [field.pointer for field in form.fields] == ["/z", "/a", "/m"]


@pytest.mark.parametrize(
    ("schema", "kind", "control"),
    [
        pytest.param({"type": "number"}, "number", "input", id="number"),
        pytest.param({"type": "integer"}, "number", "input", id="integer"),
        pytest.param({"minimum": 1}, "number", "input", id="number without a type"),
        pytest.param({"type": ["integer", "number"]}, "number", "input", id="both numbers"),
        pytest.param({"type": "string"}, "text", "input", id="text"),
        pytest.param({"type": "string", "maxLength": 900}, "text", "textarea", id="long text"),
        pytest.param({"type": "string", "format": "date-time"}, "datetime", "input", id="datetime"),
        pytest.param({"format": "date"}, "local", "input", id="date"),
        pytest.param({"format": "date-time-local"}, "local", "input", id="local date-time"),
        pytest.param({"format": "time-local"}, "local", "input", id="local time"),
        pytest.param({"type": "boolean"}, "choice", "radios", id="boolean"),
        pytest.param({"enum": ["a", 1, None]}, "choice", "select", id="enum"),
        pytest.param({"oneOf": [{"const": 1}, {"const": 2}]}, "choice", "select", id="constants"),
        pytest.param({"const": "a"}, "fixed", "fixed", id="const"),
        pytest.param({"type": "null"}, "fixed", "fixed", id="null"),
        pytest.param({"items": {"type": "string"}}, "lines", "textarea", id="texts"),
        pytest.param({"items": {"type": "number"}}, "numbers", "textarea", id="numbers"),
        pytest.param(
            {"type": "array", "items": {"enum": ["a"]}, "uniqueItems": True},
            "multiselect",
            "checkboxes",
            id="ticks",
        ),
        pytest.param({"properties": {"y": {}}}, "group", "group", id="object"),
        pytest.param({"items": {"properties": {"y": {}}}}, "list", "list", id="objects"),
        pytest.param({"items": {"enum": ["a", "b"]}}, "list", "list", id="choices"),
        pytest.param({"items": {"format": "date"}}, "list", "list", id="dates"),
        pytest.param({"prefixItems": [{"type": "number"}]}, "tuple", "group", id="tuple"),
        pytest.param(
            {"items": {"type": "number"}, "minItems": 3, "maxItems": 3},
            "tuple",
            "group",
            id="fixed length",
        ),
        pytest.param(
            {"items": {"type": "number"}, "minItems": 3.0, "maxItems": 3.0},
            "tuple",
            "group",
            id="fixed length as a float",
        ),
        pytest.param({"additionalProperties": {"type": "number"}}, "map", "list", id="map"),
        pytest.param({"type": ["number", "string"]}, "one_of", "one_of", id="two types"),
        pytest.param(
            {"anyOf": [{"type": "number"}, {"type": "string"}]}, "one_of", "one_of", id="shapes"
        ),
        pytest.param({"type": "string", "contentEncoding": "base64"}, "file", "file", id="file"),
        pytest.param(
            {"type": ["string", "number"], "enum": ["a", 1]}, "choice", "select", id="mix"
        ),
    ],
)
def test_schema_determines_the_field(schema, kind, control):
    field = field_for(schema)

    assert (field.kind, field.control) == (kind, control)


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({}, id="anything"),
        pytest.param(True, id="true"),
        pytest.param({"type": "object"}, id="object of any names"),
        pytest.param({"type": "array"}, id="list of anything"),
        pytest.param({"anyOf": [{"type": "object"}, {"type": "array"}]}, id="shapes of anything"),
        pytest.param({"additionalProperties": True, "type": "object"}, id="map of anything"),
        pytest.param({"$ref": "https://example.org/schema"}, id="reference to elsewhere"),
        pytest.param({"$ref": "#/$defs/missing"}, id="reference to nothing"),
        pytest.param({"$ref": "#/properties/x"}, id="reference to itself"),
        pytest.param({"allOf": [{"$ref": "#/properties/x"}]}, id="all of itself"),
    ],
)
def test_unknown_shape_is_json_field(schema):
    field = field_for(schema)

    assert (field.kind, field.control) == ("json", "textarea")


@pytest.mark.parametrize("schema", [None, {}, {"type": ["object", "array"]}])
def test_unknown_row_is_json_field(schema):
    form = build(schema)

    assert (form.kind, form.pointer, form.name) == ("json", "", "row")


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": ["number", "null"]}, id="type"),
        pytest.param({"anyOf": [{"type": "number"}, {"type": "null"}]}, id="anyOf"),
        pytest.param({"oneOf": [{"type": "null"}, {"type": "number"}]}, id="oneOf"),
        pytest.param({"anyOf": [{"$ref": "#/$defs/N"}, {"type": "null"}]}, id="$ref"),
    ],
)
def test_nullable_number_may_be_blank(schema):
    field = field_for(schema, **{"$defs": {"N": {"type": "number"}}})

    assert (field.kind, field.nullable, field.blank) == ("number", True, "null")
    assert field.hint == "May be left blank"


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": ["number", "null"]}, id="number"),
        pytest.param({"type": ["string", "null"], "minLength": 1}, id="text"),
        pytest.param({"type": ["boolean", "null"]}, id="boolean"),
        pytest.param({"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]}, id="choice"),
        pytest.param({"type": ["number", "string", "null"]}, id="several types"),
        pytest.param({"type": ["string", "null"], "format": "date-time-local"}, id="moment"),
    ],
)
def test_column_without_missing_values_is_required(schema):
    schema = {**schema, "x-seen-missing": False}

    field, optional = field_for(schema), field_for(schema, required=False)
    seen = field_for({**schema, "x-seen-missing": True})

    assert (field.required, field.nullable, field.blank) == (True, True, "omit")
    assert "lank for none" not in field.hint
    assert field.blank_label in ("", "Choose …")
    assert (optional.required, optional.blank, seen.blank) == (False, "omit", "null")


@pytest.mark.parametrize(
    ("dtype", "zone"),
    [
        ("datetime64[us, Europe/Berlin]", "Europe/Berlin"),
        ("datetime64[ns, UTC+01:00]", "UTC+01:00"),
        ("datetime64[us]", ""),
        (None, ""),
    ],
)
def test_datetime_has_the_column_time_zone(dtype, zone):
    assert field_for({"type": "string", "format": "date-time", "x-dtype": dtype}).time_zone == zone


@pytest.mark.parametrize(
    ("schema", "required", "blank"),
    [
        pytest.param({"type": "number"}, True, "omit", id="a number was forgotten"),
        pytest.param({"type": "string"}, True, "omit", id="a text was forgotten"),
        pytest.param({"type": "string", "minLength": 0}, True, "empty", id="a text may be empty"),
        pytest.param({"type": "string", "examples": ["A", ""]}, True, "empty", id="it is known"),
        pytest.param({"items": {"type": "number"}}, True, "empty", id="a list has no items"),
        pytest.param({"properties": {"y": {}}}, True, "empty", id="an object has no members"),
        pytest.param({"properties": {"y": {}}}, False, "omit", id="an optional object"),
        pytest.param({"type": ["number", "null"]}, False, "omit", id="optional and nullable"),
        pytest.param({"items": {"type": "number"}}, False, "omit", id="an optional list"),
    ],
)
def test_blank_value_follows_the_schema(schema, required, blank):
    assert field_for(schema, required).blank == blank


def test_annotations_beside_a_reference_win():
    field = field_for(
        {"$ref": "#/$defs/a~1b%20c", "title": "Mine"},
        **{"$defs": {"a/b c": {"type": "integer", "title": "Its own", "minimum": 2}}},
    )

    assert (field.label, field.type, field.bounds_and_example) == (
        "Mine",
        "whole number",
        "at least 2",
    )


def test_all_of_is_merged():
    field = field_for(
        {
            "allOf": [
                {"properties": {"a": {"type": "number"}}, "required": ["a"]},
                {"properties": {"b": {"type": "string"}}},
            ]
        }
    )

    assert [(inner.key, inner.required) for inner in field.fields] == [("a", True), ("b", False)]


def test_recursive_schema_is_built_on_demand():
    tree = {"properties": {"value": {"type": "number"}, "child": {"$ref": "#/$defs/Tree"}}}

    form = build({"$ref": "#/$defs/Tree", "$defs": {"Tree": tree}})

    assert [inner.kind for inner in form.fields] == ["number", "recursive"]
    assert [[inner.kind for inner in shape.fields] for shape in form.templates] == [
        ["number", "recursive"]
    ]


def test_recursive_list_has_one_template():
    tree = {"properties": {"more": {"items": {"$ref": "#/$defs/Tree"}}}}

    form = build({"$ref": "#/$defs/Tree", "$defs": {"Tree": tree}})

    assert form.fields[0].template == form.templates[0].fields[0].template == "0"


def test_alternatives_are_named():
    cat, dog = ({"properties": {"kind": {"const": name}}} for name in ("cat", "dog"))

    tagged = field_for({"oneOf": [cat, {**dog, "title": "A dog"}]})
    typed = field_for({"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]})

    assert [choice.label for choice in tagged.choices] == ["cat", "A dog"]
    assert [choice.label for choice in typed.choices] == ["Whole number", "Text"]


def test_default_selects_its_alternative():
    shapes = [{"properties": {"kind": {"const": name}, "x": {}}} for name in ("a", "b")]

    field = field_for({"oneOf": shapes, "default": {"kind": "b", "x": 1}})

    assert field.value == "1"
    assert [shape.fields[1].value for shape in field.fields] == ["", "1"]


def test_default_list_fills_items():
    field = field_for({"items": {"properties": {"y": {"default": 0}}}, "default": [{"y": 1}, {}]})

    assert [item.fields[0].value for item in field.fields] == ["1", "0"]


def test_conditional_members_have_their_condition():
    schema = {
        "properties": {"a": {"enum": [1, 2]}},
        "allOf": [
            {
                "if": {"properties": {"a": {"const": 1}}, "required": ["a"]},
                "then": {"properties": {"b": {"type": "string"}}, "required": ["b"]},
            }
        ],
    }

    _, field = build(schema).fields

    assert (field.key, field.required) == ("b", True)
    condition = json.loads(field.condition)
    assert condition["met"] is True
    assert condition["members"]["a"]["values"] == [1]


def test_alternatives_with_only_required_are_ignored():
    schema = {"properties": {"a": {}, "b": {}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}

    assert [field.key for field in build(schema).fields] == ["a", "b"]


def test_exponential_schema_has_limited_fields():
    names = [f"n{level}" for level in range(20)]
    steps = {
        name: {"properties": {key: {"$ref": f"#/$defs/{after}"} for key in "abcdefgh"}}
        for name, after in pairwise(names)
    }

    form = build({"$ref": "#/$defs/n0", "$defs": {**steps, names[-1]: {"type": "number"}}})

    assert len(list(form.descendants())) <= MAX_FIELDS


@pytest.mark.parametrize(
    ("schema", "hint"),
    [
        pytest.param(
            {"type": "number", "minimum": 0.1, "maximum": 8.0}, "From 0.1 to 8", id="both"
        ),
        pytest.param({"type": "number", "minimum": -2}, "At least -2", id="lowest"),
        pytest.param(
            {"type": "integer", "maximum": 10**20},
            "At most 100,000,000,000,000,000,000",
            id="highest",
        ),
        pytest.param(
            {"type": "number", "exclusiveMinimum": 0, "maximum": 1e7},
            "More than 0, at most 10,000,000",
            id="thousands",
        ),
        pytest.param(
            {"type": "integer", "minimum": 1900, "maximum": 2100, "x-range": [2000, 120_000]},
            "From 1900 to 2100, usually 2,000 to 120,000",
            id="years",
        ),
        pytest.param(
            {"type": "string", "pattern": "^\\d{5}$", "examples": ["12345"]},
            "E.g. 12345",
            id="pattern with an example",
        ),
        pytest.param(
            {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "multipleOf": 0.1},
            "More than 0, at most 1, a multiple of 0.1",
            id="exclusive",
        ),
        pytest.param({"type": "string", "format": "email"}, "An e-mail address", id="format"),
        pytest.param(
            {"type": "string", "minLength": 2, "maxLength": 3, "pattern": "^[A-Z]+$"},
            "At least 2 characters, at most 3 characters, like ^[A-Z]+$",
            id="text",
        ),
        pytest.param({"type": "number", "examples": [5.1, 4]}, "E.g. 5.1", id="example"),
        pytest.param(
            {"type": "number", "x-range": [0.5, 80.0], "examples": [4]},
            "Usually 0.5 to 80, e.g. 4",
            id="usual",
        ),
        pytest.param({"type": "number", "x-range": "wide"}, "", id="no range"),
        pytest.param(
            {"type": "string", "format": "date-time-local", "examples": ["2024-05-06T07:08:00"]},
            "Local time, as in the training data, e.g. 2024-05-06 07:08:00",
            id="local time",
        ),
        pytest.param(
            {"type": "string", "examples": ["Rome", "Oslo"]},
            "Choose or type a value, e.g. Rome",
            id="open choice",
        ),
        pytest.param(
            {"items": {"type": "number", "minimum": 0}, "minItems": 1},
            "Separated by commas or spaces, at least 1 item, each at least 0",
            id="list",
        ),
    ],
)
def test_hint_describes_the_bounds(schema, hint):
    assert field_for(schema).hint == hint


@pytest.mark.parametrize(
    ("schema", "texts"),
    [
        ({"type": "string", "examples": ["Rome", "Oslo"]}, ["Rome", "Oslo"]),
        ({"type": ["integer", "null"], "examples": [1, 2]}, ["1", "2"]),
        ({"type": "string", "examples": ["Rome"]}, []),
        ({"type": "string", "contentMediaType": "text/plain", "examples": ["a", "b"]}, []),
    ],
    ids=["texts", "numbers", "only one", "long texts"],
)
def test_several_examples_are_suggestions(schema, texts):
    assert [choice.value for choice in field_for(schema).choices] == texts


def test_example_row_provides_hints():
    schema = {"properties": {"a": {"properties": {"b": {"type": "number"}}}}}

    form = build(schema, {"a": {"b": 1.5}})

    assert form.fields[0].fields[0].hint == "E.g. 1.5"


def test_a_required_field_starts_empty():
    fields = [field_for(schema) for schema in ({"type": "number"}, {"enum": [1]})]

    assert [field.value for field in fields] == ["", ""]
    assert fields[1].blank_label == "Choose …"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        pytest.param({"type": "number", "default": 0}, "0", id="number"),
        pytest.param({"type": "string", "default": " a "}, " a ", id="text"),
        pytest.param({"enum": ["a", "b"], "default": "b"}, '"b"', id="choice"),
        pytest.param({"type": "boolean", "default": False}, "false", id="boolean"),
        pytest.param({"items": {"type": "number"}, "default": [1, 2.5]}, "1, 2.5", id="numbers"),
        pytest.param({"items": {"type": "string"}, "default": ["a", "b"]}, "a\nb", id="lines"),
        pytest.param({"type": "number", "default": 2.0}, "2", id="round number"),
        pytest.param({"type": "number", "default": "many"}, '"many"', id="of another type"),
    ],
)
def test_default_is_the_initial_value(schema, value):
    assert field_for(schema, required=False).value == value


def test_object_default_fills_members():
    field = field_for({"properties": {"y": {"type": "number"}}, "default": {"y": 3}})

    assert field.fields[0].value == "3"


def test_choices_with_equal_labels_are_distinct():
    field = field_for({"enum": ["1", 1, None, True, "", "a"]})

    assert [choice.label for choice in field.choices] == ['"1"', "1", "None", "Yes", '""', "a"]
    assert [json.loads(choice.value) for choice in field.choices] == ["1", 1, None, True, "", "a"]


def test_titles_of_constants_label_choices():
    field = field_for({"oneOf": [{"const": "A", "title": "Single"}, {"const": "B"}]})

    assert [choice.label for choice in field.choices] == ["Single", "B"]


def test_phone_keyboard_has_a_minus_sign():
    below_zero, from_zero = (field_for({"type": "number", "minimum": low}) for low in (-1, 0))

    assert below_zero.attributes["inputmode"] == "text"
    assert from_zero.attributes["inputmode"] == "decimal"


def test_pointers_are_escaped_and_ids_unique():
    form = build({"properties": {"a/b": {}, "a~b": {}, "a.2Fb": {}, "ä <&": {}}})

    assert [field.pointer for field in form.fields] == ["/a~1b", "/a~0b", "/a.2Fb", "/ä <&"]
    assert len({field.id for field in form.fields}) == 4
    assert all(set(" <>&\"'/") & set(field.id) == set() for field in form.fields)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sepal_length", "Sepal length"),
        ("sepalLength", "Sepal length"),
        ("sepal length (cm)", "Sepal length (cm)"),
        ("BMI", "BMI"),
        ("od280/od315", "Od280/od315"),
        ("_", "_"),
        ("", ""),
    ],
)
def test_names_become_readable(name, words):
    assert readable(name) == words


@pytest.mark.parametrize("default", ["a", 1, {"a": 1}])
def test_invalid_default_selects_nothing(default):
    field = field_for({"uniqueItems": True, "items": {"enum": ["a", "b"]}, "default": default})

    assert (field.kind, field.selected) == ("multiselect", ())

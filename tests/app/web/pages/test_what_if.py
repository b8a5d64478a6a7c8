import pytest

from app.web.pages.what_if import MAX_AXES, MAX_SCHEMAS, axes
from mlmodel.schema.shape import Shape


def axis(schema):
    [found] = axes(Shape.of({"properties": {"a": schema}}))
    return found


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param({"minimum": 0, "maximum": 8}, (0, 8, False, False), id="bounds"),
        pytest.param({"exclusiveMinimum": 0, "maximum": 8}, (0, 8, True, False), id="open"),
        pytest.param({"minimum": 0, "exclusiveMinimum": 0}, (0, None, True, False), id="both"),
        pytest.param({"maximum": 9, "exclusiveMaximum": 8}, (None, 8, False, True), id="tighter"),
        pytest.param({"minimum": 0, "x-range": [2, 3]}, (2, 3, False, False), id="usual"),
        pytest.param({"x-range": ["<b>"]}, (None, None, False, False), id="no range"),
    ],
)
def test_a_number_goes_as_far_as_its_schema_says(schema, expected):
    found = axis({"type": "number", **schema})

    assert (found.low, found.high, found.open_low, found.open_high) == expected


def test_whole_numbers_and_multiples_have_steps():
    assert axis({"type": "integer"}).step == 1
    assert axis({"type": "number", "x-dtype": "int64"}).step == 1
    assert axis({"type": "number", "x-dtype": "float32"}).step is None
    assert axis({"type": ["number", "null"], "multipleOf": 0.5}).step == 0.5


@pytest.mark.parametrize(("multiple", "step"), [(0.5, 1), (0.3, 3), (2.5, 5), (4, 4)])
def test_step_of_integers_is_an_integer(multiple, step):
    assert axis({"type": "integer", "multipleOf": multiple}).step == step


def test_usual_range_excludes_an_open_end():
    found = axis({"type": "number", "exclusiveMaximum": 3, "x-range": [2, 3]})

    assert (found.high, found.open_high) == (3, True)


def test_choices_have_labels_and_json():
    assert axis({"type": "boolean"}).choices == (("Yes", "true"), ("No", "false"))
    assert axis({"enum": ["a", None]}).choices == (("a", '"a"'), ("None", "null"))
    assert axis({"oneOf": [{"const": 1, "title": "One"}, {"const": 2}]}).choices == (
        ("One", "1"),
        ("2", "2"),
    )


def test_fields_of_inner_objects_are_named_by_their_way():
    schema = {
        "properties": {"home": {"$ref": "#/$defs/Home"}},
        "$defs": {"Home": {"properties": {"a/b": {"type": "number"}}}},
    }

    [found] = axes(Shape.of(schema))

    assert (found.pointer, found.label) == ("/home/a~1b", "Home / A/b")


@pytest.mark.parametrize(
    "schema",
    [{"type": "string"}, {"const": 1}, {"enum": ["a"]}, {}, True, {"$ref": "#"}, {"type": "array"}],
)
def test_what_has_nowhere_to_go_is_no_axis(schema):
    assert axes(Shape.of({"properties": {"a": schema}})) == []


def test_a_row_that_is_a_number_is_an_axis():
    [found] = axes(Shape.of({"type": "number"}))

    assert (found.pointer, found.label) == ("", "The row")


def test_a_large_schema_has_some_of_its_axes():
    many = {f"m{number}": {"type": "number"} for number in range(2 * MAX_AXES)}

    assert len(axes(Shape.of({"properties": many}))) == MAX_AXES


def test_a_large_schema_is_not_looked_through_to_its_end():
    texts = {f"m{number}": {"type": "string"} for number in range(MAX_SCHEMAS)}

    assert axes(Shape.of({"properties": {**texts, "last": {"type": "number"}}})) == []

import pytest

from app.web.pages.what_if import MAX_AXES, MAX_SCHEMAS, get_axes
from mlmodel.schema.shape import Shape


def axis(schema):
    [found] = get_axes(Shape.of({"properties": {"a": schema}}))
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
def test_number_has_range_of_schema(schema, expected):
    found = axis({"type": "number", **schema})

    assert (found.low, found.high, found.open_low, found.open_high) == expected


def test_integers_and_multiples_have_steps():
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


def test_suggested_texts_are_choices():
    cities = {"type": ["string", "null"], "examples": ["Delhi", "Pune"]}

    assert axis(cities).choices == (("Delhi", '"Delhi"'), ("Pune", '"Pune"'))


def test_nested_fields_have_combined_labels():
    schema = {
        "properties": {"home": {"$ref": "#/$defs/Home"}},
        "$defs": {"Home": {"properties": {"a/b": {"type": "number"}}}},
    }

    [found] = get_axes(Shape.of(schema))

    assert (found.pointer, found.label) == ("/home/a~1b", "Home / A/b")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "string", "examples": ["a"]},
        {"type": "string", "examples": ["a", "long " * 20]},
        {"type": "string", "format": "date", "examples": ["2026-01-01", "2026-01-02"]},
        {"const": 1},
        {"enum": ["a"]},
        {},
        True,
        {"$ref": "#"},
        {"type": "array"},
    ],
)
def test_fixed_values_are_no_axis(schema):
    assert get_axes(Shape.of({"properties": {"a": schema}})) == []


def test_scalar_row_is_an_axis():
    [found] = get_axes(Shape.of({"type": "number"}))

    assert (found.pointer, found.label) == ("", "The row")


def test_number_of_axes_is_limited():
    many = {f"m{number}": {"type": "number"} for number in range(2 * MAX_AXES)}

    assert len(get_axes(Shape.of({"properties": many}))) == MAX_AXES


def test_number_of_visited_schemas_is_limited():
    texts = {f"m{number}": {"type": "string"} for number in range(MAX_SCHEMAS)}

    assert get_axes(Shape.of({"properties": {**texts, "last": {"type": "number"}}})) == []

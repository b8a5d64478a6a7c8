"""The table of a model's examples."""

from app.web.pages import forms
from app.web.pages.example_table import get_lines, name_examples

SCHEMA = {
    "type": "object",
    "properties": {
        "amount": {"type": "number", "title": "Loan amount", "x-unit": "€"},
        "home": {"oneOf": [{"const": 1, "title": "own"}, {"const": 2, "title": "rent"}]},
        "past": {"type": "array", "items": {"type": "number"}},
    },
}


def test_examples_without_name_are_numbered():
    named = name_examples([{}, {}, {}], ["first"])

    assert [example.name for example in named] == ["first", "Example 2", "Example 3"]


def test_lines_show_values_as_the_form_does():
    rows = [{"amount": 52000, "home": 2}, {"amount": 1.5, "past": [1, 2]}]

    lines = get_lines(forms.build(SCHEMA), name_examples(rows, []))

    assert [(line.label, line.unit, line.values) for line in lines] == [
        ("Loan amount", "€", ["52,000", "1.5"]),
        ("Home", "", ["rent", ""]),
        ("Past", "", ["", "[1, 2]"]),
    ]


def test_example_that_is_no_object_is_one_line():
    (line,) = get_lines(forms.build({"type": "array"}), name_examples([[1, 2]], []))

    assert line.values == ["[1, 2]"]


def test_names_come_from_entry_or_model(make_app):
    entry = "class: tests.models.forms.Anything, examples: [{a: 1}, {a: 2}], example_names: [one]"
    client = make_app(f"models: [{{{entry}}}, {{class: examples.iris.IrisModel}}]").test_client()

    assert client.get("/api/models/anything").json["example_names"] == ["one"]
    page = client.get("/models/anything/predict").text
    assert ">one</button>" in page
    assert ">Example 2</button>" in page
    assert ">small flower</button>" in client.get("/models/iris/predict").text

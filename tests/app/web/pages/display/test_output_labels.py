import pytest

from app.web.pages.display.output_labels import MAX_VALUES, get_output_labels
from mlmodel.schema.shape import Shape


def test_labels_are_keyed_by_pointer():
    schema = {
        "properties": {
            "price": {"type": "number", "title": "Price", "x-unit": "EUR"},
            "a/b": {"items": {"properties": {"net_sum": {"type": "number"}}}},
        }
    }

    told = get_output_labels(Shape.of(schema))

    assert told["/price"] == {"label": "Price", "unit": "EUR"}
    assert told["/a~1b/*/net_sum"] == {"label": "Net sum"}


def test_base64_has_its_media_type():
    picture = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
    schema = {"properties": {"heat": picture, "file": {"contentEncoding": "base64"}}}

    told = get_output_labels(Shape.of(schema))

    assert told["/heat"]["media"] == "image/png"
    assert told["/file"]["media"] == "application/octet-stream"


NUMBER = {"type": "number"}


@pytest.mark.parametrize(
    "shares",
    [
        pytest.param({"properties": {"b": NUMBER, "10": NUMBER, "2": NUMBER}}, id="members"),
        pytest.param({"type": "object"}, id="beside an enum"),
        pytest.param({"additionalProperties": NUMBER}, id="of any name"),
    ],
)
def test_classes_come_in_the_schemas_order(shares):
    schema = {"properties": {"shares": shares, "label": {"enum": ["b", 10, 2]}}}

    assert get_output_labels(Shape.of(schema))["/shares"]["order"] == ["b", "10", "2"]


def test_a_single_member_has_no_order():
    schema = {"properties": {"shares": {"properties": {"a": NUMBER}}}}

    assert "order" not in get_output_labels(Shape.of(schema))["/shares"]


@pytest.mark.parametrize(
    ("schema", "is_share"),
    [
        pytest.param({"probability": {**NUMBER, "minimum": 0, "maximum": 1}}, True, id="name"),
        pytest.param(
            {"p": {**NUMBER, "minimum": 0, "maximum": 1, "title": "Probability"}}, True, id="title"
        ),
        pytest.param({"probability": NUMBER}, False, id="any number"),
        pytest.param({"share": {**NUMBER, "minimum": 0, "maximum": 1}}, False, id="other name"),
    ],
)
def test_probabilities_are_shares(schema, is_share):
    [words] = [
        words
        for place, words in get_output_labels(Shape.of({"properties": schema})).items()
        if place
    ]

    assert words.get("share", False) is is_share


def test_constants_have_titles():
    verdicts = {"oneOf": [{"const": 1, "title": "inlier"}, {"const": -1, "title": "outlier"}]}

    told = get_output_labels(Shape.of({"properties": {"prediction": verdicts}}))

    assert told["/prediction"]["names"] == {"1": "inlier", "-1": "outlier"}


def test_a_schema_that_holds_itself_ends():
    tree = {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}

    assert set(get_output_labels(Shape.of(tree))) == {
        "",
        "/left",
        "/right",
        "/left/left",
        "/left/right",
    } | {
        "/right/left",
        "/right/right",
    }


def test_number_of_labels_is_limited():
    schema = {"properties": {f"m{number}": {} for number in range(2 * MAX_VALUES)}}

    assert len(get_output_labels(Shape.of(schema))) == MAX_VALUES


def test_missing_schema_has_no_labels():
    assert get_output_labels(Shape.of(None)) == {"": {}}

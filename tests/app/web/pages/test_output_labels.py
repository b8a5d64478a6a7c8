import pytest

from app.web.pages.output_labels import MAX_VALUES, legend
from mlmodel.schema.shape import Shape


def test_members_and_items_are_told_by_their_place():
    schema = {
        "properties": {
            "price": {"type": "number", "title": "Price", "x-unit": "EUR"},
            "a/b": {"items": {"properties": {"net_sum": {"type": "number"}}}},
        }
    }

    told = legend(Shape.of(schema))

    assert told["/price"] == {"label": "Price", "unit": "EUR"}
    assert told["/a~1b/*/net_sum"] == {"label": "Net sum"}


def test_base64_is_told_with_its_media_type():
    picture = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
    schema = {"properties": {"heat": picture, "file": {"contentEncoding": "base64"}}}

    told = legend(Shape.of(schema))

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

    assert legend(Shape.of(schema))["/shares"]["order"] == ["b", "10", "2"]


def test_a_single_member_has_no_order():
    schema = {"properties": {"shares": {"properties": {"a": NUMBER}}}}

    assert "order" not in legend(Shape.of(schema))["/shares"]


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
def test_probabilities_are_told_from_other_numbers(schema, is_share):
    [words] = [words for place, words in legend(Shape.of({"properties": schema})).items() if place]

    assert words.get("share", False) is is_share


def test_constants_are_told_with_their_names():
    verdicts = {"oneOf": [{"const": 1, "title": "inlier"}, {"const": -1, "title": "outlier"}]}

    told = legend(Shape.of({"properties": {"prediction": verdicts}}))

    assert told["/prediction"]["names"] == {"1": "inlier", "-1": "outlier"}


def test_a_schema_that_holds_itself_ends():
    tree = {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}

    assert set(legend(Shape.of(tree))) == {"", "/left", "/right", "/left/left", "/left/right"} | {
        "/right/left",
        "/right/right",
    }


def test_a_large_schema_is_told_of_in_part():
    schema = {"properties": {f"m{number}": {} for number in range(2 * MAX_VALUES)}}

    assert len(legend(Shape.of(schema))) == MAX_VALUES


def test_no_schema_tells_nothing():
    assert legend(Shape.of(None)) == {"": {}}

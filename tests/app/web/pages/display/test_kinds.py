"""The kind of a model, from its schemas."""

import pytest

from app.web.pages.display.kinds import Kind, get_kind, summary
from mlmodel.schema.shape import Shape

NUMBER, TEXT = {"type": "number"}, {"type": "string"}
PICTURE = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
ROW = {"properties": {"a": NUMBER, "b": TEXT}}
SHARES = {"type": "object", "additionalProperties": NUMBER}


def members(**properties):
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("row", "prediction", "kind"),
    [
        (ROW, members(prediction={"enum": ["a", "b"]}), Kind.CLASSIFIER),
        (ROW, members(prediction=TEXT, probabilities=SHARES), Kind.CLASSIFIER),
        (ROW, {"type": "boolean"}, Kind.CLASSIFIER),
        (ROW, members(prediction=NUMBER), Kind.REGRESSION),
        (ROW, {"type": "integer"}, Kind.REGRESSION),
        (ROW, members(prediction=NUMBER, distances=SHARES), Kind.CLUSTERING),
        (ROW, members(prediction=NUMBER, is_outlier={"type": "boolean"}), Kind.OUTLIERS),
        (members(text=TEXT), members(prediction={"enum": ["a", "b"]}), Kind.TEXT),
        (TEXT, NUMBER, Kind.TEXT),
        (members(day={"type": "string", "format": "date"}), NUMBER, Kind.REGRESSION),
        (members(choice={"enum": ["a", "b"]}), NUMBER, Kind.REGRESSION),
        (members(scan=PICTURE), NUMBER, Kind.IMAGE),
        (ROW, members(heat=PICTURE, area=NUMBER), Kind.IMAGE),
        (ROW, members(answer=TEXT), Kind.CUSTOM),
        (ROW, members(bounds=members(low=NUMBER), mean=NUMBER), Kind.REGRESSION),
        (ROW, members(prediction=members(y0=NUMBER, y1=NUMBER)), Kind.REGRESSION),
        (ROW, members(prediction=members(y0={"enum": [0, 1]})), Kind.CLASSIFIER),
        (ROW, members(prediction={"type": "array", "items": NUMBER}), Kind.CUSTOM),
        (None, None, Kind.CUSTOM),
    ],
)
def test_kind(row, prediction, kind):
    assert get_kind(Shape.of(row), Shape.of(prediction)) is kind


def test_summary_lists_first_fields():
    fields = {f"f{number}": {**NUMBER, "title": f"Field {number}"} for number in range(6)}

    assert summary(Shape.of(members(**fields)), most=2) == "Input: Field 0, Field 1 and 4 more"
    assert summary(Shape.of(None)) == ""

"""What kind of model a model is, from its schemas: a classifier, a regression, and so on."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from mlmodel.reference.main_value import PREDICTION, find_main_shape
from mlmodel.schema.shape import Shape

#: Number of choices from which on a value is a class.
SEVERAL = 2


class Kind(Enum):
    """The kinds of models; the values are their labels."""

    CLASSIFIER = "Classifier"
    REGRESSION = "Regression"
    CLUSTERING = "Clustering"
    OUTLIERS = "Outlier detection"
    TEXT = "Text model"
    IMAGE = "Image model"
    CUSTOM = "Custom model"

    @property
    def icon(self) -> str:
        """The name of the kind's icon in templates/_model.html."""
        return self.name.lower()


def get_kind(row: Shape, prediction: Shape) -> Kind:
    """Return the kind of a model that maps such rows to such predictions.

    A model of texts or images is of that kind, regardless of its predictions.
    """
    if any(_is_image(part) for shape in (row, prediction) for part in _parts(shape)):
        return Kind.IMAGE
    if row.find_text() is not None:
        return Kind.TEXT
    members = prediction.members
    if "is_outlier" in members:
        return Kind.OUTLIERS
    if "distances" in members:
        return Kind.CLUSTERING
    outputs = members.get(PREDICTION, prediction)
    _, main = find_main_shape(prediction) or find_main_shape(outputs) or ("", prediction)
    return _kind_of_value(main, members)


def summary(row: Shape, most: int = 4) -> str:
    """Return the labels of a row's first fields, for a model without a description."""
    names = [member.text("title") or name for name, member in row.members.items()]
    rest = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"Input: {', '.join(names[:most])}{rest}" if names else ""


def _kind_of_value(value: Shape, members: Mapping[str, Shape]) -> Kind:
    if "probabilities" in members or len(value.constants) >= SEVERAL or value.type == "boolean":
        return Kind.CLASSIFIER
    return Kind.REGRESSION if value.type in ("number", "integer") else Kind.CUSTOM


def _parts(shape: Shape) -> list[Shape]:
    return [shape, *shape.members.values()]


def _is_image(shape: Shape) -> bool:
    return shape.text("contentMediaType").startswith("image/")

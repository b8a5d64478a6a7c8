"""The main value of a prediction, which a truth is compared with, and the names of classes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from mlmodel.reference.distributions import key
from mlmodel.schema.shape import Shape

#: The member of a packaged model's prediction with its main value.
PREDICTION = "prediction"
#: Its member with the probabilities of the classes.
PROBABILITIES = "probabilities"
#: The member of a clusterer's prediction with the distance to the centre of each cluster.
DISTANCES = "distances"
#: The title, in their schema, of the number of a cluster.
CLUSTER = "Cluster"
#: The types of a main value.
TYPES = frozenset({"boolean", "integer", "number", "string"})
Scalar = str | int | float | bool


def find_main(prediction: Any) -> str | None:
    """Return the member with the main value of a prediction; ``""`` if that is the prediction.

    It is the member ``prediction``, or else the first that is not nested; ``None`` without one.
    """
    if isinstance(prediction, Scalar):
        return ""
    if not isinstance(prediction, Mapping):
        return None
    names = [name for name, value in prediction.items() if isinstance(value, Scalar)]
    return PREDICTION if PREDICTION in names else next(iter(names), None)


def find_main_shape(output: Shape) -> tuple[str, Shape] | None:
    """Return the member of :func:`find_main` and its shape, according to the output schema.

    ``None`` if the schema does not define a single value.
    """
    members = {"": output} if output.type != "object" else output.members
    simple = {name: each for name, each in members.items() if is_scalar(each)}
    name = PREDICTION if PREDICTION in simple else next(iter(simple), None)
    return None if name is None else (name, simple[name])


def get_truth_shape(output_schema: Mapping[str, Any] | None) -> Shape:
    """Return the shape of predictions; that of clusters lists their numbers, if it has distances.

    A truth is compared with the number of a cluster as with a class.
    """
    output = Shape.of(output_schema)
    main, distances = output.members.get(PREDICTION), output.members.get(DISTANCES)
    if main is None or not is_cluster(main, output.members):
        return output
    names = list(distances.members) if distances else []
    numbers = [int(name) for name in names if name.isdecimal()]
    listed = {"enum": numbers} if numbers else {}
    schema = {**main.schema, "title": CLUSTER, **listed}
    members = {name: each.schema for name, each in output.members.items()}
    return Shape.of({**output.schema, "properties": {**members, PREDICTION: schema}})


def is_cluster(shape: Shape, members: Collection[str]) -> bool:
    """Return whether a shape is that of the number of a cluster.

    :param members: of the prediction.
    """
    has_mark = DISTANCES in members or shape.text("title") == CLUSTER
    return shape.type == "integer" and has_mark and not shape.constants


def is_scalar(shape: Shape) -> bool:
    """Return whether a shape is that of single values."""
    return shape.is_simple and (shape.type in TYPES or (bool(shape.constants) and not shape.type))


def get_class_name(value: Scalar, names: Collection[str] = ()) -> str:
    """Return the one of the names that stands for a class, or else the text of its value.

    Frameworks name the class 1.0 ``1.0``, others ``1``; a truth of it may be 1 or 1.0.
    """
    found = next((name for name in (key(value), str(value)) if name in names), None)
    if found is None and not isinstance(value, str | bool):
        found = next((name for name in names if _is_number(name, value)), None)
    return key(value) if found is None else found


def _is_number(text: str, number: float) -> bool:
    try:
        return float(text) == number
    except ValueError:
        return False

"""How a user enters the true value of a prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.serving.prediction_log.comparison import PREDICTION
from app.web.pages.forms.fields import as_json
from mlmodel.schema.shape import Shape

#: The types of values that a user can enter.
TYPES = frozenset({"boolean", "integer", "number", "string"})
BOOLEANS = (True, False)


@dataclass(frozen=True)
class TruthInput:
    """The value of a prediction that can be corrected.

    ``member`` is its name in the prediction, or ``""`` if the prediction is the value. ``choices``
    are its possible values as JSON with their labels; empty for a number or a text.
    """

    member: str
    choices: Sequence[tuple[str, str]]
    is_number: bool
    unit: str


def build_truth_input(output_schema: Mapping[str, Any] | None) -> TruthInput | None:
    """Return the input for the true value; ``None`` if the schema does not define a single value.

    The member is that of :func:`.comparison.get_member`.
    """
    root = Shape.of(output_schema)
    members = {"": root} if root.type != "object" else root.members
    simple = {name: each for name, each in members.items() if _is_value(each)}
    member = PREDICTION if PREDICTION in simple else next(iter(simple), None)
    if member is None:
        return None
    shape = simple[member]
    values = [(each.value, each.title) for each in shape.constants]
    if not values and shape.type == "boolean":
        values = [(value, "") for value in BOOLEANS]
    choices = [
        (as_json(value), title or (value if isinstance(value, str) else as_json(value)))
        for value, title in values
    ]
    return TruthInput(
        member, choices, shape.type in {"integer", "number"} and not choices, shape.text("x-unit")
    )


def _is_value(shape: Shape) -> bool:
    return shape.is_simple and (shape.type in TYPES or (bool(shape.constants) and not shape.type))

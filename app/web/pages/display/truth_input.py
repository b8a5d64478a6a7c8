"""How a user enters the true value of a prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from app.web.pages.forms.fields import as_json
from mlmodel.reference.main_value import find_main_shape, get_truth_shape

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


def build_truth_input(
    output_schema: Mapping[str, Any] | None, left_out: Set[str] = frozenset()
) -> TruthInput | None:
    """Return the input for the true value of a logged prediction.

    ``None`` if the schema defines no single value, or the log leaves it out.
    """
    found = find_main_shape(get_truth_shape(output_schema))
    if found is None or found[0] in left_out:
        return None
    member, shape = found
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

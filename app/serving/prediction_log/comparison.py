"""Which value of a prediction a truth is compared with."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

from mlmodel.reference.main_value import PREDICTION, Scalar, find_main, find_main_shape
from mlmodel.schema.shape import Shape
from mlmodel.schema.texts.numerals import number_advice, parse_number

#: The member of a packaged model's prediction with the probabilities of the classes.
PROBABILITIES = "probabilities"


class Compared(NamedTuple):
    """A predicted and a true value, and the probabilities of the classes if the model has them."""

    predicted: Scalar
    true: Scalar
    probabilities: Mapping[str, float] | None = None


def compare(prediction: Any, truth: Any) -> Compared | None:
    """Return the two values to compare; ``None`` if there are none.

    :param truth: the true value, or an object with one member of the prediction.
    """
    name, true = find_main(prediction), truth
    if isinstance(truth, Mapping):
        name, true = next(iter(truth.items()), (None, None))
    predicted = prediction if name == "" else _get(prediction, name)
    if not isinstance(predicted, Scalar) or not isinstance(true, Scalar):
        return None
    probabilities = _get(prediction, PROBABILITIES)
    are_numbers = isinstance(probabilities, Mapping) and all(
        isinstance(each, int | float) for each in probabilities.values()
    )
    return Compared(predicted, true, probabilities if are_numbers else None)


def get_cell_schema(output_schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the JSON Schema by which the cells of a table with truths are converted."""
    found = find_main_shape(Shape.of(output_schema))
    if found is None:
        return {"type": "string"}
    _, shape = found
    values = [each.value for each in shape.constants]
    return {"enum": values} if values else {"type": shape.type}


def fit(
    prediction: Any,
    truth: Any,
    output: Shape,
    left_out: Set[str] = frozenset(),
    *,
    is_text: bool = False,
) -> Any:
    """Return a truth that can be compared with a prediction; ``None`` removes an earlier truth.

    :param output: the output schema of the model, which may list the classes.
    :param left_out: members that the log leaves out, see :class:`.LogPolicy`.
    :param is_text: whether the truth is the cell of a table. A text is converted if the prediction
        is no text.
    :raises ValueError: if it cannot be compared; the message states what is expected.
    """
    if truth is None:
        return None
    if is_text and isinstance(truth, str):
        truth = _parse(prediction, truth)
    compared = compare(prediction, truth)
    main, _ = find_main_shape(output) or (PREDICTION, output)
    named = next(iter(truth), "") if isinstance(truth, Mapping) else main
    if named in left_out:
        raise ValueError(
            f"cannot be compared: the log leaves out the member {named!r} of predictions "
            "(leave_out in models.yaml)"
        )
    if compared is None or (isinstance(truth, Mapping) and len(truth) != 1):
        raise ValueError("must be one value, or an object with one member of the prediction")
    expected, got = _kind(compared.predicted), _kind(compared.true)
    if expected != got:
        advice = number_advice(compared.true) if isinstance(compared.true, str) else ""
        raise ValueError(f"must be a {expected}, as the prediction is, got a {got}{advice}")
    name = next(iter(truth)) if isinstance(truth, Mapping) else find_main(prediction)
    _check_value(compared.true, output.members.get(name or "", output))
    return truth


def _check_value(true: Scalar, shape: Shape) -> None:
    """Raise ValueError for a number that is not finite, or a value that is not a class."""
    if isinstance(true, int | float) and not _is_finite(true):
        raise ValueError("must be a finite number")
    classes: Sequence[Any] = [each.value for each in shape.constants]
    if classes and true not in classes:
        names = ", ".join(map(json.dumps, classes))
        raise ValueError(f"must be one of {names}, got {json.dumps(true)}")


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer beyond the range of a float
        return False


def _parse(prediction: Any, text: str) -> Any:
    name = find_main(prediction)
    predicted = prediction if name == "" else _get(prediction, name)
    if predicted is None or isinstance(predicted, str):
        return text
    number = parse_number(text)
    if number is not None:
        return number
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | dict) else text


def _get(value: Any, name: str | None) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _kind(value: Scalar) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"

"""Which values of a prediction a truth is compared with."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

from mlmodel.reference.main_value import (
    PREDICTION,
    PROBABILITIES,
    Scalar,
    find_main,
    find_main_shape,
    get_truth_shape,
)
from mlmodel.schema.messages import join_first
from mlmodel.schema.shape import Shape
from mlmodel.schema.texts.numerals import number_advice, parse_number

#: Most outputs in a message.
MOST_NAMED = 8


class Compared(NamedTuple):
    """A predicted and a true value, and the probabilities of the classes if the model has them."""

    predicted: Scalar
    true: Scalar
    probabilities: Mapping[str, float] | None = None


def compare(prediction: Any, truth: Any) -> dict[str, Compared]:
    """Return the pairs of values to compare, by the name of the output; that of the main is "".

    :param truth: the true value, or an object with outputs: members of the prediction, or of its
        member ``prediction``.
    """
    main = find_main(prediction) or ""
    given: Mapping[str, Any] = truth if isinstance(truth, Mapping) else {main: truth}
    pairs = {}
    for name, true in given.items():
        predicted = prediction if name == "" else _find_output(prediction, name)
        if isinstance(predicted, Scalar) and isinstance(true, Scalar):
            output = "" if name == main else name
            pairs[output] = Compared(predicted, true, _find_probabilities(prediction, output))
    return pairs


def find_output_shape(output: Shape, name: str) -> Shape:
    """Return the shape of an output as :func:`compare` names it; an empty one if unknown.

    :param output: the output schema of the model.
    """
    if not name:
        return (find_main_shape(output) or ("", Shape.of(None)))[1]
    nested = output.members.get(PREDICTION)
    members = {**(nested.members if nested else {}), **output.members}
    return members.get(name) or Shape.of(None)


def get_cell_schema(output_schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the JSON Schema by which the cells of a table with truths are converted."""
    found = find_main_shape(get_truth_shape(output_schema))
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
    main, _ = find_main_shape(output) or (PREDICTION, output)
    for named in truth if isinstance(truth, Mapping) else [main]:
        if named in left_out:
            raise ValueError(
                f"cannot be compared: the log leaves out the member {named!r} of predictions "
                "(leave_out in models.yaml)"
            )
    pairs = compare(prediction, truth)
    if not pairs or len(pairs) < (len(truth) if isinstance(truth, Mapping) else 1):
        raise ValueError(f"must be {_get_expected(prediction)}")
    for name, pair in pairs.items():
        problem = _find_problem(
            pair, find_output_shape(output, name or find_main(prediction) or "")
        )
        if problem:
            raise ValueError(f"{name!r} {problem}" if name else problem)
    return truth


def _get_expected(prediction: Any) -> str:
    outputs = _get(prediction, PREDICTION)
    if find_main(prediction) is None and isinstance(outputs, Mapping):
        return f"an object with one or more of {join_first(map(repr, outputs), MOST_NAMED)}"
    return "one value, or an object with members of the prediction"


def _find_problem(pair: Compared, shape: Shape) -> str:
    """Return why a value cannot be the true one; empty if it can."""
    expected, got = _kind(pair.predicted), _kind(pair.true)
    if expected != got:
        advice = number_advice(pair.true) if isinstance(pair.true, str) else ""
        return f"must be a {expected}, as the prediction is, got a {got}{advice}"
    if isinstance(pair.true, int | float) and not _is_finite(pair.true):
        return "must be a finite number"
    classes: Sequence[Any] = [each.value for each in shape.constants]
    if classes and pair.true not in classes:
        names = ", ".join(map(json.dumps, classes))
        return f"must be one of {names}, got {json.dumps(pair.true)}"
    return ""


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer beyond the range of a float
        return False


def _parse(prediction: Any, text: str) -> Any:
    name = find_main(prediction)
    predicted = prediction if name == "" else _get(prediction, name)
    if isinstance(predicted, str):
        return text
    number = parse_number(text)
    if number is not None:
        return number
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | dict) else text


def _find_output(prediction: Any, name: str | None) -> Any:
    value = _get(prediction, name)
    return value if isinstance(value, Scalar) else _get(_get(prediction, PREDICTION), name)


def _find_probabilities(prediction: Any, output: str) -> Mapping[str, float] | None:
    found = _get(prediction, PROBABILITIES)
    if output:
        found = _get(found, output)
    are_numbers = isinstance(found, Mapping) and all(
        isinstance(each, int | float) for each in found.values()
    )
    return found if are_numbers else None


def _get(value: Any, name: str | None) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _kind(value: Scalar) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"

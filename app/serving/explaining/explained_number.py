"""The number of a prediction that is explained, and the label that it decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.serving.errors import CannotExplain
from app.serving.explaining.output_paths import (
    Path,
    find_path,
    find_shape,
    find_value,
    list_choices,
    list_outputs,
    list_values,
)
from mlmodel.reference.distributions import key
from mlmodel.reference.main_value import (
    DISTANCES,
    PREDICTION,
    PROBABILITIES,
    Scalar,
    find_main,
    get_class_name,
    is_cluster,
)
from mlmodel.schema.messages import to_pointer
from mlmodel.schema.shape import Shape, is_number

#: The member of predictions with the number by which outliers are found.
SCORE = "score"


@dataclass(frozen=True)
class ExplainedNumber:
    """A number of every prediction of a model.

    ``kind`` is what it means: ``number``, ``probability`` of a class, or ``label``: 1 for
    predictions of a label, 0 for others. ``path`` leads to the number, or to the label.
    ``class_name`` is the class or label, if there is one.
    """

    kind: str
    path: Path
    label_path: Path | None = None
    class_name: str | None = None

    def read(self, prediction: Any) -> float:
        """Return the number in a prediction.

        :raises CannotExplain: if the prediction has another form than that of the explained row.
        """
        value = find_value(prediction, self.path)
        if self.kind == "label":
            return float(key(value) == self.class_name)
        if value is None and self.kind == "probability":
            return 0.0  # some models leave out the classes that are impossible
        if not is_number(value):
            raise CannotExplain(
                "typical rows have predictions with a different structure from this row's "
                "prediction"
            )
        return float(value)

    @property
    def output(self) -> str:
        """The JSON Pointer of the output: the label, or else the number."""
        return to_pointer(self.path if self.label_path is None else self.label_path)

    def read_label(self, prediction: Any) -> Any:
        """Return the label of a prediction; ``None`` if the model predicts no labels."""
        return None if self.label_path is None else find_value(prediction, self.label_path)


def find_number(
    prediction: Any, schema: Shape, class_name: str = "", output: str = ""
) -> ExplainedNumber:
    """Return the number to explain: the probability of the predicted class, else the main number.

    :param prediction: that of the explained row.
    :param schema: of predictions.
    :param class_name: the class whose probability to explain, in place of the predicted one.
    :param output: the value to explain in place of the main one, see :func:`find_path`.
    :raises CannotExplain: if the prediction has no number, or no such class or output.
    """
    path = find_path(prediction, output) if output else _find_main_path(prediction)
    value = find_value(prediction, path)
    label = value if isinstance(value, Scalar) else None
    shares = _find_shares(prediction, path, label, schema, is_chosen=bool(output))
    if shares is not None:
        classes = find_value(prediction, shares)
        predicted = "" if label is None else get_class_name(label, classes)
        is_label = predicted in classes
        likeliest = predicted if is_label else max(classes, key=lambda each: classes[each])
        name = class_name or likeliest
        _check_class(name, list(classes))
        return ExplainedNumber("probability", (*shares, name), path if is_label else None, name)
    members = prediction if isinstance(prediction, Mapping) else {}
    shape = find_shape(schema, path)
    if _is_label(label, shape, members):
        constants = [key(each.value) for each in shape.constants] if shape else []
        _check_class(class_name, constants, is_given=bool(class_name and constants))
        return ExplainedNumber("label", path, path, class_name or key(label))
    if class_name:
        raise CannotExplain("the model predicts no classes; leave out the parameter 'class'")
    if not output and is_number(members.get(SCORE)):
        path = (SCORE,)
    if is_number(find_value(prediction, path)):
        return ExplainedNumber("number", path)
    outputs = list_values(prediction)
    if outputs:
        raise CannotExplain(list_choices(outputs))
    raise CannotExplain("the prediction has no number, label or class probabilities to explain")


def may_have_number(schema: Shape) -> bool:
    """Return whether predictions have a number to explain, as far as their schema shows.

    :param schema: of predictions.
    """
    main = schema.members.get(PREDICTION, schema)
    is_nested = main.type == "array" or (main.type == "object" and bool(main.members))
    return bool(list_outputs(schema)) or PROBABILITIES in schema.members or not is_nested


def _is_label(value: Any, schema: Shape | None, members: Mapping[str, Any]) -> bool:
    """Return whether a main value is a label: a text, a constant or the number of a cluster."""
    if isinstance(value, str | bool):
        return True
    if schema is None or not is_number(value):
        return False
    return bool(schema.constants) or is_cluster(schema, members)


def _find_main_path(prediction: Any) -> Path:
    main = find_main(prediction)
    if main is not None:
        return (main,) if main else ()
    values = list_values(prediction)
    return find_path(prediction, values[0]) if len(values) == 1 else ()


def _find_shares(
    prediction: Any, path: Path, label: Any, schema: Shape, *, is_chosen: bool
) -> Path | None:
    """Return the path of the probabilities of the classes of an output, if there are any.

    Those of one of several outputs have its name: ``{"prediction": {"a": "yes"}, "probabilities":
    {"a": {"yes": 0.9, "no": 0.1}}}``.

    :param is_chosen: whether a client selected the output, which then has to be one of the classes.
    """
    for name in prediction if isinstance(prediction, Mapping) else ():
        place = (name, *path[1:])
        value, shape = find_value(prediction, place), find_shape(schema, place)
        is_named = _is_named(label, value)
        if (is_named or not is_chosen) and _are_shares(value, name, shape, is_named=is_named):
            return place
    return None


def _is_named(label: Any, value: Any) -> bool:
    """Return whether a label is the name of a member."""
    is_object = isinstance(value, Mapping)
    return is_object and label is not None and get_class_name(label, value) in value


def _are_shares(value: Any, name: str, shape: Shape | None, *, is_named: bool) -> bool:
    """Return whether a member of a prediction has probabilities of classes.

    These are numbers from 0 to 1 that add up to 1. The labels of several outputs may do that too,
    so the name of the member, the predicted label, or the limits in the schema must show it.
    """
    if not isinstance(value, Mapping) or len(value) < 2:  # noqa: PLR2004  two classes
        return False
    declared = shape.members.values() if shape else ()
    are_declared = {(each.number("minimum"), each.number("maximum")) for each in declared} == {
        (0, 1)
    }
    if name != PROBABILITIES and (name == DISTANCES or not (is_named or are_declared)):
        return False
    shares = list(value.values())
    are_shares = all(is_number(each) and 0 <= each <= 1 for each in shares)
    return are_shares and abs(sum(shares) - 1) < 0.01  # noqa: PLR2004  they may be rounded


def _check_class(name: str, classes: list[str], *, is_given: bool = True) -> None:
    if is_given and name not in classes:
        expected = ", ".join(map(repr, classes[:20]))
        raise CannotExplain(f"the parameter 'class' must be one of {expected}, got {name!r:.100}")

"""The number of a prediction that is explained, and the label that it decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.serving.errors import CannotExplain
from mlmodel.reference.distributions import key
from mlmodel.reference.main_value import PREDICTION, find_main, find_main_shape, get_class_name
from mlmodel.schema.messages import join_first
from mlmodel.schema.shape import Shape

#: Members of predictions by which the adapters of frameworks name numbers.
PROBABILITIES, SCORE, DISTANCES = "probabilities", "score", "distances"

#: Outputs that a message lists.
MOST_LISTED = 8
#: The title by which they describe the number of a cluster.
CLUSTER = "Cluster"


@dataclass(frozen=True)
class ExplainedNumber:
    """A number of every prediction of a model.

    ``kind`` is what it means: ``number``, ``probability`` of a class, or ``label``: 1 for
    predictions of a label, 0 for others. ``path`` leads to the number, or to the label.
    ``class_name`` is the class or label, if there is one.
    """

    kind: str
    path: tuple[str, ...]
    label_path: tuple[str, ...] | None = None
    class_name: str | None = None

    def read(self, prediction: Any) -> float:
        """Return the number in a prediction.

        :raises CannotExplain: if the prediction has another form than that of the explained row.
        """
        value = _find(prediction, self.path)
        if self.kind == "label":
            return float(key(value) == self.class_name)
        if value is None and self.kind == "probability":
            return 0.0  # some models leave out the classes that are impossible
        if not _is_number(value):
            raise CannotExplain(
                "typical rows have predictions with a different structure from this row's "
                "prediction"
            )
        return float(value)

    def read_label(self, prediction: Any) -> Any:
        """Return the label of a prediction; ``None`` if the model predicts no labels."""
        return None if self.label_path is None else _find(prediction, self.label_path)


def find_number(prediction: Any, schema: Shape, class_name: str = "") -> ExplainedNumber:
    """Return the number to explain: the probability of the predicted class, else the main number.

    :param prediction: that of the explained row.
    :param schema: of predictions.
    :param class_name: the class whose probability to explain, in place of the predicted one.
    :raises CannotExplain: if the prediction has no number, or no such class.
    """
    members = prediction if isinstance(prediction, Mapping) else {}
    member = find_main(prediction)
    main = (member,) if member else ()
    label = None if member is None else _find(prediction, main)
    shares = next(
        (name for name, each in members.items() if _are_shares(each, name, label, schema)), None
    )
    if shares is not None:
        classes = members[shares]
        predicted = "" if label is None else get_class_name(label, classes)
        is_label = predicted in classes
        likeliest = predicted if is_label else max(classes, key=lambda each: classes[each])
        name = class_name or likeliest
        _check_class(name, list(classes))
        return ExplainedNumber("probability", (shares, name), main if is_label else None, name)
    if _is_label(label, schema.members.get(member) if member else schema, members):
        _check_class(class_name, [key(label)], is_given=bool(class_name))
        return ExplainedNumber("label", main, main, key(label))
    if class_name:
        raise CannotExplain("the model predicts no classes; leave out the parameter 'class'")
    path = (SCORE,) if _is_number(members.get(SCORE)) else main
    if not _is_number(_find(prediction, path)):
        outputs = members.get(PREDICTION)
        if isinstance(outputs, Mapping):
            raise CannotExplain(
                f"the model predicts several outputs ({join_first(outputs, MOST_LISTED)}), but an "
                "explanation needs a single number or label; host a model for each output, or "
                "write an endpoint 'explain'"
            )
        raise CannotExplain("the prediction has no number, label or class probabilities to explain")
    return ExplainedNumber("number", path)


def may_have_number(schema: Shape) -> bool:
    """Return whether predictions have a number to explain, as far as their schema shows.

    :param schema: of predictions.
    """
    main = schema.members.get(PREDICTION, schema)
    is_nested = main.type == "array" or (main.type == "object" and bool(main.members))
    probabilities = schema.members.get(PROBABILITIES)
    are_nested = probabilities is None or any(
        each.type == "object" for each in probabilities.members.values()
    )
    return find_main_shape(schema) is not None or not (is_nested and are_nested)


def _is_label(value: Any, schema: Shape | None, members: Mapping[str, Any]) -> bool:
    """Return whether a main value is a label: a text, a constant or the number of a cluster."""
    if isinstance(value, str | bool):
        return True
    if schema is None or not _is_number(value):
        return False
    is_cluster = DISTANCES in members or schema.text("title") == CLUSTER
    return bool(schema.constants) or (schema.type == "integer" and is_cluster)


def _are_shares(value: Any, name: str, label: Any, schema: Shape) -> bool:
    """Return whether a member of a prediction has probabilities of classes.

    These are numbers from 0 to 1 that add up to 1. Labels of several outputs may do so too, so the
    name of the member, the predicted label, or the limits in the schema must show it.
    """
    if not isinstance(value, Mapping) or len(value) < 2:  # noqa: PLR2004  two classes
        return False
    declared = schema.members[name].members.values() if name in schema.members else ()
    are_declared = {(each.number("minimum"), each.number("maximum")) for each in declared} == {
        (0, 1)
    }
    is_named = label is not None and get_class_name(label, value) in value
    if name != PROBABILITIES and (name == DISTANCES or not (is_named or are_declared)):
        return False
    shares = list(value.values())
    are_shares = all(_is_number(each) and 0 <= each <= 1 for each in shares)
    return are_shares and abs(sum(shares) - 1) < 0.01  # noqa: PLR2004  they may be rounded


def _check_class(name: str, classes: list[str], *, is_given: bool = True) -> None:
    if is_given and name not in classes:
        expected = ", ".join(map(repr, classes[:20]))
        raise CannotExplain(f"the parameter 'class' must be one of {expected}, got {name!r:.100}")


def _find(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

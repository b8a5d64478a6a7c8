"""The outputs of a model: the single values in its predictions, and how a client names one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from app.serving.errors import CannotExplain
from mlmodel.reference.main_value import (
    DISTANCES,
    PREDICTION,
    PROBABILITIES,
    Scalar,
    find_main_shape,
    is_scalar,
)
from mlmodel.schema.messages import join_first, to_pointer
from mlmodel.schema.shape import Shape, unescape

#: Members of predictions with numbers about the classes or clusters of an output.
NO_OUTPUTS = frozenset({PROBABILITIES, DISTANCES, "scores"})
#: Most outputs of a model, most values of a prediction, and most of these in a message.
MOST_OUTPUTS, MOST_VALUES, MOST_NAMED = 50, 1_000, 8

#: The names of the members, or the indexes of the items, that lead to a value.
Path = tuple[str, ...]


def list_outputs(schema: Shape) -> list[str]:
    """Return the JSON Pointers of the single values in predictions, the main one first.

    :param schema: of predictions; it may define none.
    """
    found = [to_pointer(path) for path in islice(_within(schema, ()), MOST_OUTPUTS)]
    main = find_main_shape(schema)
    first = to_pointer((main[0],)) if main and main[0] else ""
    return sorted(found, key=lambda each: each != first) if main else found


def list_values(prediction: Any) -> list[str]:
    """Return the JSON Pointers of the single values in a prediction."""
    return [to_pointer(path) for path in islice(_within_value(prediction, ()), MOST_VALUES)]


def list_choices(outputs: Sequence[str]) -> str:
    """Return the advice to select one of several outputs."""
    return (
        "the model predicts several outputs; select one with the parameter 'output': "
        f"{join_first(outputs, MOST_NAMED)}"
    )


def find_path(prediction: Any, output: str) -> Path:
    """Return the path to the output that a client names.

    :param output: its JSON Pointer, or its name, if it is a member of the prediction, or of its
        member ``prediction``.
    :raises CannotExplain: if the prediction has no such single value.
    """
    for path in _read_paths(output):
        if isinstance(find_value(prediction, path), Scalar):
            return path
    raise _unknown_output(list_values(prediction), output)


def check_output(schema: Shape, output: str) -> None:
    """Check that predictions may have the output that a client names, see :func:`find_path`.

    :param schema: of predictions; an object whose members it does not list may have any.
    :raises CannotExplain: if it has no such single value.
    """
    if not any(_may_have(schema, path) for path in _read_paths(output)):
        raise _unknown_output(list_outputs(schema), output)


def find_value(value: Any, path: Path) -> Any:
    """Return the value at a path; ``None`` if there is none."""
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def find_shape(shape: Shape, path: Path) -> Shape | None:
    """Return the shape at a path; ``None`` if the schema defines none."""
    found: Shape | None = shape
    for step in path:
        found = found and (found.members.get(step) or found.items)
    return found


def _read_paths(output: str) -> list[Path]:
    if output.startswith("/"):
        return [tuple(map(unescape, output[1:].split("/")))]
    return [(output,), (PREDICTION, output)]


def _unknown_output(outputs: Sequence[str], output: str) -> CannotExplain:
    expected = join_first(outputs, MOST_NAMED)
    return CannotExplain(f"the parameter 'output' must be one of {expected}, got {output!r:.100}")


def _may_have(shape: Shape, path: Path) -> bool:
    for step in path:
        item = shape.items if step.isdecimal() else None
        inner = shape.members.get(step) or shape.other_members or item
        if inner is None:
            is_listed = shape.members or shape.items or is_scalar(shape)
            return not is_listed or shape.schema.get("additionalProperties") is True
        shape = inner
    return shape.type not in {"object", "array"}


def _within(shape: Shape, path: Path) -> Iterator[Path]:
    if is_scalar(shape) and "contentEncoding" not in shape.schema:
        yield path
    for name, member in shape.members.items():
        if name not in NO_OUTPUTS:
            yield from _within(member, (*path, name))
    count = shape.number("maxItems")
    if shape.items and count and count == shape.number("minItems"):
        for at in range(int(min(count, MOST_OUTPUTS))):
            yield from _within(shape.items, (*path, str(at)))


def _within_value(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, Scalar):
        yield path
    elif isinstance(value, Mapping):
        for name, member in value.items():
            if name not in NO_OUTPUTS:
                yield from _within_value(member, (*path, name))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _within_value(item, (*path, str(at)))

"""Convert errors of pydantic, ``schema`` and msgspec about a row to :class:`InvalidInput`.

The errors are recognized by their names and methods, so that no package is imported here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from mlmodel.errors import InvalidInput, Violation, summary
from mlmodel.schema.messages import to_pointer

#: The location in an error of the package ``schema``.
_LOCATION = re.compile(r"Key (.+) error:$")
#: The prefix that pydantic 2 adds to the message of an author's own validator.
_PREFIX = re.compile(r"^(Value error|Assertion failed), ")
#: The path in an error of msgspec. One through the key of a dict, ``[...]``, is incomplete.
_MSGSPEC_PATH = re.compile(r" - at `\$((?:\.\w+|\[\d+\])*)(?:\[\.\.\.\].*)?`$")
_MSGSPEC_STEP = re.compile(r"\.(?P<name>\w+)|\[(?P<index>\d+)\]")


def is_named(error: BaseException | None, name: str) -> bool:
    """Return whether the class of an error or a base class has a name."""
    return name in [each.__name__ for each in type(error).__mro__]


def is_of_pydantic(error: BaseException | None) -> bool:
    """Return whether pydantic has raised an error."""
    # Other packages have errors of that name, but without that method.
    return is_named(error, "ValidationError") and hasattr(error, "errors")


def is_of_schema(error: BaseException | None) -> bool:
    """Return whether the package ``schema`` has raised an error."""
    return is_named(error, "SchemaError") and hasattr(error, "autos")


def is_about_row(error: BaseException | None) -> bool:
    """Return whether a package raised the error because a row violates a declared schema."""
    return (
        isinstance(error, msgspec.ValidationError) or is_of_pydantic(error) or is_of_schema(error)
    )


def to_invalid_input(error: Exception, row: Any) -> InvalidInput:
    """Return the error of a package as :class:`InvalidInput`."""
    violations = get_violations(error, row)
    return InvalidInput(summary(violations), "", violations)


def get_violations(error: BaseException | None, row: Any) -> list[Violation]:
    """Return the violations in an error of a package; none if it is another error."""
    if is_of_pydantic(error):
        return [
            Violation(to_pointer(_path(each, row)), _PREFIX.sub("", each["msg"]))
            for each in cast(Any, error).errors()
        ]
    if isinstance(error, msgspec.ValidationError):
        return [_violation_of_msgspec(str(error))]
    return [_violation(error)] if is_of_schema(error) else []


def _violation_of_msgspec(text: str) -> Violation:
    found = _MSGSPEC_PATH.search(text)
    if found is None:
        return Violation("", text)
    steps = _MSGSPEC_STEP.finditer(found[1])
    path = [step["name"] or int(step["index"]) for step in steps]
    return Violation(to_pointer(path), text[: found.start()])


def _violation(error: Any) -> Violation:
    *locations, detail = [text for text in error.autos if text] or [str(error)]
    steps = [_LOCATION.search(location) for location in locations]
    # The path has no step for an alternative or an item of a list, so it would be incomplete.
    if not all(steps):
        return Violation("", error.code)
    messages = [text for text in error.errors if text]
    path = [ast.literal_eval(step[1]) for step in steps if step]
    return Violation(to_pointer(path), messages[-1] if messages else detail)


def _path(error: Mapping[str, Any], row: Any) -> Iterator[str | int]:
    """Yield those steps of a pydantic location that lead to a value in the row.

    The others name an alternative of a union, or a validator of the whole.
    """
    is_missing = error["type"].endswith("missing")
    for step in error["loc"]:
        is_name = is_missing and step == error["loc"][-1]
        if isinstance(row, Mapping) and (step in row or is_name):
            yield step
            row = row.get(step)
        elif isinstance(row, list) and isinstance(step, int) and step < len(row):
            yield step
            row = row[step]

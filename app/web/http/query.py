"""The query of a request."""

from __future__ import annotations

from collections.abc import Sequence

from flask import request
from werkzeug.exceptions import BadRequest


def check_query(*names: str) -> None:
    """Check that the query of the current request has only these parameters.

    :raises BadRequest: naming one that it must not have.
    """
    for name in request.args:
        if name not in names:
            expected = f"expected {' or '.join(names)}" if names else "expected none"
            raise BadRequest(f"unknown query parameter {name!r:.60}; {expected}")


def read_choice(name: str, choices: Sequence[str]) -> str:
    """Return a parameter of the query; by default, the first choice.

    :raises BadRequest: if it is not one of the choices.
    """
    value = request.args.get(name, choices[0])
    if value not in choices:
        expected = " or ".join(map(repr, filter(None, choices)))
        raise BadRequest(f"{name} must be {expected}, got {value!r:.60}")
    return value


def read_flag(name: str) -> bool:
    """Return a parameter of the query that is true or false, false by default.

    :raises BadRequest: if it is neither.
    """
    return read_choice(name, ("false", "true")) == "true"


def read_count(name: str, default: int, most: int) -> int:
    """Return a parameter of the query: a number from 1.

    :raises BadRequest: if it is not a number, or more than ``most``.
    """
    text = request.args.get(name, str(default))
    # isdecimal also accepts digits of other scripts, which int reads.
    if not (text.isdecimal() and len(text) < len(str(most)) + 1 and 1 <= int(text) <= most):
        raise BadRequest(f"{name} must be a number from 1 to {most}, got {text!r:.60}")
    return int(text)

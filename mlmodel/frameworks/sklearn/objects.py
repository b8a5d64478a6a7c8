"""All objects within a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

#: Types of objects that hold no estimator.
_PLAIN = (str, bytes, bytearray, int, float, complex, type(None), type)
_CONTAINERS = (list, tuple, set, frozenset)


def objects_in(model: Any) -> list[Any]:
    """Return a model and all objects with attributes that it holds, the inner ones first."""
    # The values keep the objects alive, so that no id is reused.
    seen: dict[int, Any] = {}
    found, waiting = [], [model]
    while waiting:
        part = waiting.pop()
        if isinstance(part, _PLAIN) or id(part) in seen:
            continue
        seen[id(part)] = part
        if hasattr(part, "__dict__"):
            found.append(part)
        waiting.extend(_members(part))
    return found[::-1]


def _members(part: Any) -> Iterable[Any]:
    if isinstance(part, Mapping):
        yield from part.values()
    elif isinstance(part, _CONTAINERS):
        yield from part
    # By name: importing numpy takes long, and is not needed for a model without arrays.
    elif type(part).__name__ == "ndarray" and part.dtype.hasobject:
        yield from part.ravel().tolist()
    attributes = getattr(part, "__dict__", None)
    if isinstance(attributes, dict):
        yield from list(attributes.values())

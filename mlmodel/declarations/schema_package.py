"""Convert an object of the package ``schema`` to a JSON Schema that is no stricter.

The package's own JSON Schema is too strict: it writes unknown types as strings, and omits an
alternative that it cannot express.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import takewhile
from typing import Any

#: The types that the package writes correctly.
JSON_TYPES = (str, int, float, bool, list, dict)

#: Keywords that restrict nothing.
ANNOTATIONS = frozenset({"title", "description", "default", "example", "examples"})
#: Keywords of the root, which are dropped: the rest means the same in 2020-12.
ROOT_KEYWORDS = frozenset({"$id", "$schema", "id"})


def to_json_schema(declared: Any) -> dict[str, Any]:
    """Return the JSON Schema of a ``schema.Schema``."""
    document = declared.json_schema("model")
    _correct(document, declared, declared)
    document = {key: value for key, value in document.items() if key not in ROOT_KEYWORDS}
    plain: dict[str, Any] = json.loads(json.dumps(document, default=str))
    return plain


def _correct(document: dict[str, Any], declared: Any, whole: Any) -> None:
    """Loosen a part of a JSON Schema in place.

    :param declared: the declaration of the part.
    :param whole: the ``schema.Schema`` that contains it.
    """
    plain = _unwrap(declared)
    if isinstance(plain, type) and plain not in JSON_TYPES:
        document.pop("type", None)
    if isinstance(plain, list | tuple) and len(plain) == 1:
        _correct(document["items"], plain[0], whole)
    if isinstance(plain, dict):
        _correct_members(document, plain, whole)
    if _is(plain, "And") or (_is(plain, "Or") and "enum" not in document):
        _replace(document, _combine(plain, whole))


def _correct_members(document: dict[str, Any], members: Mapping[Any, Any], whole: Any) -> None:
    for key, value in members.items():
        name = _unwrap(key)
        if name is str and not whole.ignore_extra_keys:
            document["additionalProperties"] = _document_within(value, whole)
            if key is str:  # it requires at least one
                document["minProperties"] = len(document["required"]) + 1
        elif isinstance(name, str):
            _correct(document["properties"][name], value, whole)


def _combine(combination: Any, whole: Any) -> dict[str, Any]:
    """Return the JSON Schema of an ``Or`` or ``And``."""
    if _is(combination, "Or"):
        parts = [_document_within(each, whole) for each in combination.args]
        return {} if {} in parts else {"anyOf": parts}
    # Validators after Use check the value that Use returns, not the row.
    of_row = takewhile(lambda each: not _is(each, "Use"), combination.args)
    parts = [part for part in (_document_within(each, whole) for each in of_row) if part]
    return {"allOf": parts} if len(parts) > 1 else parts[0] if parts else {}


def _document_within(declared: Any, whole: Any) -> dict[str, Any]:
    return to_json_schema(type(whole)(_unwrap(declared)))


def _replace(document: dict[str, Any], other: dict[str, Any]) -> None:
    words = {key: value for key, value in document.items() if key in ANNOTATIONS}
    document.clear()
    document.update(other | words)


def _unwrap(declared: Any) -> Any:
    """Return the declaration inside a ``Schema``, ``Optional`` or ``Literal``."""
    while hasattr(declared, "schema"):
        declared = declared.schema
    return declared


def _is(value: Any, name: str) -> bool:
    return type(value).__name__ == name

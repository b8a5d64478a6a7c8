"""The members of an object, including conditional ones (`if`, `then` and `else`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlmodel.schema.shape import Folded, ManyShapesError, Schema, fold

#: For each member of a condition: its allowed values (``None``: any) and whether it may be missing.
Condition = dict[str, Any]


@dataclass(frozen=True)
class Member:
    """A member of an object; ``condition`` is JSON, and empty if the member has none."""

    key: str
    schema: Any
    is_required: bool
    condition: str = ""


def get_members(folded: Folded, root: Schema, refs: frozenset[str]) -> list[Member]:
    """Return the members of an object that its schema names, in the order of the schema."""
    properties = folded.schema.get("properties", {})
    required = folded.schema.get("required", ())
    found = {
        key: Member(key, part, key in required)
        for key, part in properties.items()
        if part is not False
    }
    for condition in folded.conditions:
        for word in ("then", "else"):
            for member in _get_inner_members(condition.get(word), root, refs):
                text = _to_json(condition["if"], is_met=word == "then")
                if member.key not in properties:
                    found.setdefault(member.key, replace(member, condition=text))
    return list(found.values())


def _get_inner_members(schema: Any, root: Schema, refs: frozenset[str]) -> list[Member]:
    """Return the members that the ``then`` or ``else`` of a condition names."""
    try:
        folded = fold(schema, root, refs)
    except ManyShapesError:
        return []
    return get_members(replace(folded, conditions=()), root, refs)


def _to_json(condition: Schema, is_met: bool) -> str:
    """Return a condition as JSON for scripts; empty (always met) if it is not a simple one."""
    required = condition.get("required", [])
    properties = condition.get("properties", {})
    if not set(condition) <= {"properties", "required", "type"}:
        return ""
    found = {key: {"values": None, "missing": key not in required} for key in required}
    for key, part in properties.items():
        if not isinstance(part, Mapping) or not ("const" in part or "enum" in part):
            return ""
        values = [part["const"]] if "const" in part else part["enum"]
        found[key] = {"values": values, "missing": key not in required}
    return json.dumps({"met": is_met, "members": found}) if found else ""

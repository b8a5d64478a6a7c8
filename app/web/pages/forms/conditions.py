"""The members of an object, including conditional ones (`if`, `then` and `else`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlmodel.schema.shape import Schema, Shape

#: For each member of a condition: its allowed values (``None``: any) and whether it may be missing.
Condition = dict[str, Any]


@dataclass(frozen=True)
class Member:
    """A member of an object; ``condition`` is JSON, and empty if the member has none."""

    key: str
    shape: Shape
    is_required: bool
    condition: str = ""


def get_members(shape: Shape) -> list[Member]:
    """Return the members of an object that its schema names, in the order of the schema."""
    members = _get_unconditional(shape)
    for condition in shape.conditions:
        for word in ("then", "else"):
            text = _to_json(condition["if"], is_met=word == "then")
            for key, member in _get_unconditional(shape.inner(condition.get(word))).items():
                if key not in shape.members:
                    members.setdefault(key, replace(member, condition=text))
    return list(members.values())


def _get_unconditional(shape: Shape) -> dict[str, Member]:
    required = shape.schema.get("required", ())
    return {
        key: Member(key, member, key in required)
        for key, member in shape.members.items()
        if shape.schema["properties"][key] is not False
    }


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

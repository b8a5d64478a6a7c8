"""Metadata of a model, limited to members of the expected shape."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from app.serving.calls.to_json import to_json
from mlmodel.errors import BadMetadata
from mlmodel.reference import profile
from mlmodel.reference.profile import Profile
from mlmodel.schema.validator import Schema

log = logging.getLogger(__name__)

#: JSON Schemas of the metadata members that pages and tools read.
SHAPES = {
    "artifacts": {
        "type": ["array", "null"],
        "items": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "size_bytes": {"type": "integer", "minimum": 0},
            },
            "required": ["name", "size_bytes"],
        },
    },
    "extra": {"type": ["object", "null"]},
    "metrics": {"type": ["object", "null"]},
    "params": {"type": ["object", "null"]},
    "runtime": {
        "type": ["object", "null"],
        "properties": {
            "name": {"type": "string"},
            "compiled": {"type": "boolean"},
            "reason": {"type": "string"},
            "parity": {
                "type": "object",
                "properties": {
                    "rows": {"type": "integer"},
                    "largest_difference": {"type": "number"},
                },
                "required": ["rows", "largest_difference"],
            },
        },
        "required": ["name", "compiled"],
    },
    "size_bytes": {"type": "integer", "minimum": 0},
    "versions": {
        "type": ["array", "null"],
        "items": {
            "type": "object",
            "properties": {
                "package": {"type": "string"},
                "packaged": {"type": "string"},
                "running": {"type": ["string", "null"]},
                "drifted": {"type": "boolean"},
            },
            "required": ["package", "packaged", "running"],
        },
    },
}


_SCHEMA = Schema({"properties": SHAPES})


def check_metadata(metadata: Any, model: str) -> dict[str, Any]:
    """Return a model's metadata as JSON, without members that violate :data:`SHAPES`.

    :param metadata: any value that the author has set.
    :param model: the model's name, for the warnings about omitted members.
    """
    document = to_json(metadata)
    if not isinstance(document, Mapping):
        log.warning("model %r: ignoring its metadata: must be an object", model)
        return {}
    wrong = _SCHEMA.violations(document)
    names = {each.pointer.split("/")[1]: each for each in reversed(wrong)}
    for each in names.values():
        log.warning("model %r: in its metadata, %s %s", model, each.pointer, each.detail)
    return {name: value for name, value in document.items() if name not in names}


def read_profile(metadata: Mapping[str, Any], model: str) -> Profile | None:
    """Return the reference profile in a model's metadata; ``None`` if it has none.

    :param model: the model's name, for the warning about an invalid profile.
    """
    document = (metadata.get("extra") or {}).get(profile.KEY)
    if document is None:
        return None
    try:
        return Profile.from_json(document)
    except BadMetadata as error:
        log.warning("model %r: ignoring its reference profile: %s", model, error)
        return None

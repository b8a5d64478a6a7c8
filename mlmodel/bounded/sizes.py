"""Limits on a model's texts, schemas and examples, which every page and reload processes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlmodel.errors import InvalidModel

#: Maximum characters of a model's texts, by attribute.
MOST_CHARACTERS: Mapping[str, int] = {
    "display_name": 200,
    "description": 20_000,
    "version": 100,
    "example_names": 100,
}
#: Maximum members of a row, and keywords and values of a whole schema.
MOST_MEMBERS = 10_000
MOST_NODES = 300_000
#: Maximum example rows, and bytes of their JSON.
MOST_EXAMPLES = 1_000
MOST_EXAMPLE_BYTES = 1_000_000
#: Maximum notes, and characters of each. The rest is cut.
MOST_NOTES = 100
MOST_NOTE_CHARACTERS = 2_000


def check_text(name: str, text: str) -> str:
    """Return the text of a model's attribute if it is not too long.

    :param name: the attribute, one of :data:`MOST_CHARACTERS`.
    :raises InvalidModel: if it is too long.
    """
    most = MOST_CHARACTERS[name]
    if len(text) > most:
        raise InvalidModel(f"{name} must have at most {most:,} characters, got {len(text):,}")
    return text


def check_schema(name: str, schema: Any) -> None:
    """Reject a schema that is too large to compile and show.

    :raises InvalidModel: if it has too many members, or keywords and values.
    """
    members = schema.get("properties") if isinstance(schema, Mapping) else None
    if isinstance(members, Mapping) and len(members) > MOST_MEMBERS:
        raise InvalidModel(
            f"{name} must have at most {MOST_MEMBERS:,} members, got {len(members):,}"
        )
    nodes, parts = 0, [schema]
    while parts:
        part = parts.pop()
        found = part.values() if isinstance(part, Mapping) else part
        if isinstance(found, str | bytes) or not hasattr(found, "__len__"):
            continue
        nodes += len(found)
        if nodes > MOST_NODES:
            raise InvalidModel(f"{name} must have at most {MOST_NODES:,} keywords and values")
        parts += found


def check_examples(examples: Sequence[Any]) -> None:
    """Reject examples that are too many or too large.

    :param examples: JSON-compatible values.
    :raises InvalidModel: with their number or size.
    """
    if len(examples) > MOST_EXAMPLES:
        raise InvalidModel(
            f"examples must be at most {MOST_EXAMPLES:,} rows, got {len(examples):,}"
        )
    size = len(json.dumps(examples))
    if size > MOST_EXAMPLE_BYTES:
        raise InvalidModel(
            f"examples must have at most {MOST_EXAMPLE_BYTES:,} bytes as JSON, got {size:,}"
        )


def cut_notes(notes: Sequence[Any]) -> tuple[str, ...]:
    """Return the first :data:`MOST_NOTES` notes, each cut to :data:`MOST_NOTE_CHARACTERS`."""
    return tuple(cut_note(str(note)) for note in notes[:MOST_NOTES])


def cut_note(text: str) -> str:
    """Return the first :data:`MOST_NOTE_CHARACTERS` of a note, or of the text of an error."""
    return text[:MOST_NOTE_CHARACTERS]

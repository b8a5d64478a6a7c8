"""How much a model may tell of itself: every page and every reload has to handle it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlmodel.errors import InvalidModel

#: Characters of the texts that a model tells.
MOST_CHARACTERS: Mapping[str, int] = {
    "display_name": 200,
    "description": 20_000,
    "version": 100,
}
#: Members of a row, and keywords and values of a whole schema.
MOST_MEMBERS = 10_000
MOST_NODES = 300_000
#: Example rows, and the bytes of their JSON.
MOST_EXAMPLES = 1_000
MOST_EXAMPLE_BYTES = 1_000_000
#: Notes, and characters of each. The rest is cut.
MOST_NOTES = 100
MOST_NOTE_CHARACTERS = 2_000


def check_text(name: str, text: str) -> str:
    """Return a text that a model tells.

    :param name: the attribute, one of :data:`MOST_CHARACTERS`.
    :raises InvalidModel: if it is too long.
    """
    most = MOST_CHARACTERS[name]
    if len(text) > most:
        raise InvalidModel(f"{name} must have at most {most:,} characters, got {len(text):,}")
    return text


def check_schema(name: str, schema: Any) -> None:
    """Reject a schema that is too large to be compiled and shown.

    :raises InvalidModel: with the number of its members.
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

    :param examples: plain JSON.
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
    """Return the first notes, each no longer than is shown."""
    return tuple(str(note)[:MOST_NOTE_CHARACTERS] for note in notes[:MOST_NOTES])

"""Uniqueness of names, versions and aliases in ``models.yaml``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class _Name:
    """The lines of the entries of one name, by version and alias, and the line of the default."""

    lines: dict[str | None, int] = field(default_factory=dict)
    default: int = 0


class Names:
    """The names of the entries read so far."""

    def __init__(self) -> None:
        self._names: dict[str, _Name] = {}

    def add(self, entry: Mapping[str, Any], line: int) -> Iterator[tuple[str, str]]:
        """Add an entry and yield pointer and detail of each name, version or alias already in use.

        :param line: the line of its name.
        """
        if "name" not in entry:
            return
        name = self._names.setdefault(entry["name"], _Name())
        version = entry.get("version")
        first = next(iter(name.lines.items()), None)
        if first and (version is None or first[0] is None):
            detail = f"{entry['name']!r} is already the name on line {first[1]}"
            yield "/name", f"{detail}; give each entry a 'version' or another 'name'"
            return
        for place, word in _versions_and_aliases(entry):
            if word in name.lines:
                used = f"a version or alias of {entry['name']!r} on line {name.lines[word]}"
                yield place, f"{word!r} is already {used}"
            name.lines.setdefault(word, line)
        if entry.get("default") and name.default:
            yield "/default", f"is already true for {entry['name']!r} on line {name.default}"
        name.default = name.default or (line if entry.get("default") else 0)


def _versions_and_aliases(entry: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    yield ("/version" if "version" in entry else "/name"), entry.get("version")
    for index, alias in enumerate(entry.get("aliases", ())):
        yield f"/aliases/{index}", alias

"""Every server that can be measured."""

from __future__ import annotations

from benchmarks.entries import fastapi, flask, modelhost
from benchmarks.entry import Entry

#: What all others are compared with.
BASELINE = flask.ENTRY.name

ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        flask.ENTRY,
        fastapi.ENTRY,
        *modelhost.ENTRIES,
    )
}

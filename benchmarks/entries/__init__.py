"""Every server that can be measured."""

from __future__ import annotations

from benchmarks.entries import fastapi, flama, flask, litserve, mlserver, modelhost
from benchmarks.entry import Entry

#: The server that the others are compared with.
BASELINE = flask.ENTRY.name

ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        flask.ENTRY,
        *fastapi.ENTRIES,
        flama.ENTRY,
        *litserve.ENTRIES,
        *mlserver.ENTRIES,
        *modelhost.ENTRIES,
    )
}

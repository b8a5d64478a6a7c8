"""``pin``: add the SHA-256 of model files to their entries in models.yaml."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click
from flask.cli import with_appcontext

from app.cli import adding
from app.cli.hosting import Hosting, hosting
from app.cli.terminal import as_json_option, printable, say, write_json
from app.serving.catalog.model_spec import ModelSpec
from app.serving.models.hosted import Status
from mlmodel.bounded import safe_open


@click.command("pin")
@click.argument("names", nargs=-1)
@as_json_option
@with_appcontext
def pin(names: tuple[str, ...], as_json: bool) -> None:
    """Write the SHA-256 of model files into models.yaml: of all entries, or of those NAMED.

    A file that is refused now is not pinned: its hash would say that you trust it.
    """
    portal = hosting()
    specs = portal.specs()
    chosen = {
        spec.line: spec
        for spec in specs
        if spec.file and not spec.sha256 and (not names or spec.reference in names)
    }
    text, done = portal.path.read_bytes().decode("utf-8"), []
    # From the last to the first, so that the positions of the others do not change.
    for place, spec in reversed(list(enumerate(specs))):
        if spec.line in chosen:
            digest = _digest(portal, spec)
            text = _with_hash(text, place, digest) if digest else text
            done += [spec] if digest else []
    if done:
        adding.write(portal, text, _without_hashes(specs), _without_hashes)
    for spec in reversed(done):
        say(f"pinned {spec.reference}")
    if not done:
        say("There is nothing to pin.")
    if as_json:
        write_json({"pinned": [spec.reference for spec in reversed(done)]})


COMMANDS = (pin,)


def _digest(portal: Hosting, spec: ModelSpec) -> str:
    """Return the hash of a file that can be served as it is, else an empty string."""
    if spec.file is None:
        return ""
    [model] = portal.hold([replace(spec, lazy=True, is_isolated=False)])
    if model.status is Status.FAILED:
        say(printable(f"not pinned: {spec.reference}: {model.reason}"))
        return ""
    return hashlib.sha256(safe_open.content(spec.file)).hexdigest()


def _with_hash(text: str, place: int, digest: str) -> str:
    """Return the text of a models.yaml with the hash added after the file of an entry."""
    entry = adding.models_node(text).value[place]
    key, value = next((key, value) for key, value in entry.value if key.value == "file")
    newline = "\r\n" if "\r\n" in text else "\n"
    gap = ", " if entry.flow_style else newline + " " * key.start_mark.column
    end: Any = value.end_mark.index
    if not entry.flow_style:
        # A comment stays on the line of the file.
        end = (text.find(newline, end) + 1 or len(text) + 1) - 1
    return f"{text[:end]}{gap}sha256: {digest}{text[end:]}"


def _without_hashes(specs: Sequence[ModelSpec]) -> list[ModelSpec]:
    return [replace(spec, line=0, file=None, sha256=None) for spec in specs]

"""``inspect``: what any file says of itself and asks for, and nothing of it is built."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import click

import mlmodel
from app.cli.listing import spread
from app.cli.terminal import as_json_option, write_facts, write_json
from mlmodel import bare, reading
from mlmodel.errors import FlmError, InvalidFile
from mlmodel.trust.report import Report, report

#: Names that are shown; ``--json`` has all of them.
SHOWN_NAMES = 20


@click.command("inspect")
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@as_json_option
def inspect(file: Path, as_json: bool) -> None:
    """Look into FILE and build nothing: safe on any file.

    It tells what a package says of itself, and the classes and functions that a pickle, in a
    package too, or a .skops file asks for.
    """
    try:
        asked = report(file)
        found = _bare(file) if bare.is_bare(file) else dataclasses.asdict(mlmodel.inspect(file))
    except InvalidFile as error:
        raise FlmError(f"{file.name} is no readable model file: {error}") from error
    document = {"file": file.name, **found}
    if as_json:
        write_json({**document, **dataclasses.asdict(asked)})
        return
    meta = document.pop("meta", {})
    model = meta.pop("model", {})
    model.pop("info", None)  # hundreds of parameters, which --json has
    write_facts([*spread({**document, **meta, **model}).items(), *_asked(asked)])


COMMANDS = (inspect,)


def _bare(file: Path) -> dict[str, Any]:
    content = reading.content(file)
    return {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _asked(asked: Report) -> list[tuple[str, Any]]:
    return [
        ("asks for", _shown(asked.names)),
        ("not allowed", _shown(asked.untrusted)),
        ("refused", asked.refusal),
    ]


def _shown(names: tuple[str, ...]) -> str | None:
    more = f" and {len(names) - SHOWN_NAMES:,} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more or None

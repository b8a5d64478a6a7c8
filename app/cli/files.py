"""Files that commands read and write, whose formats are those of their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from app.cli.terminal import write_message
from app.serving.tables import tables


def get_format(
    path: Path, option: str, formats: Mapping[str, str], *, is_input: bool = False
) -> str:
    """Return the format of a file.

    :param option: the option or argument that names it.
    :param formats: the possible ones, by the ending of a name.
    :param is_input: whether it is read, and may be compressed.
    :raises UsageError: if it has none of the endings.
    """
    plain = tables.without_compression(path) if is_input else path
    form = formats.get(plain.suffix.lower())
    if form is None:
        endings = ", ".join(formats)
        also = f" and may be compressed ({', '.join(tables.COMPRESSED)})" if is_input else ""
        raise click.UsageError(f"{option} must end with one of {endings}{also}, got {path.name!r}")
    return form


def write_file(pieces: Iterable[bytes], output: Path, what: str = "") -> None:
    """Write a file, and a message with its path.

    :param what: what it holds.
    """
    with output.open("wb") as stream:
        stream.writelines(pieces)
    write_message(f"Wrote {what} to {output}" if what else f"Wrote {output}")

"""Zip archives of frameworks, looked at before a framework reads them."""

from __future__ import annotations

import io
import zipfile
from pathlib import PurePosixPath

from mlmodel.bounded import compression
from mlmodel.errors import BadArtifact, BrokenModel


def check(content: bytes, title: str) -> None:
    """Refuse an archive that expands too far, or that would write outside a folder.

    :param title: what it should be, for the error.
    :raises BrokenModel: if it is no archive.
    :raises TooLarge: if it says that it expands too far; what it does not say, is not read.
    :raises BadArtifact: if a name leads out of a folder.
    """
    budget = compression.budget(len(content))
    try:
        members = zipfile.ZipFile(io.BytesIO(content)).infolist()
    except Exception as error:  # zipfile raises what it comes across
        raise BrokenModel(f"it is not {title} ({type(error).__name__})", str(error)) from error
    for member in members:
        budget.spend(member.file_size)
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0:1]:
            raise BadArtifact(f"the archive's member {member.filename!r} leads out of its folder")

"""Check zip archives before a framework reads them."""

from __future__ import annotations

import io
import zipfile
from pathlib import PurePosixPath

from mlmodel.bounded import compression
from mlmodel.errors import BadArtifact, BrokenModel


def check(content: bytes, title: str) -> None:
    """Reject an archive that expands too far or would write outside its folder.

    :param title: the expected kind of file, for the error message.
    :raises BrokenModel: if the content is not a zip archive.
    :raises TooLarge: if the declared sizes exceed the limit; ``zipfile`` reads no more than those.
    :raises BadArtifact: if a member's path is outside the folder.
    """
    budget = compression.budget(len(content))
    try:
        members = zipfile.ZipFile(io.BytesIO(content)).infolist()
    except Exception as error:  # a damaged archive raises many types
        raise BrokenModel(f"it is not {title} ({type(error).__name__})", str(error)) from error
    for member in members:
        budget.spend(member.file_size)
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0:1]:
            raise BadArtifact(f"the archive's member {member.filename!r} is outside its folder")

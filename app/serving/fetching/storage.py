"""Fetches files and folders from object stores and the Hugging Face Hub, with fsspec."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath

from app.serving.fetching.fetch_request import FetchFailed, FetchRequest
from mlmodel.files.mlflow.folder import MAX_FILES


def fetch(request: FetchRequest) -> str | None:
    """Fetch a file or a folder, and return its version; ``None`` if it is unchanged.

    :raises FetchFailed: if it is too large or has names that leave the folder.
    :raises OSError: if it does not exist or cannot be read.
    """
    import fsspec  # noqa: PLC0415  of an extra

    system, root = fsspec.url_to_fs(request.url)
    is_folder = system.isdir(root)
    paths = sorted(system.find(root)) if is_folder else [root]
    if len(paths) > MAX_FILES:
        raise FetchFailed(f"the folder has more than {MAX_FILES:,} files")
    marks = "".join(f"{path} {system.ukey(path)}\n" for path in paths)
    version = hashlib.sha256(marks.encode()).hexdigest()
    if version == request.version:
        return None
    for path in paths:
        target = request.path
        if is_folder:
            name = PurePosixPath(path).relative_to(root)
            if ".." in name.parts or not path.isprintable() or "\\" in path:
                raise FetchFailed(f"the folder has a file with the name {str(name)!r:.200}")
            target /= name
            target.parent.mkdir(parents=True, exist_ok=True)
        with system.open(path, "rb") as stream:
            request.copy(stream, target)
    return version

"""A model's artifacts: their preview on its page, and their download."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from flask import Blueprint, Response, send_file

from app.serving.errors import ArtifactNotFound, ModelUnavailable
from app.serving.models.hosted import HostedModel
from app.web.http.extension import modelhost

blueprint = Blueprint("artifacts", __name__)

#: Media types of pictures that a page shows. Not SVG, which may contain scripts.
PICTURES = {
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}
#: Suffixes of text files whose beginning a page shows.
TEXTS = frozenset({".csv", ".json", ".log", ".md", ".tsv", ".txt", ".yaml", ".yml"})
#: Bytes of a text file that a page shows.
SHOWN_BYTES = 4_000


@dataclass(frozen=True)
class Artifact:
    """A file on a model's page; ``beginning`` is the start of a text file, else empty."""

    name: str
    size: str
    is_offered: bool
    is_picture: bool = False
    beginning: str = ""


@blueprint.get("/models/<name>/artifacts/<path:artifact>")
def download(name: str, artifact: str) -> Response:
    """Send a model's artifact as an attachment, which the browser saves and never displays."""
    stream = modelhost().manager.call_with(name, lambda model: model.open_artifact(artifact))
    path = PurePosixPath(artifact)
    kind = PICTURES.get(path.suffix.lower(), "application/octet-stream")
    if path.suffix.lower() in TEXTS:
        kind = "text/plain"
    response = send_file(stream, mimetype=kind, as_attachment=True, download_name=path.name)
    response.content_length = os.fstat(stream.fileno()).st_size
    return response


def list_artifacts(model: HostedModel) -> Iterator[Artifact]:
    """Yield a model's artifacts; without a preview for those that cannot be downloaded."""
    for each in model.about.metadata.get("artifacts") or ():
        name, suffix = each["name"], PurePosixPath(each["name"]).suffix.lower()
        try:
            with model.open_artifact(name) as stream:
                text = stream.read(SHOWN_BYTES) if suffix in TEXTS else b""
        except (ArtifactNotFound, ModelUnavailable):
            yield Artifact(name, size(each["size_bytes"]), is_offered=False)
            continue
        beginning = text.decode(errors="replace")
        if len(text) == SHOWN_BYTES:
            beginning += " ..."
        yield Artifact(name, size(each["size_bytes"]), True, suffix in PICTURES, beginning)


def size(size_bytes: int) -> str:
    """Return a number of bytes with a unit: ``1.5 kB``."""
    for power, unit in ((3, "GB"), (2, "MB"), (1, "kB")):
        if size_bytes >= 1000**power:
            return f"{size_bytes / 1000**power:.1f} {unit}"
    return f"{size_bytes} bytes"

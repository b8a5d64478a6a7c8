"""The addresses from which model files are fetched, and the places that the operator names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

#: The start of an address or network path. A single letter before the colon is a Windows drive.
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:|//|\\\\")
#: By scheme, the extra that installs the packages which fetch from it.
EXTRAS = {
    "https": "",
    "http": "",
    "s3": "s3",
    "gs": "gs",
    "az": "az",
    "hf": "files",
    "file": "files",
    "models": "mlflow",
    "runs": "mlflow",
}
#: The form of an address, by scheme; :data:`FORM` for the others.
FORMS = {
    "https": re.compile(r"https://[^/@\s?#]+/[^\s#]+"),
    "http": re.compile(r"http://[^/@\s?#]+/[^\s#]+"),
    "models": re.compile(r"models:/([^/@?#]+(@[^/@?#]+|/[0-9]+)|m-[0-9a-f]+)"),
    "runs": re.compile(r"runs:/[0-9a-f]+(/[^/?#]+)+"),
}
FORM = re.compile(r"[a-z0-9]+://[^\s?#]+")
EXAMPLES = "'https://host/credit.flm', 's3://bucket/credit.flm' or 'models:/credit@champion'"
#: Ports that may be left out.
PORTS = {"https": 443, "http": 80}


def is_address(file: str) -> bool:
    """Return whether the ``file`` of an entry is an address and not a local path."""
    return ADDRESS.match(file) is not None


def find_mistake(url: str) -> str:
    """Return what is wrong with the address of a file, or ``""``."""
    scheme = url.partition(":")[0]
    if scheme not in EXTRAS:
        return f"must be a local path or an address such as {EXAMPLES}, got {url!r}"
    form = FORMS.get(scheme, FORM)
    # fsspec would read what follows "::" as another address.
    is_readable = url.isprintable() and form.fullmatch(url) and "::" not in url
    if not is_readable or _leaves_its_folder(url):
        return f"must be an address such as {EXAMPLES}, got {url!r}"
    return ""


def is_named(url: str, places: Sequence[str]) -> bool:
    """Return whether an address is one of these places, or in one of them.

    A place is a folder, a registered model of MLflow, a repository, or all of a scheme or host:
    ``https://models.example.com/credit/``, ``models:/``, ``s3://``.
    """
    return not _leaves_its_folder(url) and any(_contains(place, url) for place in places)


def _contains(place: str, url: str) -> bool:
    outer, inner = urlsplit(place), urlsplit(url)
    if place.rstrip("/") == f"{inner.scheme}:":
        return True
    if _origin(place) != _origin(url):
        return False
    path, within = unquote(outer.path).rstrip("/"), unquote(inner.path)
    ends = ("/", "@") if outer.scheme in ("models", "hf") else ("/",)
    return within == path or any(within.startswith(path + end) for end in ends)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    if parts.scheme not in PORTS:  # such as a bucket, whose name may have capitals
        return parts.scheme, parts.netloc, None
    try:
        return parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme]
    except ValueError:  # not a port
        return parts.scheme, None, -1


def _leaves_its_folder(url: str) -> bool:
    """Return whether a server might read the address as one outside of the folder it names."""
    steps = re.split(r"[/\\]", unquote(unquote(urlsplit(url).path)))
    return ".." in steps or "." in steps

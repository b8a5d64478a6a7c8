"""``.skops`` files, which name the types that they need; skops builds no other."""

from __future__ import annotations

import io
import zipfile

from mlmodel import versions
from mlmodel.errors import BrokenModel, MissingFramework, Untrusted
from mlmodel.trust import Trust, archives, pickles


def check(name: str, content: bytes, trust: Trust) -> tuple[str, ...]:
    """Return the types that skops may build, and refuse a file that has any other.

    :raises Untrusted: with the types that are neither skops' own nor named in ``trust``.
    :raises FlmError: as :func:`types` does.
    """
    found = types(content)
    unknown = [] if trust == "all" else sorted(set(found) - set(trust))
    if not unknown:
        return found
    raise Untrusted(
        f"{name} has types that are not trusted: {', '.join(unknown)}; "
        "if you trust them, name them in 'trust', or say 'trust: all'",
        unknown,
    )


def types(content: bytes) -> tuple[str, ...]:
    """Return the types of a file that skops does not know itself.

    :raises InvalidFile: if it expands too far, or a name in it leads out of a folder.
    :raises BrokenModel: if it is no skops file.
    :raises MissingFramework: if skops is not installed.
    """
    try:
        from skops import io as reader  # noqa: PLC0415  large, and not everywhere
    except ModuleNotFoundError as error:
        raise MissingFramework("skops", "pip install skops") from error
    archives.check(content, "a skops file")
    try:
        return tuple(reader.get_untrusted_types(data=content))
    except Exception as error:
        raise BrokenModel(f"it is not a skops file ({type(error).__name__})", str(error)) from error


def release(content: bytes) -> str | None:
    """Return the scikit-learn that wrote a file, if its schema names one.

    :raises InvalidFile: as :func:`types` does.
    :raises BrokenModel: if it is no skops file.
    """
    content = pickles.expanded(content)
    archives.check(content, "a skops file")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return versions.sklearn_release(archive.read("schema.json"))
    except Exception as error:  # zipfile raises what it comes across
        raise BrokenModel(f"it is not a skops file ({type(error).__name__})", str(error)) from error

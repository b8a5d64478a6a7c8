"""What a model file may contain, judged before anything in it is built."""

from __future__ import annotations

from typing import Literal

from mlmodel.errors import BrokenModel, MissingFramework, Untrusted

#: Which classes and functions a file may have beside those that are known to do no harm.
Trust = Literal["all"] | tuple[str, ...]


def check_pickle(name: str, trust: Trust, *, pinned: bool) -> None:
    """Refuse a pickle that nobody has vouched for: building one can run any code.

    :param name: the file's name, for the error.
    :param pinned: whether the file is known by its hash.
    :raises Untrusted: unless it is pinned, or all is trusted.
    """
    if pinned or trust == "all":
        return
    raise Untrusted(
        f"{name} is a pickle, and building one can run any code; "
        "if you trust it, say 'trust: all', or pin it with 'sha256'"
    )


def check_skops(name: str, content: bytes, trust: Trust) -> tuple[str, ...]:
    """Return the types that skops may build, and refuse a file that has any other.

    :raises Untrusted: with the types that are neither skops' own nor named in ``trust``.
    :raises BrokenModel: if it is no skops file.
    :raises MissingFramework: if skops is not installed.
    """
    found = _types(content)
    unknown = [] if trust == "all" else sorted(set(found) - set(trust))
    if not unknown:
        return found
    raise Untrusted(
        f"{name} has types that are not trusted: {', '.join(unknown)}; "
        "if you trust them, name them in 'trust', or say 'trust: all'",
        unknown,
    )


def _types(content: bytes) -> tuple[str, ...]:
    try:
        from skops import io  # noqa: PLC0415  large, and not everywhere
    except ModuleNotFoundError as error:
        raise MissingFramework("skops", "pip install skops") from error
    try:
        return tuple(io.get_untrusted_types(data=content))
    except Exception as error:
        raise BrokenModel(f"it is not a skops file ({type(error).__name__})", str(error)) from error

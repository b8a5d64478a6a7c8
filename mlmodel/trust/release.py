"""Find the release of scikit-learn that wrote a model, without building anything."""

from __future__ import annotations

import re

#: The version in the state of each estimator, with the opcodes of any protocol between the key and
#: its value; and the same as written by skops.
_RELEASE = re.compile(
    rb"_sklearn_version'?\n?(?:\x94|q.|r....|p\d+\n)?"
    rb"(?:[\x8cU](?P<byte>.)|[XT](?P<word>....)|V|S')(?P<text>\d+\.\d+[\w.+]*)",
    re.DOTALL,
)
_RELEASE_IN_SKOPS = re.compile(
    rb'"_sklearn_version":\s*\{[^{}]*?"content":\s*"\\"(?P<text>\d+\.\d+[\w.+]*)', re.DOTALL
)


def sklearn_release(content: bytes) -> str | None:
    """Return the scikit-learn release recorded in a pickle or in the schema of a skops file.

    Nothing is built. ``None`` if it holds no estimator of scikit-learn.

    :param content: not compressed.
    """
    found = _RELEASE.search(content) or _RELEASE_IN_SKOPS.search(content)
    if found is None:
        return None
    text = found["text"]
    # A text of known length is followed by the next opcode, which may be a letter.
    size = found.groupdict().get("byte") or found.groupdict().get("word")
    return text[: int.from_bytes(size, "little")].decode() if size else text.decode()

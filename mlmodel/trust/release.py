"""The release of scikit-learn that wrote a model, found without building anything of it."""

from __future__ import annotations

import re

#: What scikit-learn writes into the state of each estimator, with the opcodes of any protocol
#: between the key and its value; and what skops makes of the same.
_RELEASE = re.compile(
    rb"_sklearn_version'?\n?(?:\x94|q.|r....|p\d+\n)?"
    rb"(?:[\x8cU](?P<byte>.)|[XT](?P<word>....)|V|S')(?P<text>\d+\.\d+[\w.+]*)",
    re.DOTALL,
)
_RELEASE_IN_SKOPS = re.compile(
    rb'"_sklearn_version":\s*\{[^{}]*?"content":\s*"\\"(?P<text>\d+\.\d+[\w.+]*)', re.DOTALL
)


def sklearn_release(content: bytes) -> str | None:
    """Return the scikit-learn that wrote a model, by what it left in a pickle or skops' schema.

    Nothing is built. ``None`` if there is no estimator of scikit-learn in it.

    :param content: not compressed.
    """
    found = _RELEASE.search(content) or _RELEASE_IN_SKOPS.search(content)
    if found is None:
        return None
    text = found["text"]
    # After a text of known length comes the next opcode, which may be a letter.
    size = found.groupdict().get("byte") or found.groupdict().get("word")
    return text[: int.from_bytes(size, "little")].decode() if size else text.decode()

"""What a server and the process of an isolated model say to each other, as bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

#: Comes before what the standard library has written, and reads: a whole number of more than 64
#: bits, and half of a surrogate pair, which orjson has no words for.
WIDE = b" "


@dataclass(frozen=True)
class Bounds:
    """What a process may do, whichever models are in it."""

    is_sandboxed: bool = True
    #: Files and folders that it may read in the sandbox, see sandbox.py.
    reads: tuple[Path, ...] = ()
    #: Bytes of memory that it may take; 0 for as many as there are.
    memory_bytes: int = 0


def written(said: Any) -> bytes:
    """Return JSON of whatever it can say.

    :raises TypeError: for anything else.
    :raises ValueError: for what holds itself.
    """
    try:
        return orjson.dumps(said)
    except TypeError:
        return WIDE + json.dumps(said, allow_nan=False).encode()


def read(content: bytes) -> Any:
    """Return what was said.

    :raises ValueError: if it is no JSON.
    """
    return json.loads(content) if content.startswith(WIDE) else orjson.loads(content)

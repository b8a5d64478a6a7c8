"""Encoding of messages between the server and the process of an isolated model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

#: Prefix of messages for the standard library's json: orjson can encode neither integers of more
#: than 64 bits nor lone surrogates.
WIDE = b" "
#: Maximum bytes of a response, which the server holds in its own memory.
MAX_RESPONSE_BYTES = 100_000_000


@dataclass(frozen=True)
class Bounds:
    """Restrictions of a process, the same for all its models."""

    is_sandboxed: bool = True
    #: Files and folders that it may read in the sandbox, see sandbox.py.
    reads: tuple[Path, ...] = ()
    #: Maximum memory in bytes; 0 for all memory of the machine.
    memory_bytes: int = 0


def encode(value: Any) -> bytes:
    """Encode a value as JSON.

    :raises TypeError: if the value has a type that JSON lacks.
    :raises ValueError: if the value contains itself.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return WIDE + json.dumps(value, allow_nan=False).encode()


def decode(content: bytes) -> Any:
    """Decode a message.

    :raises ValueError: if it is not JSON.
    """
    return json.loads(content) if content.startswith(WIDE) else orjson.loads(content)

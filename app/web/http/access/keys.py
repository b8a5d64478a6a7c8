"""API keys: who may do what. The server knows only their hashes.

A key is ``mh_<id>_<secret>``. Its secret is 256 bits of chance, so a plain SHA-256 keeps it: there
is no dictionary of such secrets to try, and a slow hash, as passwords need, would only make each
request slow.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from app.serving.catalog.yaml_document import Document, key_of
from app.serving.errors import Mistake
from mlmodel.model import NAME
from mlmodel.schema.validator import Schema

log = logging.getLogger(__name__)

KEY = re.compile(r"mh_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
#: Characters of the name of a key.
MOST_CHARACTERS = 100
#: Seconds between two looks at whether the file has changed.
LOOK_SECONDS = 1.0


class Scope(StrEnum):
    """What a key is for."""

    PREDICT = "predict"  # see the models, and ask them
    METRICS = "metrics"  # read /metrics
    ADMIN = "admin"  # load and unload models, and all else


ENTRY = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9a-f]{12}$"},
        "name": {"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS},
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "scopes": {"type": "array", "items": {"enum": list(Scope)}, "minItems": 1},
        "models": {
            "type": "array",
            "items": {"type": "string", "pattern": f"^{NAME.pattern}$"},
            "minItems": 1,
        },
    },
    "required": ["id", "name", "sha256", "scopes"],
    "additionalProperties": False,
}
ENTRIES = Schema({"type": "array", "items": ENTRY})
FILE = Schema(
    {
        "type": "object",
        "properties": {"keys": {"type": "array", "items": ENTRY}},
        "required": ["keys"],
        "additionalProperties": False,
    }
)


class InvalidKeys(Exception):
    """The keys have mistakes; the message names all of them."""

    def __init__(self, place: str, mistakes: Sequence[Mistake]) -> None:
        super().__init__(
            "\n".join(f"{place}, line {each.line}: {each.key} {each.detail}" for each in mistakes)
        )


@dataclass(frozen=True)
class Key:
    """What is known of a key: its hash, and what it is for. Without ``models``, for all of them."""

    id: str
    name: str
    sha256: str
    scopes: frozenset[str]
    models: frozenset[str] = frozenset()

    def is_for(self, scope: Scope) -> bool:
        """Tell whether the key may be used so."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def opens(self, model: str | None) -> bool:
        """Tell whether the key is for a model, or the model of a version such as ``iris@2``.

        :param model: ``None`` to ask whether it is for all of them.
        """
        return not self.models or (model is not None and model.partition("@")[0] in self.models)


def made() -> tuple[str, str, str]:
    """Return a new key, its id and its hash."""
    name = secrets.token_hex(6)
    text = f"mh_{name}_{secrets.token_urlsafe(32)}"
    return text, name, _hashed(text)


def opened(settings: Mapping[str, Any], folder: Path, environ: Mapping[str, str]) -> Keys:
    """Return the keys that the settings name.

    :param folder: where a relative path starts.
    :param environ: what ``${NAME}`` in a file stands for.
    :raises InvalidKeys: naming every mistake.
    """
    file = folder / settings["KEYS_FILE"] if settings["KEYS_FILE"] else None
    return Keys(file, settings["KEYS"], environ)


class Keys:
    """The keys of a file and of the environment. Any thread may call any method.

    A file that changes is read again within a second, by each process; if it has mistakes then,
    the keys stay as they were, and the log says why.

    :param text: a YAML list of keys, empty for none.
    :raises InvalidKeys: naming every mistake.
    """

    def __init__(self, file: Path | None, text: str, environ: Mapping[str, str]) -> None:
        self._file = file
        self._environ = environ
        self._own = _read(text, "KEYS", environ) if text else []
        self._lock = threading.Lock()
        self._looked_at = time.monotonic()
        self._seen = _state(file)
        self._keys = self._all()
        #: Whether there may be any: not even an empty file opens what keys shut.
        self.are_set = file is not None or bool(text)

    def all(self) -> list[Key]:
        """Return the keys, those of the environment first."""
        self._look()
        return list(self._keys.values())

    def find(self, text: str) -> Key | None:
        """Return what is known of a key, if it is known."""
        self._look()
        shape = KEY.fullmatch(text)
        key = self._keys.get(shape[1]) if shape else None
        if key is not None and hmac.compare_digest(_hashed(text), key.sha256):
            return key
        return None

    def get(self, name: str) -> Key | None:
        """Return the key of an id, if there is one."""
        self._look()
        return self._keys.get(name)

    def _look(self) -> None:
        """Read the file again if it has changed."""
        if self._file is None or time.monotonic() - self._looked_at < LOOK_SECONDS:
            return
        with self._lock:
            self._looked_at = time.monotonic()
            state = _state(self._file)
            if state == self._seen:
                return
            self._seen = state
            try:
                self._keys = self._all()
            except InvalidKeys as error:
                log.error("the keys stay as they were: %s", error)
            else:
                log.info("%s has changed: there are %d keys now", self._file, len(self._keys))

    def _all(self) -> dict[str, Key]:
        found = list(self._own)
        if self._file is not None:
            found += _read(self._file, self._file.name, self._environ)
        keys: dict[str, Key] = {}
        for key in found:
            if key.id in keys:
                place = self._file.name if self._file else "KEYS"
                raise InvalidKeys(place, [Mistake(1, "id", f"{key.id!r} is there twice")])
            keys[key.id] = key
        return keys


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read(source: Path | str, place: str, environ: Mapping[str, str]) -> list[Key]:
    document = Document(source, environ)
    mistakes = document.mistakes or list(_mistakes(document, ENTRIES if place == "KEYS" else FILE))
    if mistakes:
        raise InvalidKeys(place, mistakes)
    entries = document.value if place == "KEYS" else document.value["keys"]
    return [_key(entry) for entry in entries]


def _mistakes(document: Document, schema: Schema) -> Iterator[Mistake]:
    for violation in schema.violations(document.value):
        yield Mistake(document.line(violation.pointer), key_of(violation.pointer), violation.detail)


def _key(entry: Mapping[str, Any]) -> Key:
    models = frozenset(entry.get("models", ()))
    return Key(entry["id"], entry["name"], entry["sha256"], frozenset(entry["scopes"]), models)


def _state(file: Path | None) -> tuple[int, ...] | None:
    """Return what changes when a file does; ``None`` if there is none."""
    try:
        about = os.stat(file) if file else None
    except OSError:
        return None
    return (about.st_mtime_ns, about.st_size, about.st_ino) if about else None

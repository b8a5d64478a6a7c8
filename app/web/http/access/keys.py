"""API keys with scopes and models. The server stores only their hashes.

A key is ``mh_<id>_<secret>``. The secret is 256 random bits, so a plain SHA-256 protects it: no
dictionary attack is possible, and a slow password hash would only slow down each request.
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

from app.serving.catalog.yaml_document import Document, to_key
from app.serving.errors import Mistake
from mlmodel.model import NAME
from mlmodel.schema.validator import Schema

log = logging.getLogger(__name__)

KEY = re.compile(r"mh_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
#: Maximum characters of a key's name.
MAX_NAME_CHARACTERS = 100
#: Minimum seconds between two checks whether the file has changed.
CHECK_SECONDS = 1.0


class Scope(StrEnum):
    """What a key permits."""

    PREDICT = "predict"  # list models and predict
    METRICS = "metrics"  # read /metrics
    ADMIN = "admin"  # load and unload models; includes all other scopes


ENTRY = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9a-f]{12}$"},
        "name": {"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARACTERS},
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
    """The keys have mistakes; the message lists all of them."""

    def __init__(self, place: str, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(f"{each.place(place)} {each.detail}" for each in mistakes))


@dataclass(frozen=True)
class Key:
    """A key's hash, scopes and models. Without ``models``, it is valid for all models."""

    id: str
    name: str
    sha256: str
    scopes: frozenset[str]
    models: frozenset[str] = frozenset()

    def has_scope(self, scope: Scope) -> bool:
        """Return whether the key has a scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def is_valid_for(self, model: str | None) -> bool:
        """Return whether the key is valid for a model, or for that of a version such as ``iris@2``.

        :param model: ``None`` for all models.
        """
        return not self.models or (model is not None and model.partition("@")[0] in self.models)


def generate_key() -> tuple[str, str, str]:
    """Return a new random key, its id and its hash."""
    key_id = secrets.token_hex(6)
    text = f"mh_{key_id}_{secrets.token_urlsafe(32)}"
    return text, key_id, _hash(text)


def load_keys(settings: Mapping[str, Any], folder: Path, environ: Mapping[str, str]) -> Keys:
    """Return the keys of ``KEYS_FILE`` and ``KEYS``.

    :param folder: the base of a relative path.
    :param environ: the values of ``${NAME}`` in a file.
    :raises InvalidKeys: with every mistake.
    """
    file = folder / settings["KEYS_FILE"] if settings["KEYS_FILE"] else None
    return Keys(file, settings["KEYS"], environ)


class Keys:
    """The keys of a file and of the environment. Any thread may call any method.

    Each process rereads the file when a key is looked up, at most once a second, if it changed. If
    it has mistakes then, the process keeps the old keys and logs the mistakes.

    :param text: a YAML list of keys; empty for none.
    :raises InvalidKeys: with every mistake.
    """

    def __init__(self, file: Path | None, text: str, environ: Mapping[str, str]) -> None:
        self._file = file
        self._environ = environ
        self._environment_keys = _read(text, "KEYS", environ) if text else []
        self._lock = threading.Lock()
        self._checked_at = time.monotonic()
        self._file_state = _get_state(file)
        self._keys = self._read_all()
        #: Whether keys are configured. An empty file counts: it must not make the portal public.
        self.are_set = file is not None or bool(text)

    def all(self) -> list[Key]:
        """Return all keys, those of the environment first."""
        self._reload_if_changed()
        return list(self._keys.values())

    def find(self, text: str) -> Key | None:
        """Return the entry of a key that a client sent, or ``None`` if it is unknown."""
        self._reload_if_changed()
        match = KEY.fullmatch(text)
        key = self._keys.get(match[1]) if match else None
        if key is not None and hmac.compare_digest(_hash(text), key.sha256):
            return key
        return None

    def get(self, key_id: str) -> Key | None:
        """Return the entry with an id, or ``None``."""
        self._reload_if_changed()
        return self._keys.get(key_id)

    def _reload_if_changed(self) -> None:
        """Reread the file if it has changed."""
        if self._file is None or time.monotonic() - self._checked_at < CHECK_SECONDS:
            return
        with self._lock:
            self._checked_at = time.monotonic()
            state = _get_state(self._file)
            if state == self._file_state:
                return
            self._file_state = state
            try:
                self._keys = self._read_all()
            except InvalidKeys as error:
                log.error("invalid keys; keeping the previous ones: %s", error)
            else:
                log.info("reloaded %s: %d keys", self._file, len(self._keys))

    def _read_all(self) -> dict[str, Key]:
        found = list(self._environment_keys)
        if self._file is not None:
            found += _read(self._file, self._file.name, self._environ)
        keys: dict[str, Key] = {}
        for key in found:
            if key.id in keys:
                place = self._file.name if self._file else "KEYS"
                mistake = Mistake(None, "id", f"must be unique, got {key.id!r} twice")
                raise InvalidKeys(place, [mistake])
            keys[key.id] = key
        return keys


def _hash(text: str) -> str:
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
        yield Mistake(document.line(violation.pointer), to_key(violation.pointer), violation.detail)


def _key(entry: Mapping[str, Any]) -> Key:
    models = frozenset(entry.get("models", ()))
    return Key(entry["id"], entry["name"], entry["sha256"], frozenset(entry["scopes"]), models)


def _get_state(file: Path | None) -> tuple[int, ...] | None:
    """Return modification time, size and inode of a file; ``None`` if there is no file."""
    try:
        about = os.stat(file) if file else None
    except OSError:
        return None
    return (about.st_mtime_ns, about.st_size, about.st_ino) if about else None

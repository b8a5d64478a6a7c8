"""The file of an entry that is fetched from another place."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from app.serving.fetching.order import FetchFailed, Order
from app.serving.fetching.transfer import transfer
from mlmodel.bounded.safe_open import create_private_folder
from mlmodel.errors import InvalidFile
from mlmodel.files import source

#: The cache, in CACHE_FOLDER.
FOLDER = "fetched"
#: The file of a place with what is known about it.
RECORD = "record.json"
#: The name of the file or folder in the folder of a copy.
CONTENT = "content"
#: Seconds after which a copy that no place refers to is deleted.
KEEP_SECONDS = 86_400

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fetching:
    """The settings for fetching: the cache, the places that need no ``sha256``, and the limits."""

    cache: Path
    named: tuple[str, ...] = ()
    max_bytes: int = 4_000_000_000
    seconds: float = 300.0

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], root: Path) -> Fetching:
        """Return the settings.

        :param root: where a relative CACHE_FOLDER starts.
        """
        # Not `Path.expanduser`, which raises an error if the user has no home folder.
        cache = root / os.path.expanduser(settings["CACHE_FOLDER"])
        return cls(
            cache / FOLDER,
            tuple(settings["FETCH_FROM"].split()),
            settings["FETCH_MAX_BYTES"],
            settings["FETCH_SECONDS"],
        )


@dataclass(frozen=True)
class _Record:
    """What is known about a place: its version in the cache, and why it was not updated."""

    version: str | None = None
    #: The copy that served before the current one.
    previous: str = ""
    failure: str = ""
    #: Whether this version cannot serve, so that the previous copy is current.
    is_rejected: bool = False


@dataclass(frozen=True)
class FetchedFile:
    """A file or folder at an address, and its copy in the cache. Safe in threads and processes.

    Copies are named by their SHA-256. :attr:`path` is a link to the current one, which changes in
    one step. Processes with the same cache have the same current copy: :meth:`ensure` fetches it if
    there is none, so loading a model never changes it; :meth:`update` does, before a reload.

    :param sha256: the only copy that is valid.
    :param check_seconds: how often to check for another version; ``None`` to check in reloads only.
    """

    url: str
    fetching: Fetching
    sha256: str | None = None
    check_seconds: float | None = None

    @property
    def path(self) -> Path:
        """The path of the current copy, named like the file at the address."""
        last = unquote(self.url.partition("?")[0]).rstrip("/").rpartition("/")[2]
        if self.url.startswith("models:"):
            last = unquote(self.url).split("/")[1].partition("@")[0]
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", last).lstrip(".-")[-100:]
        return self._place / (name or "model")

    @property
    def address(self) -> str:
        """The address without its query, which may hold a secret."""
        return self.url.partition("?")[0]

    @property
    def failure(self) -> str:
        """Why the current copy was not replaced by the version at the address, or ``""``."""
        return _read_record(self._place).failure

    def ensure(self) -> bool:
        """Fetch the file unless the cache has a copy; return whether this call has made one.

        :raises FetchFailed: if that fails.
        """
        if self.path.exists():
            return False
        with self._locked():
            if not self.path.exists():
                try:
                    self._fetch(_Record())
                except FetchFailed as error:
                    raise FetchFailed(f"{self.address} was not fetched: {error}") from error
        return True

    def update(self, older_than_seconds: float = 0) -> None:
        """Make the version that is at the address now the current copy, if there is another one.

        On failure the current copy stays, and :attr:`failure` gives the reason. So does a file with
        ``sha256``.

        :param older_than_seconds: do nothing if another process has checked since.
        """
        if self.sha256 or not self.path.exists():
            return
        try:
            with self._locked():
                if self._checked_seconds_ago() >= older_than_seconds:
                    self._update()
        except FetchFailed as error:
            log.error("%s was not fetched again: %s", self.address, error)

    def revert(self, reason: str) -> None:
        """Make the previous copy current again, since the new one cannot serve.

        The version of the new one is not fetched again.
        """
        with self._locked():
            record = _read_record(self._place)
            if record.previous and self._copy(record.previous).exists():
                self._point_to(record.previous)
                self._write(replace(record, previous="", failure=reason, is_rejected=True))

    @property
    def _place(self) -> Path:
        key = hashlib.sha256(f"{self.url} {self.sha256}".encode()).hexdigest()[:32]
        return self.fetching.cache / "places" / key

    def _copy(self, sha256: str) -> Path:
        return self.fetching.cache / "copies" / sha256 / CONTENT

    def _checked_seconds_ago(self) -> float:
        with suppress(OSError):
            return time.time() - (self._place / RECORD).stat().st_mtime
        return float("inf")

    def _update(self) -> None:
        record = _read_record(self._place)
        try:
            self._fetch(record)
        except FetchFailed as error:
            failure = f"{self.address} was not fetched again: {error}"
            log.error("%s", failure)
            self._write(replace(record, failure=failure))

    def _fetch(self, record: _Record) -> None:
        """Fetch another version than that of a record, and make it current. Call it locked."""
        if self.sha256 and self._copy(self.sha256).exists():
            self._point_to(self.sha256)
            return
        with self._temporary_folder() as folder:
            limits = self.fetching
            target = folder / CONTENT
            order = Order(self.url, str(target), limits.max_bytes, limits.named, record.version)
            version = transfer(order, limits.seconds)
            if version is None:
                self._write(record if record.is_rejected else replace(record, failure=""))
                return
            sha256 = self._store(folder)
        current = self._current()
        self._point_to(sha256)
        previous = record.previous if sha256 == current else current
        self._write(_Record(version, previous))
        self._delete_unused()

    def _store(self, folder: Path) -> str:
        """Move a fetched file to the copies, and return its hash."""
        try:
            sha256 = source.sha256_of(folder / CONTENT)
        except (OSError, InvalidFile) as error:
            raise FetchFailed(str(error)) from error
        if self.sha256 not in (None, sha256):
            raise FetchFailed(f"its SHA-256 is {sha256}, and the entry has {self.sha256}")
        copy = self._copy(sha256).parent
        copy.parent.mkdir(exist_ok=True)
        with suppress(OSError):  # there is such a copy already
            folder.rename(copy)
        return sha256

    def _current(self) -> str:
        with suppress(OSError):
            return Path(os.readlink(self.path)).parent.name
        return ""

    def _point_to(self, sha256: str) -> None:
        copy = self._copy(sha256)
        with suppress(OSError):
            os.utime(copy.parent)
        new = self._place / "new"
        new.unlink(missing_ok=True)
        new.symlink_to(os.path.relpath(copy, self._place))
        new.replace(self.path)

    def _delete_unused(self) -> None:
        cache, oldest = self.fetching.cache, time.time() - KEEP_SECONDS
        links = [link for link in cache.glob("places/*/*") if link.is_symlink()]
        used = {Path(os.readlink(link)).parent.name for link in links}
        used |= {_read_record(link.parent).previous for link in links}
        copies = [copy for copy in cache.glob("copies/*") if copy.name not in used]
        for each in [*copies, *cache.glob("new-*")]:
            with suppress(OSError):
                if each.stat().st_mtime < oldest:
                    shutil.rmtree(each, ignore_errors=True)

    def _write(self, record: _Record) -> None:
        new = self._place / "record.new"
        new.write_text(json.dumps(asdict(record)), encoding="utf-8")
        new.replace(self._place / RECORD)

    @contextmanager
    def _temporary_folder(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(dir=self.fetching.cache, prefix="new-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            create_private_folder(self.fetching.cache)
            self._place.mkdir(parents=True, exist_ok=True)
            lock = (self._place / "lock").open("wb")
        except OSError as error:
            raise FetchFailed(f"CACHE_FOLDER cannot be used: {error.strerror or error}") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield
            except OSError as error:
                raise FetchFailed(f"it cannot be written: {error.strerror}") from error
            finally:
                # Closing is not enough: a process forked meanwhile has the same lock.
                fcntl.flock(lock, fcntl.LOCK_UN)


def _read_record(place: Path) -> _Record:
    try:
        return _Record(**json.loads((place / RECORD).read_bytes()))
    except (OSError, ValueError, TypeError):
        return _Record()

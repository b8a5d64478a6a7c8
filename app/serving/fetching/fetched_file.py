"""The file of an entry that is fetched from another place."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from app.serving.fetching.cache import CONTENT, Cache, FetchRecord, Place
from app.serving.fetching.fetch_request import FetchFailed, FetchRequest
from app.serving.fetching.transfer import transfer

#: The cache, in CACHE_FOLDER.
FOLDER = "fetched"

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
class FetchedFile:
    """A file or folder at an address, and its copy in the cache. Safe in threads and processes.

    :attr:`path` leads to the current copy. Processes with the same cache have the same one:
    :meth:`ensure` fetches it if there is none, so loading a model never changes it; :meth:`update`
    does, before a reload.

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
        return self._place.link

    @property
    def address(self) -> str:
        """The address without its query, which may hold a secret."""
        return self.url.partition("?")[0]

    @property
    def failure(self) -> str:
        """Why the current copy is not the version at the address, or ``""``."""
        record = self._place.record
        if record.failure:
            return f"{self.address} was not fetched again: {record.failure}"
        return record.reason

    def ensure(self, older_than_seconds: float = 0) -> bool:
        """Fetch the file unless the cache has a copy; return whether it had none.

        If another process tries at the same time, this call waits, and has the same result.

        :param older_than_seconds: do nothing if another process has failed since.
        :raises FetchFailed: if the file cannot be fetched.
        """
        if self.path.exists():
            self.touch()
            return False
        started = time.monotonic()
        try:
            with self._place.locked():
                since = max(older_than_seconds, time.monotonic() - started)
                if not self.path.exists():
                    self._raise_failure(since)
                    self._fetch(FetchRecord())
        except FetchFailed as error:
            raise FetchFailed(f"{self.address} was not fetched: {error}") from None
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
            with self._place.locked():
                if self._place.checked_seconds_ago >= older_than_seconds:
                    self._fetch(self._place.record)
        except FetchFailed as error:
            log.error("%s was not fetched again: %s", self.address, error)

    def revert(self, reason: str) -> None:
        """Make the previous copy current again, since the new one cannot serve.

        The new one does not become current again.
        """
        place = self._place
        try:
            with place.locked():
                record, rejected = place.record, place.current
                if record.previous and place.cache.get_copy(record.previous).exists():
                    place.point_to(record.previous)
                    place.write(replace(record, previous="", rejected=rejected, reason=reason))
        except FetchFailed as error:
            log.error("the previous copy of %s is not current: %s", self.address, error)

    def touch(self) -> None:
        """Keep the copy in the cache, where unused ones are deleted."""
        self._place.touch()

    @property
    def _place(self) -> Place:
        key = hashlib.sha256(f"{self.url} {self.sha256}".encode()).hexdigest()[:32]
        last = unquote(self.address).rstrip("/").rpartition("/")[2]
        if self.url.startswith("models:"):
            last = unquote(self.url).split("/")[1].partition("@")[0]
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", last).lstrip(".-")[-100:]
        return Place(Cache(self.fetching.cache), key, name or "model")

    def _raise_failure(self, seconds: float) -> None:
        """Raise the failure of a check within these last seconds, if it failed."""
        failure = self._place.record.failure
        if failure and self._place.checked_seconds_ago < seconds:
            raise FetchFailed(failure)

    def _fetch(self, record: FetchRecord) -> None:
        """Fetch another version than that of a record, and record a failure. Call it locked."""
        try:
            new = self._fetch_version(record)
        except FetchFailed as error:
            self._place.write(replace(record, failure=str(error)))
            raise
        self._place.write(replace(new, failure=""))
        if new is not record:
            self._place.cache.delete_unused()

    def _fetch_version(self, record: FetchRecord) -> FetchRecord:
        """Make another version than that of a record current, and return its record."""
        place, cache, limits = self._place, self._place.cache, self.fetching
        if self.sha256 and cache.get_copy(self.sha256).exists():
            place.point_to(self.sha256)
            return FetchRecord()
        with cache.temporary_folder() as folder:
            target = str(folder / CONTENT)
            request = FetchRequest(self.url, target, limits.max_bytes, limits.named, record.version)
            version = transfer(request, limits.seconds)
            if version is None:
                return record
            sha256 = cache.store(folder, self.sha256)
        if sha256 == record.rejected:
            return replace(record, version=version)
        current = place.current
        place.point_to(sha256)
        return FetchRecord(version, record.previous if sha256 == current else current)

"""The cache of fetched files: copies, and the places that refer to them.

    copies/<SHA-256>/content      a file or folder
    places/<key>/file/<name>      a link to the current copy, which changes in one step
    places/<key>/record.json      its :class:`FetchRecord`, written at each check
    places/<key>/lock
    new-*/                        what is being fetched

The name of a link is the model's, so it has a folder of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from app.serving.fetching.fetch_request import FetchFailed
from app.serving.process.shared_file import locked
from mlmodel.bounded.safe_open import create_private_folder
from mlmodel.errors import InvalidFile
from mlmodel.files import source

RECORD = "record.json"
#: The name of the file or folder in the folder of a copy.
CONTENT = "content"
#: Seconds after which a copy that no place refers to, and a place that is not used, are deleted.
KEEP_COPY_SECONDS = 86_400
KEEP_PLACE_SECONDS = 30 * 86_400


@dataclass(frozen=True)
class FetchRecord:
    """The facts about a place, written at each check."""

    #: What identifies the fetched version at the address, such as an ETag; ``None`` before.
    version: str | None = None
    #: The SHA-256 of the copy before the current one; empty without one.
    previous: str = ""
    #: Why the last check failed; empty if it succeeded.
    failure: str = ""
    #: The SHA-256 of a copy that no model could be built from, and the reason.
    rejected: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Cache:
    """The copies, named by their SHA-256. Safe in threads and processes."""

    folder: Path

    def get_copy(self, sha256: str) -> Path:
        """Return the path of a copy, which may not exist."""
        return self.folder / "copies" / sha256 / CONTENT

    @contextmanager
    def temporary_folder(self) -> Iterator[Path]:
        """Create a folder for what is being fetched, and remove it at the end of the block."""
        folder = Path(tempfile.mkdtemp(dir=self.folder, prefix="new-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def store(self, folder: Path, expected: str | None) -> str:
        """Move the content of a temporary folder to the copies, and return its SHA-256.

        :param expected: the only valid SHA-256; ``None`` if any is valid.
        :raises FetchFailed: if it has another one, or cannot be read.
        """
        try:
            sha256 = source.sha256_of(folder / CONTENT)
        except (OSError, InvalidFile) as error:
            raise FetchFailed(str(error)) from error
        if expected not in (None, sha256):
            raise FetchFailed(f"its SHA-256 is {sha256}, and the entry has {expected}")
        copy = self.get_copy(sha256).parent
        copy.parent.mkdir(exist_ok=True)
        with suppress(OSError):  # there is such a copy already
            folder.rename(copy)
        return sha256

    def delete_unused(self) -> None:
        """Delete places that were not used for long, and copies that no place refers to."""
        places = [*self.folder.glob("places/*")]
        _delete_old(places, KEEP_PLACE_SECONDS)
        used = {_get_target(link) for link in self.folder.glob("places/*/file/*")}
        used |= {_read_record(place).previous for place in places}
        copies = [copy for copy in self.folder.glob("copies/*") if copy.name not in used]
        _delete_old([*copies, *self.folder.glob("new-*")], KEEP_COPY_SECONDS)


@dataclass(frozen=True)
class Place:
    """The part of the cache for one address. A process changes it only while it holds its lock."""

    cache: Cache
    key: str
    name: str

    @property
    def link(self) -> Path:
        """The path of the current copy."""
        return self._folder / "file" / self.name

    @property
    def current(self) -> str:
        """The SHA-256 of the current copy; empty without one."""
        return _get_target(self.link)

    @property
    def record(self) -> FetchRecord:
        """The facts about the place."""
        return _read_record(self._folder)

    @property
    def checked_seconds_ago(self) -> float:
        """The seconds since the place was checked last."""
        with suppress(OSError):
            return time.time() - (self._folder / RECORD).stat().st_mtime
        return float("inf")

    def touch(self) -> None:
        """Mark the place as used."""
        with suppress(OSError):
            os.utime(self._folder)

    def write(self, record: FetchRecord) -> None:
        """Replace the record."""
        new = self._folder / "record.new"
        new.write_text(json.dumps(asdict(record)), encoding="utf-8")
        new.replace(self._folder / RECORD)

    def point_to(self, sha256: str) -> None:
        """Make a copy the current one."""
        copy, new = self.cache.get_copy(sha256), self._folder / "new"
        with suppress(OSError):
            os.utime(copy.parent)
        self.link.parent.mkdir(exist_ok=True)
        new.unlink(missing_ok=True)
        new.symlink_to(os.path.relpath(copy, self.link.parent))
        new.replace(self.link)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the place during the block.

        :raises FetchFailed: if the cache cannot be used.
        """
        with ExitStack() as locks:
            try:
                create_private_folder(self.cache.folder)
                self._folder.mkdir(parents=True, exist_ok=True)
                self.touch()
                locks.enter_context(locked(self._folder / "lock"))
            except OSError as error:
                what = error.strerror or error
                raise FetchFailed(f"CACHE_FOLDER cannot be used: {what}") from error
            try:
                yield
            except OSError as error:
                raise FetchFailed(f"it cannot be written: {error.strerror}") from error

    @property
    def _folder(self) -> Path:
        return self.cache.folder / "places" / self.key


def _get_target(link: Path) -> str:
    with suppress(OSError):
        return Path(os.readlink(link)).parent.name
    return ""


def _read_record(place: Path) -> FetchRecord:
    try:
        return FetchRecord(**json.loads((place / RECORD).read_bytes()))
    except (OSError, ValueError, TypeError):
        return FetchRecord()


def _delete_old(folders: list[Path], seconds: float) -> None:
    oldest = time.time() - seconds
    for each in folders:
        with suppress(OSError):
            if each.stat().st_mtime < oldest:
                shutil.rmtree(each, ignore_errors=True)

"""What to fetch, within which limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.serving.errors import ServingError

#: Bytes that are copied at once.
CHUNK_BYTES = 1 << 20


class FetchFailed(ServingError):
    """A file cannot be fetched; the message gives the public reason."""


@dataclass
class FetchRequest:
    """One transfer: of the file or folder at an address to ``target``.

    :param max_bytes: the maximum size of the file or folder.
    :param version: the version in the cache, as the place describes it, which is not fetched again.
    :param named: the places that may be read even if they are on internal addresses.
    """

    url: str
    target: str
    max_bytes: int
    named: tuple[str, ...] = ()
    version: str | None = None
    copied_bytes: int = 0

    @property
    def path(self) -> Path:
        """The path of the target."""
        return Path(self.target)

    @property
    def excess(self) -> str:
        """The reason for not fetching what exceeds the limit."""
        return f"it has more than {self.max_bytes:,} bytes (FETCH_MAX_BYTES)"

    def copy(self, stream: IO[bytes], target: Path) -> None:
        """Write the bytes of a stream to a file.

        :raises FetchFailed: if all files together exceed the limit.
        """
        with target.open("wb") as file:
            while chunk := stream.read(CHUNK_BYTES):
                self.copied_bytes += len(chunk)
                self.check_size(self.copied_bytes)
                file.write(chunk)

    def check_size(self, size_bytes: int) -> None:
        """Check a size against the limit.

        :raises FetchFailed: if it exceeds the limit.
        """
        if size_bytes > self.max_bytes:
            raise FetchFailed(self.excess)

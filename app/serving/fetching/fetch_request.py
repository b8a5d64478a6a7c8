"""What to fetch, within which limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO

#: Bytes that are copied at once.
CHUNK_BYTES = 1 << 20


class FetchFailed(Exception):
    """A file cannot be fetched; the message gives the public reason."""


@dataclass
class Order:
    """One transfer: of the file or folder at an address to ``target``.

    :param version: the version at hand, as the place describes it, which is not fetched again.
    :param named: the places that may be read even if they are on internal addresses.
    :param max_bytes: how many bytes may still be written.
    """

    url: str
    target: str
    max_bytes: int
    named: tuple[str, ...] = ()
    version: str | None = None

    @property
    def path(self) -> Path:
        """The path of the target."""
        return Path(self.target)

    def copy(self, stream: IO[bytes], target: Path) -> None:
        """Write what a stream holds to a file.

        :raises FetchFailed: if it exceeds the limit.
        """
        with target.open("wb") as file:
            while chunk := stream.read(CHUNK_BYTES):
                self.spend(len(chunk))
                file.write(chunk)

    def spend(self, size_bytes: int) -> None:
        """Count bytes that are written, or that a place announces.

        :raises FetchFailed: if they exceed the limit.
        """
        if size_bytes > self.max_bytes:
            raise FetchFailed("it has more bytes than FETCH_MAX_BYTES")
        self.max_bytes -= size_bytes

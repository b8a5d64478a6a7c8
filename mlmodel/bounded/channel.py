"""Messages of bytes between two processes, over a pipe for each direction, with time limits.

Pipes, and not sockets: a model that opens a socket while it is loaded is loaded after the fork.
"""

from __future__ import annotations

import os
import select
import struct
import time

_HEADER = struct.Struct("<Q")
_PIECE_BYTES = 1 << 20


class Channel:
    """One end of a connection. One thread at a time may use it.

    :param reading: the descriptor to read from; the channel closes both.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        for descriptor in (reading, writing):
            os.set_blocking(descriptor, False)

    def send(self, message: bytes, seconds: float = 0) -> None:
        """Send a message.

        :param seconds: the time limit; 0 for none.
        :raises TimeoutError: if the other process has not read it in that time.
        :raises OSError: if the other process has closed its end.
        """
        end = _end(seconds)
        _wait(self._writing, select.POLLOUT, end)
        # A pipe that can be written to has room for more than the header.
        sent = os.writev(self._writing, (_HEADER.pack(len(message)), message)) - _HEADER.size
        rest = memoryview(message)[sent:]
        while rest:
            _wait(self._writing, select.POLLOUT, end)
            rest = rest[os.write(self._writing, rest) :]

    def receive(self, seconds: float = 0, most_bytes: float = float("inf")) -> bytes:
        """Return the next message.

        :param seconds: the time limit; 0 for none.
        :raises TimeoutError: if there is no whole message in that time.
        :raises EOFError: if the other process has closed its end.
        :raises ValueError: if the message has more than ``most_bytes``.
        """
        end = _end(seconds)
        [size] = _HEADER.unpack(self._read(_HEADER.size, end))
        if size > most_bytes:
            raise ValueError(f"expected a message of at most {most_bytes:,} bytes, got {size:,}")
        return self._read(size, end)

    def has_message(self, seconds: float) -> bool:
        """Wait for a message, or for the end of the channel; return false if there is none."""
        try:
            _wait(self._reading, select.POLLIN, _end(seconds))
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Close both descriptors."""
        os.close(self._reading)
        os.close(self._writing)

    def _read(self, size: int, end: float | None) -> bytes:
        pieces = []
        while size:
            _wait(self._reading, select.POLLIN, end)
            pieces.append(os.read(self._reading, min(size, _PIECE_BYTES)))
            if not pieces[-1]:
                raise EOFError
            size -= len(pieces[-1])
        return b"".join(pieces)


def _end(seconds: float) -> float | None:
    return time.monotonic() + seconds if seconds else None


def _wait(descriptor: int, event: int, end: float | None) -> None:
    ready = select.poll()
    ready.register(descriptor, event)
    left = None if end is None else max(0.0, end - time.monotonic()) * 1000
    if not ready.poll(left):
        raise TimeoutError

"""Threads and connections, which do not survive a fork: models with any must load after it.

The forked process lacks the threads and their unfinished work. It would share each connection with
its parent, and each of them would read responses meant for the other.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Set
from pathlib import Path

from mlmodel.bounded.child_process import threads

FILES = Path("/proc/self/fd")


def find_threads_and_sockets() -> Set[str]:
    """Return names of the threads and connections of this process.

    On Linux, of all of them; elsewhere, only of the threads that Python started.
    """
    found = threads()
    if found is None:
        return {f"thread {thread.ident}" for thread in threading.enumerate()}
    return {f"thread {thread}" for thread in found} | set(_sockets())


def _sockets() -> Iterator[str]:
    for file in FILES.iterdir():
        try:
            target = os.readlink(file)
        except OSError:  # the descriptor of the listing itself, already closed
            continue
        if target.startswith("socket:"):
            yield target

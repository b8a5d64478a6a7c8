"""What of a process a fork does not carry over: a model that has it must be loaded after the fork.

Threads are gone in the forked process, with whatever they were about to do; and a connection
would be one and the same in both, each reading what the other was sent.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Set
from pathlib import Path

TASKS = Path("/proc/self/task")
FILES = Path("/proc/self/fd")


def ties() -> Set[str]:
    """Return what ties whoever has it to this process: its threads and its connections.

    On Linux all of them, elsewhere the threads that Python knows.
    """
    if not TASKS.is_dir():
        return {f"thread {thread.ident}" for thread in threading.enumerate()}
    return {f"thread {task.name}" for task in TASKS.iterdir()} | set(_sockets())


def _sockets() -> Iterator[str]:
    for file in FILES.iterdir():
        try:
            target = os.readlink(file)
        except OSError:  # the folder's own, which is closed by now
            continue
        if target.startswith("socket:"):
            yield target

"""Processes of this machine, and what the programs of those that the server starts begin with."""

from __future__ import annotations

import os
from pathlib import Path

APP = Path(__file__).parents[2]
#: The beginning of a program that needs the engine only; its last argument is :data:`APP`. With the
#: web application, in whose package the engine is, the start would take three times as long, and
#: twice the memory.
ENGINE_ONLY = """
import sys, types
sys.modules["app"] = app = types.ModuleType("app")
app.__path__ = [sys.argv.pop()]
"""
#: Prefixes of environment variables that are for the server only: settings, keys, shared folders.
PRIVATE = ("MODELHOST_", "PROMETHEUS_MULTIPROC_DIR", "SHARED_STATE_DIR")


def get_public_environ() -> dict[str, str]:
    """Return the environment variables that a process which the server starts may see."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PRIVATE)}


def is_alive(pid: int) -> bool:
    """Return whether a process has this PID."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's process, so it is alive
        return True
    return True

"""Processes of this machine, and how those that the server starts begin; threads of this one."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Set
from fnmatch import fnmatchcase
from pathlib import Path

from mlmodel.bounded.child_process import threads

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
#: Patterns of the variables that a sandboxed process may see: where Python and its libraries are,
#: and how they compute. Any other may hold credentials, also `TF_VAR_*` and `NVIDIA_API_KEY`.
HARMLESS = (
    *("HOME", "LANG", "LANGUAGE", "LC_*", "LOGNAME", "PATH", "TZ", "USER", "XDG_*_HOME"),
    *("CONDA_PREFIX", "LD_LIBRARY_PATH", "LD_PRELOAD", "MALLOC_*", "PYTHON*", "VIRTUAL_ENV"),
    *("*_NUM_THREADS", "ARROW_*", "BLIS_*", "CUDA_*", "GOTO_*", "HF_HOME", "JAX_*", "KERAS_*"),
    *("KMP_*", "MKL_*", "MPLBACKEND", "NLTK_DATA", "NPY_*", "NUMBA_*", "NVIDIA_DRIVER_*"),
    *("NVIDIA_VISIBLE_DEVICES", "OMP_*", "OPENBLAS_*", "ORT_*", "PYTORCH_*", "SCIPY_*"),
    *("SKLEARN_*", "TF_CPP_*", "TF_ENABLE_*", "TF_FORCE_*", "TF_GPU_*", "TF_NUM_*"),
    *("TF_USE_*", "TF_XLA_*", "TORCH_*", "XLA_*"),
)
#: Variables that bind threads to processors, besides GOMP_CPU_AFFINITY, which is not in the list
#: above. The sandbox denies setting the processors of a thread by its id, and libgomp then exits.
BINDING = frozenset({"KMP_AFFINITY", "OMP_PLACES", "OMP_PROC_BIND"})
FILES = Path("/proc/self/fd")


def get_public_environ() -> dict[str, str]:
    """Return the environment variables that a process which the server starts may see."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PRIVATE)}


def get_sandbox_environ() -> dict[str, str]:
    """Return the environment variables that a sandboxed process may see."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in BINDING and any(fnmatchcase(name, each) for each in HARMLESS)
    }


def is_alive(pid: int) -> bool:
    """Return whether a process has this PID."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's process, so it is alive
        return True
    return True


def find_threads_and_sockets() -> Set[str]:
    """Return names of the threads and connections of this process.

    On Linux, of all of them; elsewhere, only of the threads that Python started. Models with any
    must load after a fork. The forked process lacks the threads and their unfinished work. It would
    share each connection with its parent, and each would read responses meant for the other.
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

"""CPU time and memory of a server's process tree."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

import psutil


def members(root: int) -> list[psutil.Process]:
    """Return the process, its descendants, and all processes in its session.

    A server is started in its own session, so processes whose parent has exited are found too.
    """
    found = {process.pid: process for process in _descendants(root)}
    for process in psutil.process_iter():
        if process.pid not in found and _session(process.pid) == root:
            found[process.pid] = process
    return list(found.values())


def cpu_seconds(root: int) -> float:
    """Return the user and system time of the tree so far.

    It includes the children that a process has waited for, and thus processes that started and
    exited between two calls. The resolution is 10 ms.
    """
    return sum(_cpu_seconds(process) for process in members(root))


def pss_bytes(root: int) -> int:
    """Return the tree's memory (PSS): shared pages are divided among the processes."""
    return sum(_pss_bytes(process) for process in members(root))


def _descendants(root: int) -> Iterator[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(root)
        yield process
        yield from process.children(recursive=True)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system + times.children_user + times.children_system


def _pss_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return 0

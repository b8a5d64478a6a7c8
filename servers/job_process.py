"""The processes of a server that run jobs: started when there is one, and again after a crash."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.serving.jobs import WAKE
from config import get_folder
from mlmodel.bounded import child_process
from mlmodel.bounded.child_process import ChildProcess, ProcessEnded

log = logging.getLogger("modelhost")

#: The program of such a process. It sends a message when it ends because no job is left.
PROGRAM = """
from servers.job_process import main
main()
"""
#: Seconds between two checks for a job.
LOOK_SECONDS = 0.5
#: Seconds before a process that crashed is started again; they double with each crash.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
#: Seconds in which all processes must release their chunks when the server stops.
STOP_SECONDS = 5.0
#: Variables of the web workers that the process must not use.
OTHERS = ("PROMETHEUS_MULTIPROC_DIR", "SHARED_STATE_DIR")

#: The processes of this server.
_processes: set[ChildProcess] = set()
_is_stopping = threading.Event()


def start(settings: Mapping[str, Any]) -> None:
    """Run the jobs of this server. Call it once, in the master.

    A thread for each process waits for a job, and starts the process, which ends with the master.
    """
    wake = get_folder(settings, "JOBS_FOLDER") / WAKE
    for number in range(settings["JOBS_PROCESSES"]):
        name = f"jobs-{number}"
        threading.Thread(target=_supervise, args=(wake,), name=name, daemon=True).start()


def stop() -> None:
    """Stop the processes, which release their chunks. Call it when the master ends."""
    _is_stopping.set()
    stopped = [process for process in list(_processes) if not process.has_exited]
    for process in stopped:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for process in stopped:
        process.wait(deadline - time.monotonic())


def main() -> None:
    """Run jobs, in the process."""
    channel = child_process.connect()
    from app.cli.commands.jobs.working import work_for_server  # noqa: PLC0415

    work_for_server()
    channel.send(b"idle")


def _supervise(wake: Path) -> None:
    seen, pause = 0, FIRST_PAUSE
    while not _is_stopping.is_set():
        now = _stamp(wake)
        if now == seen:
            time.sleep(LOOK_SECONDS)
        elif _run():
            seen, pause = now, FIRST_PAUSE
        elif not _is_stopping.is_set():
            log.error("the process that runs jobs has ended; it starts again in %g s", pause)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def _stamp(wake: Path) -> int:
    with suppress(OSError):
        return wake.stat().st_mtime_ns
    return 0


def _run() -> bool:
    """Run a process to its end, and return whether it ended because no job is left."""
    environ = {name: value for name, value in os.environ.items() if name not in OTHERS}
    try:
        process = ChildProcess.spawn(
            PROGRAM, environ=environ | {"OMP_NUM_THREADS": "1"}, has_output=True
        )
    except OSError as error:
        log.error("cannot start a process that runs jobs: %s", error)
        return False
    _processes.add(process)
    try:
        for line in process.output:
            sys.stderr.buffer.write(line)
            sys.stderr.flush()
        return process.receive(LOOK_SECONDS) == b"idle"
    except (OSError, ProcessEnded):  # a TimeoutError is an OSError
        return False
    finally:
        _processes.discard(process)
        process.end()

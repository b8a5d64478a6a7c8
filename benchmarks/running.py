"""Starts servers, waits until they are ready, checks their predictions, and stops them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks import tree
from benchmarks.comparison import WrongPrediction, compare
from benchmarks.entry import ROW, Entry, Stage
from benchmarks.models import Model
from benchmarks.wrk import WrkFailed

#: One thread per worker, so that workers do not compete for cores.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
#: Seconds within which a server must predict correctly, and within which it must stop.
START_SECONDS, STOP_SECONDS = 90, 5
#: Connections for checks, enough to reach every worker.
CHECKERS = 8
JSON = {"Content-Type": "application/json"}


class ServerFailed(Exception):
    """A server did not start or predicted wrongly. The message ends with the server's output."""


@dataclass(frozen=True)
class Server:
    """A running server that is ready."""

    entry: Entry
    pid: int
    port: int
    #: Wall time and CPU time of the process tree from the start to the first correct prediction.
    start_seconds: float
    start_cpu_seconds: float

    def url(self, model: Model, form: str) -> str:
        """Return the URL for a form of body."""
        return f"http://127.0.0.1:{self.port}{self.entry.path(model.name, form)}"

    def check(self, model: Model, form: str, count: int) -> None:
        """Request predictions over several connections, and compare them with the estimator's.

        :param count: the number of rows.
        :raises WrongPrediction: at the first difference.
        """
        rows, expected = model.rows(count), model.predictions(count)
        size = 1 if form == ROW else count
        requests = [
            (rows[at : at + size], expected[at : at + size]) for at in range(0, count, size)
        ] * (1 if form == ROW else CHECKERS)

        def send(share: int) -> None:
            with httpx.Client(headers=JSON, timeout=30) as client:
                for rows_part, expected_part in requests[share::CHECKERS]:
                    body = self.entry.body(model, rows_part, form)
                    response = client.post(self.url(model, form), content=body)
                    compare(self.entry, model, form, _content(response), expected_part)

        with ThreadPoolExecutor(CHECKERS) as pool:
            list(pool.map(send, range(CHECKERS)))


@contextmanager
def running(entry: Entry, stage: Stage, models: Sequence[Model]) -> Iterator[Server]:
    """Run a server. Yield it once it predicts the first row of each model correctly.

    :raises ServerFailed: with the end of the server's output.
    """
    _require_free(stage.port)
    log = stage.scratch / "server.log"
    command = entry.start(stage)
    started_at = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command.arguments,
            cwd=command.folder,
            env=_environ(command.environ, stage.programs),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        server = Server(entry, process.pid, stage.port, 0, 0)
        for model in models:
            _wait(server, model, process, started_at)
        server = Server(
            entry,
            process.pid,
            stage.port,
            time.perf_counter() - started_at,
            tree.cpu_seconds(process.pid),
        )
        if entry.settle:
            entry.settle(stage.port, stage.models)
        yield server
    except (WrongPrediction, WrkFailed, httpx.HTTPError, ServerFailed) as error:
        raise ServerFailed(f"{error}\n{_tail(log)}") from error
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and all processes that it started: SIGTERM first, then SIGKILL."""
    members = tree.members(process.pid)
    try:
        if process.poll() is None:
            process.terminate()
        psutil.wait_procs(members, timeout=STOP_SECONDS)
    finally:
        for member in {*members, *tree.members(process.pid)}:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait()


def _environ(more: dict[str, str], programs: Path) -> dict[str, str]:
    inherited = {
        name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ
    }
    return {**inherited, "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin", **ONE_THREAD, **more}


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ServerFailed(f"port {port} is in use; choose another with --port") from error


def _wait(
    server: Server, model: Model, process: subprocess.Popen[bytes], started_at: float
) -> None:
    """Wait until the first row is predicted correctly."""
    body = server.entry.body(model, model.rows(1), ROW)
    while True:
        if process.poll() is not None:
            raise ServerFailed(f"exited with status {process.returncode} before it was ready")
        is_late = time.perf_counter() - started_at > START_SECONDS
        try:
            response = httpx.post(server.url(model, ROW), content=body, headers=JSON, timeout=30)
        except httpx.TransportError as error:
            if is_late:
                raise ServerFailed(f"not ready within {START_SECONDS} seconds: {error}") from error
        else:
            if response.is_success or is_late:
                return compare(server.entry, model, ROW, _content(response), model.predictions(1))
        time.sleep(0.02)


def _content(response: httpx.Response) -> bytes:
    if not response.is_success:
        raise WrongPrediction(f"status {response.status_code}: {response.text[:500]}")
    return response.content


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def stop_on_sigterm() -> None:
    """Handle SIGTERM like Ctrl-C: stop all servers, then exit."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)

"""Starting a server, waiting until it answers, asking it, and stopping all of it."""

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
from benchmarks.answers import Wrong, compare
from benchmarks.entry import ROW, Entry, Stage
from benchmarks.models import Model
from benchmarks.wrk import WrkFailed

#: One thread each for everybody, or the workers fight for the cores.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
#: Seconds in which a server must answer rightly, and in which it must end.
START_SECONDS, STOP_SECONDS = 90, 5
#: Connections over which answers are checked, so that every worker is asked.
CHECKERS = 8
JSON = {"Content-Type": "application/json"}


class ServerFailed(Exception):
    """A server did not start, or did not answer as it should; ends with what it wrote."""


@dataclass(frozen=True)
class Server:
    """A server that runs and is ready."""

    entry: Entry
    pid: int
    port: int
    #: Wall time and processor time of the tree from the start to the first right answer.
    start_seconds: float
    start_cpu_seconds: float

    def url(self, model: Model, form: str) -> str:
        """Return where a form of body is posted."""
        return f"http://127.0.0.1:{self.port}{self.entry.path(model.name, form)}"

    def check(self, model: Model, form: str, count: int) -> None:
        """Ask for so many rows, over several connections at once, and compare all answers.

        :raises Wrong: at the first that is not the estimator's own.
        """
        rows, expected = model.rows(count), model.answers(count)
        size = 1 if form == ROW else count
        asked = [
            (rows[at : at + size], expected[at : at + size]) for at in range(0, count, size)
        ] * (1 if form == ROW else CHECKERS)

        def ask(share: int) -> None:
            with httpx.Client(headers=JSON, timeout=30) as client:
                for some_rows, their_answers in asked[share::CHECKERS]:
                    body = self.entry.body(model, some_rows, form)
                    response = client.post(self.url(model, form), content=body)
                    compare(self.entry, model, form, _content(response), their_answers)

        with ThreadPoolExecutor(CHECKERS) as pool:
            list(pool.map(ask, range(CHECKERS)))


@contextmanager
def running(entry: Entry, stage: Stage, models: Sequence[Model]) -> Iterator[Server]:
    """Start a server, give it once it answers the first row of each model, and stop it.

    :raises ServerFailed: with the end of what it wrote.
    """
    _require_free(stage.port)
    log = stage.scratch / "server.log"
    command = entry.start(stage)
    began = time.perf_counter()
    with log.open("wb") as written:
        process = subprocess.Popen(
            command.arguments,
            cwd=command.folder,
            env=_environ(command.environ, stage.programs),
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        server = Server(entry, process.pid, stage.port, 0, 0)
        for model in models:
            _wait(server, model, process, began)
        yield Server(
            entry,
            process.pid,
            stage.port,
            time.perf_counter() - began,
            tree.cpu_seconds(process.pid),
        )
    except (Wrong, WrkFailed, httpx.HTTPError, ServerFailed) as error:
        raise ServerFailed(f"{error}\n{_tail(log)}") from error
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and whatever it started, kindly at first."""
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
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin", **ONE_THREAD, **more}


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ServerFailed(f"port {port} is taken; --port chooses another") from error


def _wait(server: Server, model: Model, process: subprocess.Popen[bytes], began: float) -> None:
    """Ask until the first row is answered rightly."""
    body = server.entry.body(model, model.rows(1), ROW)
    while True:
        if process.poll() is not None:
            raise ServerFailed(f"ended with {process.returncode} before it answered")
        late = time.perf_counter() - began > START_SECONDS
        try:
            response = httpx.post(server.url(model, ROW), content=body, headers=JSON, timeout=30)
        except httpx.TransportError as error:
            if late:
                raise ServerFailed(f"no answer within {START_SECONDS} seconds: {error}") from error
        else:
            if response.is_success or late:
                return compare(server.entry, model, ROW, _content(response), model.answers(1))
        time.sleep(0.02)


def _content(response: httpx.Response) -> bytes:
    if not response.is_success:
        raise Wrong(f"answered {response.status_code}: {response.text[:500]}")
    return response.content


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def stop_on_sigterm() -> None:
    """Let SIGTERM end the program as Ctrl-C does, with every server stopped."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)

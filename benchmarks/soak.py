"""Sends valid and invalid requests to a server for a time, and reports resource usage.

    python -m benchmarks.soak granian 600

The requests are single rows, many rows, CSV files, pages, metrics, invalid bodies and incomplete
requests. A model is reloaded twice a minute. Each line of output covers a tenth of the time, with
the memory (PSS), open descriptors and threads of all processes.
"""

from __future__ import annotations

import itertools
import json
import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import click
import psutil

from benchmarks.tree import members, pss_bytes
from config import CHOICES
from tests import ROOT
from tests.running_server import WITH_ADMIN, Running, serving

WORKERS = 2
#: Concurrent clients, and the seconds between two requests of each.
CLIENTS = 4
PAUSE = 0.02
PARTS = 10
RELOAD_SECONDS = 30
SAMPLE_SECONDS = 2
JSON = {"Content-Type": "application/json"}
MODELS = ("iris", "iris-alone", "wine", "diabetes", "loan", "tickets")
#: Bodies that the server rejects.
INVALID: Sequence[bytes] = (
    b"",
    b"{",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a": 1e400}',
    b'{"a": ' + b"9" * 10_000 + b"}",
    b'{"a": 1, "a": 2}',
    b'{"a": "\\ud800"}',
    b'{"unknown": "member"}',
    b"[" + b"{}," * 2000 + b"{}]",
)
PAGES = (
    "/",
    "/models/loan/predict",
    "/models/iris/metadata",
    "/openapi.json",
    "/metrics",
    "/nowhere",
)

Request = tuple[str, str, bytes | None, dict[str, str]]


@dataclass
class Usage:
    """Resource usage of a server at one moment."""

    pss: int
    descriptors: int
    threads: int


@dataclass
class Soak:
    """The clients, and the number of responses by status or error."""

    port: int
    examples: dict[str, object]
    responses: Counter[str] = field(default_factory=Counter)
    end: threading.Event = field(default_factory=threading.Event)

    def run_client(self, seed: int) -> None:
        """Send random requests until the end."""
        rng = random.Random(seed)
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        for number in itertools.count():
            if self.end.wait(PAUSE):
                break
            try:
                if number % 50 == 0:
                    self._send_incomplete()
                self._send(connection, *self._next(rng))
            except (OSError, HTTPException) as error:
                self.responses[type(error).__name__] += 1
                connection.close()
        connection.close()

    def _send(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
    ) -> None:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        response.read()
        self.responses[str(response.status)] += 1

    def _next(self, rng: random.Random) -> Request:
        model = rng.choice(MODELS)
        row = self.examples[model]
        path = f"/api/models/{model}/predict"
        kind = rng.random()
        if kind < 0.6:
            return "POST", path, json.dumps(row).encode(), JSON
        if kind < 0.65:
            return "POST", path, json.dumps([row] * 1000).encode(), JSON
        if kind < 0.7:
            return "POST", f"/api/models/{model}/rows", _csv(row), {"Content-Type": "text/csv"}
        if kind < 0.9:
            return "POST", path, rng.choice(INVALID), JSON
        return "GET", rng.choice(PAGES), None, {}

    def _send_incomplete(self) -> None:
        head = b"POST /api/models/iris/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
        with socket.create_connection(("127.0.0.1", self.port), 30) as connection:
            connection.sendall(head)


def main(server: str, seconds: float) -> None:
    """Print resource usage for each part of the time, and the responses."""
    with tempfile.TemporaryDirectory() as name:
        settings = {"WORKERS": WORKERS, "MODELHOST_ACCESS_LOG": "false", **WITH_ADMIN}
        with serving(server, Path(name), _models(), **settings) as running:
            _soak(running, seconds)


def _models() -> str:
    files = sorted((ROOT / "examples/models").glob("*.flm"))
    iris = "class: examples.iris.IrisModel"
    alone = f"{iris}\n    name: iris-alone\n    isolate: true"
    lines = [iris, alone, *(f"file: {file}" for file in files)]
    return "models:\n" + "".join(f"  - {line}\n" for line in lines)


def _soak(running: Running, seconds: float) -> None:
    with _running_clients(running) as soak:
        start = time.monotonic()
        threading.Thread(target=_reload, args=(running, soak), daemon=True).start()
        for part in range(PARTS):
            usage = list(_sample_usage(running, start + seconds * (part + 1) / PARTS))
            click.echo(_format_usage(f"{seconds * (part + 1) / PARTS:6.0f} s", usage))
    time.sleep(SAMPLE_SECONDS)
    click.echo(_format_usage("  after", [_get_usage(running.process.pid)]))
    click.echo(f"responses: {dict(sorted(soak.responses.items()))}")


@contextmanager
def _running_clients(running: Running) -> Iterator[Soak]:
    examples = {
        name: running.ask(f"/api/models/{name}/metadata")[1]["examples"][0] for name in MODELS
    }
    soak = Soak(running.port, examples)
    threads = [threading.Thread(target=soak.run_client, args=(seed,)) for seed in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield soak
    finally:
        soak.end.set()
        for thread in threads:
            thread.join()


def _reload(running: Running, soak: Soak) -> None:
    while not soak.end.wait(RELOAD_SECONDS):
        soak.responses[f"reload {running.change('/api/models/loan/reload')[0]}"] += 1


def _sample_usage(running: Running, end: float) -> Iterator[Usage]:
    yield _get_usage(running.process.pid)
    while time.monotonic() < end:
        time.sleep(SAMPLE_SECONDS)
        yield _get_usage(running.process.pid)


def _get_usage(root: int) -> Usage:
    processes = members(root)
    descriptors = threads = 0
    for process in processes:
        with suppress(psutil.Error):
            descriptors += process.num_fds()
            threads += process.num_threads()
    return Usage(pss_bytes(root), descriptors, threads)


def _format_usage(when: str, usage: Sequence[Usage]) -> str:
    memory = [each.pss / 1e6 for each in usage]
    return (
        f"{when}: memory {sum(memory) / len(memory):6.1f} MB (max {max(memory):6.1f}), "
        f"max descriptors {max(each.descriptors for each in usage)}, "
        f"max threads {max(each.threads for each in usage)}"
    )


def _csv(row: object) -> bytes:
    if not isinstance(row, dict):
        return b"value\n1\n"
    lines = [",".join(row), ",".join(json.dumps(value) for value in row.values())]
    return "\n".join(lines).encode()


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in CHOICES["SERVER"]:
        sys.exit(__doc__)
    main(sys.argv[1], float(sys.argv[2]))

"""Asks a server everything, right and wrong, for ten minutes, and watches what it keeps of that.

    python -m benchmarks.soak granian 600

Rows, many rows, columns, CSV, pages, metrics, bodies that are none, requests that stop in their
middle and, twice a minute, a model that is loaded again. Told are, for each part of the time, the
memory of all processes (PSS), their open descriptors and their threads.
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
from tests.running_server import ROOT, SERVERS, WITH_ADMIN, Running, serving

WORKERS = 2
#: How many ask at the same time, each a request after the other, with a pause between two.
CLIENTS = 4
PAUSE = 0.02
PARTS = 10
RELOAD_SECONDS = 30
LOOK_SECONDS = 2
JSON = {"Content-Type": "application/json"}
MODELS = ("iris", "iris-alone", "wine", "diabetes", "loan", "tickets")
#: Bodies that are refused.
WRONG: Sequence[bytes] = (
    b"",
    b"{",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a": 1e400}',
    b'{"a": ' + b"9" * 10_000 + b"}",
    b'{"a": 1, "a": 2}',
    b'{"a": "\\ud800"}',
    b'{"nothing": "that is known"}',
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

Asked = tuple[str, str, bytes | None, dict[str, str]]


@dataclass
class Kept:
    """What a server keeps at a moment."""

    pss: int
    descriptors: int
    threads: int


@dataclass
class Soak:
    """Who asks, and what was answered: so many of each status, and of each error."""

    port: int
    examples: dict[str, object]
    answers: Counter[str] = field(default_factory=Counter)
    end: threading.Event = field(default_factory=threading.Event)

    def ask_on(self, seed: int) -> None:
        """Ask until the end, in an order of chance."""
        chance = random.Random(seed)
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        for number in itertools.count():
            if self.end.wait(PAUSE):
                break
            try:
                if number % 50 == 0:
                    self._stop_in_the_middle()
                self._ask(connection, *self._next(chance))
            except (OSError, HTTPException) as error:
                self.answers[type(error).__name__] += 1
                connection.close()
        connection.close()

    def _ask(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
    ) -> None:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        self.answers[str(answer.status)] += 1

    def _next(self, chance: random.Random) -> Asked:
        model = chance.choice(MODELS)
        row = self.examples[model]
        path = f"/api/models/{model}/predict"
        kind = chance.random()
        if kind < 0.6:
            return "POST", path, json.dumps(row).encode(), JSON
        if kind < 0.65:
            return "POST", path, json.dumps([row] * 1000).encode(), JSON
        if kind < 0.7:
            return "POST", f"/api/models/{model}/rows", _csv(row), {"Content-Type": "text/csv"}
        if kind < 0.9:
            return "POST", path, chance.choice(WRONG), JSON
        return "GET", chance.choice(PAGES), None, {}

    def _stop_in_the_middle(self) -> None:
        head = b"POST /api/models/iris/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
        with socket.create_connection(("127.0.0.1", self.port), 30) as connection:
            connection.sendall(head)


def main(server: str, seconds: float) -> None:
    """Print a line for each part of the time, and what was answered."""
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
    with _asking(running) as soak:
        start = time.monotonic()
        threading.Thread(target=_reload, args=(running, soak), daemon=True).start()
        for part in range(PARTS):
            kept = list(_watched(running, start + seconds * (part + 1) / PARTS))
            click.echo(_told(f"{seconds * (part + 1) / PARTS:6.0f} s", kept))
    time.sleep(LOOK_SECONDS)
    click.echo(_told("  after", [_kept(running.process.pid)]))
    click.echo(f"answered: {dict(sorted(soak.answers.items()))}")


@contextmanager
def _asking(running: Running) -> Iterator[Soak]:
    examples = {
        name: running.ask(f"/api/models/{name}/metadata")[1]["examples"][0] for name in MODELS
    }
    soak = Soak(running.port, examples)
    threads = [threading.Thread(target=soak.ask_on, args=(seed,)) for seed in range(CLIENTS)]
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
        soak.answers[f"reload {running.change('/api/models/loan/reload')[0]}"] += 1


def _watched(running: Running, end: float) -> Iterator[Kept]:
    while time.monotonic() < end:
        yield _kept(running.process.pid)
        time.sleep(LOOK_SECONDS)


def _kept(root: int) -> Kept:
    processes = members(root)
    descriptors = threads = 0
    for process in processes:
        with suppress(psutil.Error):
            descriptors += process.num_fds()
            threads += process.num_threads()
    return Kept(pss_bytes(root), descriptors, threads)


def _told(when: str, kept: Sequence[Kept]) -> str:
    memory = [each.pss / 1e6 for each in kept]
    return (
        f"{when}: memory {sum(memory) / len(memory):6.1f} MB (most {max(memory):6.1f}), "
        f"descriptors at most {max(each.descriptors for each in kept)}, "
        f"threads at most {max(each.threads for each in kept)}"
    )


def _csv(row: object) -> bytes:
    if not isinstance(row, dict):
        return b"value\n1\n"
    lines = [",".join(row), ",".join(json.dumps(value) for value in row.values())]
    return "\n".join(lines).encode()


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in SERVERS:
        sys.exit(__doc__)
    main(sys.argv[1], float(sys.argv[2]))

"""The order of measuring: rounds in which every server has its turn, one at a time.

A server runs only while it is measured: it is started, checked, loaded, checked again and stopped,
and another follows. So every round measures the start as well, and nobody's idle workers are in
another's way.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import environments, models, tree, wrk
from benchmarks.entry import COLUMNS, ROW, ROWS, Entry, Stage
from benchmarks.models import Model
from benchmarks.results import Failed, Filled, Loaded, Results, Started
from benchmarks.running import Server, ServerFailed, running

#: Different rows that are asked, one after the other.
DIFFERENT_ROWS = 200
#: Seconds of load that are not measured, so that all workers are warm.
WARM_UP_SECONDS = 1
#: Connections over which requests of many rows come.
MANY_CONNECTIONS = 4
#: Ports that a server may use, and those of all servers together.
PORTS_EACH, PORTS = 4, 48
MB = 1e6


class OutOfTime(Exception):
    """The minutes that the run was given are over."""


@dataclass(frozen=True)
class Load:
    """One kind of load: the form of its bodies, rows in each, connections."""

    form: str
    rows: int
    connections: int

    @property
    def body(self) -> str:
        """What a body is, in words."""
        words = {ROW: "1 row", ROWS: f"{self.rows:,} rows", COLUMNS: f"{self.rows:,} rows"}
        return words[self.form]


def single(connections: Sequence[int]) -> list[Load]:
    """Return the loads of one row a request."""
    return [Load(ROW, 1, each) for each in connections]


def many(rows: int) -> list[Load]:
    """Return the loads of so many rows a request, as objects and as columns."""
    return [Load(form, rows, MANY_CONNECTIONS) for form in (ROWS, COLUMNS)]


class Benchmark:
    """A run of the driver: where it works, until when, what it has measured so far."""

    def __init__(
        self, folder: Path, tell: Callable[[str], None], minutes: float, workers: int, port: int
    ) -> None:
        self.results = Results()
        self._folder = folder
        self._tell = tell
        self._end = time.monotonic() + minutes * 60
        self._workers = workers
        self._first_port, self._turns = port, 0
        self._programs: dict[str, Path] = {}

    def install(self, entries: Sequence[Entry]) -> list[Entry]:
        """Make the environments, and return the servers that can be started."""
        for entry in entries:
            try:
                self._programs[entry.name] = environments.programs(entry.requirements, self._tell)
            except environments.InstallFailed as error:
                self._fail(entry, "all", str(error))
        return [entry for entry in entries if entry.name in self._programs]

    def load(
        self,
        entries: Sequence[Entry],
        names: Sequence[str],
        loads: Sequence[Load],
        rounds: int,
        seconds: float,
    ) -> None:
        """Measure every server with each model under every load, round by round."""
        trained = [self._train(name) for name in names]
        for turn in range(rounds):
            for model in trained:
                for entry in random.sample(entries, len(entries)):
                    self._tell(f"Round {turn + 1} of {rounds}, {model.name}, {entry.name}:")
                    self._guarded(entry, model.name, self._turn, entry, model, loads, seconds)

    def fill(self, entries: Sequence[Entry], count: int, workers: Sequence[int]) -> None:
        """Measure the memory of servers that have many large models."""
        self._tell(f"Making {count} models of 20 MB ...")
        trained = models.large(count)
        for model in trained:
            models.write(model, self._folder)
        for number in workers:
            for entry in entries:
                if entry.is_shared:
                    self._tell(f"{count} models of 20 MB, {number} workers, {entry.name}:")
                    self._guarded(entry, "large", self._fill, entry, trained, number)

    def _train(self, name: str) -> Model:
        self._tell(f"Training {name} ...")
        model = models.train(name)
        models.write(model, self._folder)
        return model

    def _guarded(
        self, entry: Entry, model: str, measure: Callable[..., None], *arguments: object
    ) -> None:
        """Measure; whatever goes wrong with one server is told, and the others go on."""
        if time.monotonic() > self._end:
            raise OutOfTime
        try:
            measure(*arguments)
        except ServerFailed as error:
            self._fail(entry, model, str(error))

    def _turn(self, entry: Entry, model: Model, loads: Sequence[Load], seconds: float) -> None:
        with self._started(entry, [model], self._workers) as (server, scratch):
            started = Started(
                entry.name, model.name, server.start_seconds, server.start_cpu_seconds
            )
            self.results.started.append(started)
            self._tell(f"  ready after {started.seconds:.1f} s, {started.cpu_seconds:.1f} s of CPU")
            for load in loads:
                if load.form in entry.forms:
                    self._measure(server, model, load, seconds, scratch)

    def _measure(
        self, server: Server, model: Model, load: Load, seconds: float, scratch: Path
    ) -> None:
        count = DIFFERENT_ROWS if load.form == ROW else load.rows
        rows = model.rows(count)
        asked = [[row] for row in rows] if load.form == ROW else [rows]
        bodies = [server.entry.body(model, some, load.form) for some in asked]
        url = server.url(model, load.form)
        server.check(model, load.form, count)
        wrk.run(url, bodies, scratch, load.connections, WARM_UP_SECONDS)
        before = tree.cpu_seconds(server.pid)
        seen = wrk.run(url, bodies, scratch, load.connections, seconds)
        spent = tree.cpu_seconds(server.pid) - before
        pss = tree.pss_bytes(server.pid)
        server.check(model, load.form, count)
        name = server.entry.name + (" (columns)" if load.form == COLUMNS else "")
        run = Loaded(
            server=name,
            model=model.name,
            body=load.body,
            connections=load.connections,
            per_second=seen.per_second,
            p50_ms=seen.p50_ms,
            p99_ms=seen.p99_ms,
            cpu_microseconds=spent / seen.requests * 1e6,
            pss_mb=pss / MB,
        )
        self.results.loaded.append(run)
        self._tell(
            f"  {load.body}, {load.connections} connections: {run.per_second:,.0f} requests/s, "
            f"{run.cpu_microseconds:,.0f} µs of CPU each, p50 {run.p50_ms:.2f} ms, "
            f"p99 {run.p99_ms:.2f} ms; answers right"
        )

    def _fill(self, entry: Entry, trained: Sequence[Model], workers: int) -> None:
        with self._started(entry, trained, workers) as (server, _):
            for model in trained:
                server.check(model, ROW, len(model.table))
            run = Filled(entry.name, len(trained), workers, tree.pss_bytes(server.pid) / MB)
        self.results.filled.append(run)
        self._tell(f"  {run.pss_mb:,.0f} MB; answers right")

    @contextmanager
    def _started(
        self, entry: Entry, served: Sequence[Model], workers: int
    ) -> Iterator[tuple[Server, Path]]:
        port = self._first_port + self._turns * PORTS_EACH % PORTS
        self._turns += 1
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            scratch = Path(name)
            stage = Stage(
                models=[model.name for model in served],
                folder=self._folder,
                scratch=scratch,
                workers=workers,
                port=port,
                programs=self._programs[entry.name],
            )
            with running(entry, stage, served) as server:
                yield server, scratch

    def _fail(self, entry: Entry, model: str, reason: str) -> None:
        self.results.failed.append(Failed(entry.name, model, reason))
        self._tell(f"  FAILED: {reason}")

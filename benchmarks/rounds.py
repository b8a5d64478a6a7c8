"""Rounds of measurements, in which each server is measured once.

A server runs only while it is measured: it is started, checked, put under load, checked again and
stopped. Each round therefore measures the start too, and idle workers of one server do not affect
another.
"""

from __future__ import annotations

import functools
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

#: Number of different rows that are sent in turn.
DIFFERENT_ROWS = 200
#: Seconds of load before the measurement, to warm up all workers.
WARM_UP_SECONDS = 1
#: Connections for requests of many rows.
MANY_CONNECTIONS = 4
#: Ports per server, and of all servers together.
PORTS_EACH, PORTS = 4, 48
MB = 1e6


class OutOfTime(Exception):
    """The time limit of the run has passed."""


@dataclass(frozen=True)
class Load:
    """One kind of load: form of the bodies, rows per body, connections."""

    form: str
    rows: int
    connections: int

    @property
    def body(self) -> str:
        """A short description of a body."""
        descriptions = {ROW: "1 row", ROWS: f"{self.rows:,} rows", COLUMNS: f"{self.rows:,} rows"}
        return descriptions[self.form]


def single_row_loads(connections: Sequence[int]) -> list[Load]:
    """Return the loads with one row per request."""
    return [Load(ROW, 1, each) for each in connections]


def many_row_loads(rows: int) -> list[Load]:
    """Return the loads with this many rows per request, as objects and as columns."""
    return [Load(form, rows, MANY_CONNECTIONS) for form in (ROWS, COLUMNS)]


class Benchmark:
    """One run of the benchmark, with its results so far."""

    def __init__(
        self, folder: Path, log: Callable[[str], None], minutes: float, workers: int, port: int
    ) -> None:
        self.results = Results()
        self._folder = folder
        self._log = log
        self._end = time.monotonic() + minutes * 60
        self._workers = workers
        self._first_port, self._starts = port, 0
        self._programs: dict[str, Path] = {}

    def install(self, entries: Sequence[Entry]) -> list[Entry]:
        """Create the environments, and return the servers that can be started."""
        for entry in entries:
            try:
                self._programs[entry.name] = environments.programs(entry.requirements, self._log)
            except environments.InstallFailed as error:
                self._fail(entry, "all", str(error))
        return [entry for entry in entries if entry.name in self._programs]

    def measure_load(
        self,
        entries: Sequence[Entry],
        names: Sequence[str],
        loads: Sequence[Load],
        rounds: int,
        seconds: float,
    ) -> None:
        """Measure every server with each model under each load, in rounds."""
        trained = [self._train(name) for name in names]
        for turn in range(rounds):
            for model in trained:
                for entry in random.sample(entries, len(entries)):
                    self._log(f"Round {turn + 1} of {rounds}, {model.name}, {entry.name}:")
                    self._run_guarded(
                        entry, model.name, self._measure_server, entry, model, loads, seconds
                    )

    def measure_memory(self, entries: Sequence[Entry], count: int, workers: Sequence[int]) -> None:
        """Measure the memory of servers that have many large models."""
        self._log(f"Training {count} models of 20 MB ...")
        trained = models.build_large(count)
        for model in trained:
            models.write(model, self._folder)
        for number in workers:
            for entry in entries:
                if entry.is_shared:
                    self._log(f"{count} models of 20 MB, {number} workers, {entry.name}:")
                    self._run_guarded(entry, "large", self._measure_full, entry, trained, number)

    def _train(self, name: str) -> Model:
        self._log(f"Training {name} ...")
        model = models.train(name)
        models.write(model, self._folder)
        return model

    def _run_guarded(
        self, entry: Entry, model: str, measure: Callable[..., None], *arguments: object
    ) -> None:
        """Run a measurement. If the server fails, record that and continue with the others."""
        if time.monotonic() > self._end:
            raise OutOfTime
        try:
            measure(*arguments)
        except ServerFailed as error:
            self._fail(entry, model, str(error))

    def _measure_server(
        self, entry: Entry, model: Model, loads: Sequence[Load], seconds: float
    ) -> None:
        with self._run_server(entry, [model], self._workers) as (server, scratch):
            started = Started(
                entry.name, model.name, server.start_seconds, server.start_cpu_seconds
            )
            self.results.started.append(started)
            self._log(f"  ready after {started.seconds:.1f} s ({started.cpu_seconds:.1f} s of CPU)")
            for load in loads:
                if load.form in entry.forms:
                    self._measure(server, model, load, seconds, scratch)

    def _measure(
        self, server: Server, model: Model, load: Load, seconds: float, scratch: Path
    ) -> None:
        count = DIFFERENT_ROWS if load.form == ROW else load.rows
        rows = model.rows(count)
        batches = [[row] for row in rows] if load.form == ROW else [rows]
        bodies = [server.entry.body(model, some, load.form) for some in batches]
        url = server.url(model, load.form)
        server.check(model, load.form, count)
        send = functools.partial(
            wrk.run,
            url,
            bodies,
            scratch,
            connections=load.connections,
            headers=server.entry.headers,
        )
        send(seconds=WARM_UP_SECONDS)
        before = tree.cpu_seconds(server.pid)
        measured = send(seconds=seconds)
        cpu_seconds = tree.cpu_seconds(server.pid) - before
        pss = tree.pss_bytes(server.pid)
        server.check(model, load.form, count)
        name = server.entry.name + (" (columns)" if load.form == COLUMNS else "")
        run = Loaded(
            server=name,
            model=model.name,
            body=load.body,
            connections=load.connections,
            per_second=measured.per_second,
            p50_ms=measured.p50_ms,
            p99_ms=measured.p99_ms,
            cpu_microseconds=cpu_seconds / measured.requests * 1e6,
            pss_mb=pss / MB,
        )
        self.results.loaded.append(run)
        self._log(
            f"  {load.body}, {load.connections} connections: {run.per_second:,.0f} requests/s, "
            f"{run.cpu_microseconds:,.0f} µs of CPU each, p50 {run.p50_ms:.2f} ms, "
            f"p99 {run.p99_ms:.2f} ms; all predictions correct"
        )

    def _measure_full(self, entry: Entry, trained: Sequence[Model], workers: int) -> None:
        with self._run_server(entry, trained, workers) as (server, _):
            for model in trained:
                server.check(model, ROW, len(model.table))
            run = Filled(entry.name, len(trained), workers, tree.pss_bytes(server.pid) / MB)
        self.results.filled.append(run)
        self._log(f"  {run.pss_mb:,.0f} MB; all predictions correct")

    @contextmanager
    def _run_server(
        self, entry: Entry, served: Sequence[Model], workers: int
    ) -> Iterator[tuple[Server, Path]]:
        port = self._first_port + self._starts * PORTS_EACH % PORTS
        self._starts += 1
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
        self._log(f"  FAILED: {reason}")

"""The command line: ``python -m benchmarks``."""

from __future__ import annotations

import json
import logging
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

import click

from benchmarks import report, wrk
from benchmarks.entries import BASELINE, ENTRIES
from benchmarks.models import TRAINERS
from benchmarks.rounds import Benchmark, OutOfTime, many_row_loads, single_row_loads
from benchmarks.running import stop_on_sigterm

#: Models and peers of the short run.
SHORT_MODELS = ["logistic", "forest"]
SHORT_PEERS = [BASELINE, "fastapi"]
OURS = [name for name, entry in ENTRIES.items() if entry.is_ours]


class CommaList(click.ParamType):
    """A comma-separated list of names, or of numbers."""

    name = "list"

    def __init__(self, choices: Sequence[str] = ()) -> None:
        self._choices = choices

    def convert(self, value: object, param: object, ctx: object) -> list[object]:
        """Return the members of the list."""
        if not isinstance(value, str):
            return list(value)  # type: ignore[call-overload]
        parts = [part.strip() for part in value.split(",")]
        if not self._choices:
            return [self._number(part) for part in parts]
        for part in parts:
            if part not in self._choices:
                self.fail(f"unknown name {part!r}; valid: {', '.join(self._choices)}")
        return parts

    def _number(self, part: str) -> int:
        if not part.isdigit() or part == "0":
            self.fail(f"{part!r} is not a whole number of at least 1")
        return int(part)


@click.command(context_settings={"max_content_width": 100})
@click.option("--full", is_flag=True, help="Measure everything; takes about two hours.")
@click.option(
    "--servers", type=CommaList(list(ENTRIES)), help=f"Comma-separated, of {', '.join(ENTRIES)}."
)
@click.option(
    "--models", type=CommaList(list(TRAINERS)), help=f"Comma-separated, of {', '.join(TRAINERS)}."
)
@click.option("--connections", type=CommaList(), help="For requests of one row: 1,16,64.")
@click.option("--rows", type=click.IntRange(1), help="Also measure requests of this many rows.")
@click.option(
    "--large", type=click.IntRange(1), help="Also measure memory with this many 20 MB models."
)
@click.option(
    "--rounds", type=click.IntRange(0), help="Measurements of each server; 0 for memory only."
)
@click.option("--seconds", type=click.IntRange(1), help="Duration of each load.")
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
@click.option("--minutes", type=click.IntRange(1), help="Start no measurement after this time.")
@click.option(
    "--port",
    type=click.IntRange(1024, 65000),
    default=8300,
    show_default=True,
    help="The first of 48 ports on 127.0.0.1.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write every run to this file.",
)
@click.option(
    "--markdown",
    "markdown_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the tables to this file.",
)
def main(
    full,
    servers,
    models,
    connections,
    rows,
    large,
    rounds,
    seconds,
    workers,
    minutes,
    port,
    json_file,
    markdown_file,
) -> None:
    """Compare Modelhost with other servers of scikit-learn models.

    Without options: two models, Flask, FastAPI and Modelhost, 16 connections. The servers run
    one at a time, in random order, each with two workers and one OpenMP and BLAS thread per
    worker. Before and after each load, all predictions are compared with the estimator's.

    On a busy machine, the CPU time per request is the most reliable figure.
    """
    names = servers or (list(ENTRIES) if full else [*SHORT_PEERS, *OURS])
    models = models or (list(TRAINERS) if full else SHORT_MODELS)
    loads = single_row_loads(connections or ([1, 16, 64] if full else [16]))
    rows = rows or (1_000 if full else None)
    large = large or (20 if full else None)
    seconds = seconds or (5 if full else 4)
    minutes = minutes or (180 if full else 20)
    if rounds is None:
        rounds = 3 if full else 2
    if rows:
        loads += many_row_loads(rows)
    logging.getLogger("mlmodel").setLevel(logging.ERROR)  # hides notes for model authors
    status = 0
    stop_on_sigterm()
    try:
        wrk.require()
    except wrk.WrkFailed as error:
        raise click.ClickException(str(error)) from error
    with tempfile.TemporaryDirectory(prefix="modelhost-benchmarks-") as folder:
        benchmark = Benchmark(Path(folder), _log, minutes, workers, port)
        benchmark.results.about = _run_facts(rounds, seconds, workers)
        try:
            entries = benchmark.install([ENTRIES[name] for name in names])
            benchmark.measure_load(entries, models, loads, rounds, seconds)
            if large:
                benchmark.measure_memory(entries, large, [2, 4])
        except KeyboardInterrupt:
            _log("Stopped. Results so far:")
            status = 130
        except OutOfTime:
            _log(f"The time limit of {minutes} minutes is over. Results so far:")
    _write(benchmark.results, json_file, markdown_file)
    sys.exit(status or int(bool(benchmark.results.failed)))


def _run_facts(rounds: int, seconds: int, workers: int) -> dict[str, object]:
    return {
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "Python": platform.python_version(),
        "scikit-learn": version("scikit-learn"),
        "workers": workers,
        "load average at the start": f"{os.getloadavg()[0]:.1f}",
        "rounds": f"{rounds} of {seconds} s, medians",
    }


def _write(results, json_file: Path | None, markdown_file: Path | None) -> None:
    text = report.markdown(results, BASELINE, lambda name: name.split(" ")[0] in OURS)
    click.echo("\n" + text)
    if markdown_file:
        markdown_file.write_text(text)
    if json_file:
        json_file.write_text(json.dumps(results.to_json(), indent=1) + "\n")


def _log(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()

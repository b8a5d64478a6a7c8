"""Processor time, memory and interruptions of jobs: ``python -m benchmarks.jobs``.

Each file is predicted by ``modelhost work --once`` in a folder of its own. With ``--kill``, the
process is killed at each of these shares of the rows and started again; the result must be equal to
that of an undisturbed run.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from examples.loans import applications

#: The command line, as `modelhost` without installation.
PROGRAM = "from app.cli.groups import build_modelhost; build_modelhost()(prog_name='modelhost')"
#: Seconds between two looks at the progress of a job.
LOOK_SECONDS = 0.2
IRIS = {
    "sepal_length": (4, 8),
    "sepal_width": (2, 5),
    "petal_length": (1, 7),
    "petal_width": (0, 3),
}


@click.command()
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--kill", "shares", multiple=True, type=float, help="Shares of the rows; repeatable.")
def main(rows: int, shares: tuple[float, ...]) -> None:
    """Measure jobs of both example models."""
    for model in ("iris", "loan"):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, f"{model}.csv")
            # Linux counts the memory of the parent at the start of a process as the process's own.
            builder = get_context("spawn").Process(target=_write_table, args=(model, rows, file))
            builder.start()
            builder.join()
            plain, facts = _run(Path(folder, "plain"), model, file, ())
            click.echo(f"{model}: {rows:,} rows, {facts}")
            if shares:
                killed, _ = _run(Path(folder, "killed"), model, file, shares)
                same = "equal to" if killed == plain else "DIFFERENT from"
                click.echo(f"{model}: killed at {shares}: {same} the undisturbed result")


def _write_table(model: str, rows: int, file: Path) -> None:
    build_table(model, rows).to_csv(file, index=False)


def build_table(model: str, rows: int) -> pd.DataFrame:
    """Return rows of an example model."""
    if model == "loan":
        return applications(rows).drop(columns="outcome")
    random = np.random.default_rng(7)
    columns = {name: random.uniform(*limits, rows) + 0.01 for name, limits in IRIS.items()}
    return pd.DataFrame(columns).round(2)


def _run(folder: Path, model: str, file: Path, shares: tuple[float, ...]) -> tuple[str, str]:
    """Return the hash of the result, and the processor time and memory of the process."""
    environ = {**os.environ, "MODELHOST_JOBS_FOLDER": str(folder), "OMP_NUM_THREADS": "1"}
    job = _call(environ, "submit", model, str(file), "--json")["id"]
    for share in shares:
        process = _start(environ)
        while _progress(environ, job) < share and process.poll() is None:
            time.sleep(LOOK_SECONDS)
        process.kill()
        process.wait()
    started = time.monotonic()
    _, status, used = os.wait4(_start(environ).pid, 0)
    if status:
        raise click.ClickException("modelhost work failed")
    seconds = used.ru_utime + used.ru_stime
    facts = (
        f"{seconds:.1f} CPU s, {time.monotonic() - started:.1f} s, {used.ru_maxrss / 1000:.0f} MB"
    )
    result = folder / "result.csv"
    subprocess.run(
        _command("jobs", "result", job, "--output", str(result)), env=environ, check=True
    )
    return hashlib.sha256(result.read_bytes()).hexdigest(), facts


def _start(environ: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(_command("work", "--once"), env=environ)


def _progress(environ: dict[str, str], job: str) -> float:
    return float(_call(environ, "show", job, "--json")["progress"])


def _call(environ: dict[str, str], *arguments: str) -> Any:
    ran = subprocess.run(
        _command("jobs", *arguments), env=environ, check=True, stdout=subprocess.PIPE
    )
    return json.loads(ran.stdout)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, *arguments]


if __name__ == "__main__":
    main()

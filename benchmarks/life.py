"""Counts lost requests and wrong predictions during reloads, a crash and the stop of a server.

    python -m benchmarks.life granian 60

The events are SIGHUP, reload requests, a mistake in models.yaml, a killed process and SIGTERM, in
equal intervals, under 100 requests per second on persistent connections.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click

from config import CHOICES
from tests.load import Load, loading
from tests.running_server import WITH_ADMIN, Running, serving

WORKERS = 2
EVENTS = 10
STEP = 0.01


def main(server: str, seconds: float) -> None:
    """Print a line for each event."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = {"WORKERS": WORKERS, **WITH_ADMIN}
        with serving(server, folder, _models(folder, 0), **settings) as running:
            with loading(running.port) as load:
                for event in _events(running, load):
                    before, start = len(load.lost), time.monotonic()
                    time.sleep(seconds / EVENTS)
                    found = f"{event:<44} predicted {len(load.answers):>6}, lost"
                    found += f" {len(load.lost) - before}, wrong {len(load.wrong)}, by models"
                    click.echo(f"{found} {sorted(load.numbers(start))}")
                known = set(load.lost)
                running.stop()
            _print_end(folder, load, known)


def _models(folder: Path, number: int) -> str:
    settings = f"{{number: {number}, said: {folder}/said, seconds: 0.005}}"
    return f"models:\n  - class: tests.models.lives.Lived\n    settings: {settings}\n"


def _events(running: Running, load: Load) -> Iterator[str]:
    folder = running.log_file.parent
    yield "no event"
    for number in range(1, 7):
        (folder / "models.yaml").write_text(_models(folder, number))
        start = time.monotonic()
        if number % 2:
            running.process.send_signal(signal.SIGHUP)
        else:
            running.change("/api/models/reload")
        while load.numbers(time.monotonic() - 0.2) != {number}:
            time.sleep(STEP)
        how = "SIGHUP" if number % 2 else "POST /api/models/reload"
        yield f"{how}: only the new model after {time.monotonic() - start - 0.2:.2f} s"
    (folder / "models.yaml").write_text("models: [")
    yield f"a mistake: status {running.change('/api/models/reload')[0]}"
    yield f"a killed process: replaced after {_kill(load):.2f} s"


def _kill(load: Load) -> float:
    killed, start = min(load.processes(time.monotonic() - 1)), time.monotonic()
    os.kill(killed, signal.SIGKILL)
    while len(load.processes(start + STEP) - {killed}) < WORKERS:
        time.sleep(STEP)
    return time.monotonic() - start


def _print_end(folder: Path, load: Load, known: set[int]) -> None:
    files = folder.glob("said.*")
    started = {int(line) for file in files for line in file.read_text().split()}
    late = load.lost.keys() - known
    click.echo(
        f"of the killed process: {len(known)} lost, {len(known & started)} of them predicted by it"
    )
    click.echo(f"SIGTERM: started and lost {len(late & started)}, wrong {len(load.wrong)}")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in CHOICES["SERVER"]:
        sys.exit(__doc__)
    main(sys.argv[1], float(sys.argv[2]))

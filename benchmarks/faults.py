"""Injects faults into a server under load, and counts lost requests and wrong predictions.

    python -m benchmarks.faults [granian] [1.0]

The second argument is the minimum duration of each fault in seconds. While ten clients send 100
requests per second to a model, other models hang, crash, leak and exit, their files are deleted and
truncated, the disk at ``TMPDIR`` fills, models are reloaded, and processes are killed. A fault that
kills no process must lose no request; one that kills a process may lose one request of each client.
No prediction may be wrong. If a condition is violated, the exit status is 1.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from sklearn.linear_model import LinearRegression

from config import CHOICES
from mlmodel import dump
from tests.load import CONNECTIONS, Load, loading
from tests.running_server import WITH_ADMIN, Running, serving

WORKERS = 2
RATE = 100
#: Maximum seconds of each wait.
WAIT_SECONDS = 60
STEP = 0.02
CONFLICT = 409
OTHERS = """
  - class: tests.models.harmful.dying.Dying
  - class: tests.models.harmful.hanging.Hung
    time_limit: 0.5
  - {class: tests.models.harmful.hanging.Hung, name: hung-alone, isolate: true, time_limit: 0.5}
  - {class: tests.models.harmful.leaking.Leaking, isolate: {memory: 200MB}}
  - file: line.flm
"""


class Faults:
    """The faults, one method for each."""

    def __init__(self, running: Running, load: Load, disk: Path | None) -> None:
        self._running = running
        self._load = load
        self._disk = disk
        self._folder = running.log_file.parent
        self._number = 0

    def reload(self) -> None:
        """SIGHUP after a change of models.yaml."""
        self._change()
        self._running.process.send_signal(signal.SIGHUP)
        self._await_change()

    def storm(self) -> None:
        """50 changes and SIGHUPs without a pause."""
        for _ in range(50):
            self._change()
            self._running.process.send_signal(signal.SIGHUP)
            time.sleep(STEP)
        self._await_change()

    def mistake(self) -> None:
        """A mistake in models.yaml."""
        before = (self._folder / "models.yaml").read_text()
        (self._folder / "models.yaml").write_text("models: [")
        _check(self._running.change("/api/models/reload")[0] == CONFLICT, "409")
        (self._folder / "models.yaml").write_text(before)

    def deleted_file(self) -> None:
        """A model file that is deleted, and a reload."""
        self._without_file(lambda file: file.unlink())

    def truncated_file(self) -> None:
        """A model file that is truncated, and a reload."""
        self._without_file(lambda file: os.truncate(file, 100))

    def hang(self) -> None:
        """Calls that hang, in the server's process and in an isolated one."""
        for name in ("hung", "hung-alone"):
            self._expect(name, {"hang": True}, 504)

    def leak(self) -> None:
        """A model that exceeds its memory limit."""
        for _ in range(4):
            self._running.ask("/api/models/leaking/predict", {"bytes": 100_000_000})

    def full_disk(self) -> None:
        """A full disk at TMPDIR, and a request for each page and the metrics."""
        if self._disk is None:
            return
        file = self._disk / "filling"
        with file.open("wb", buffering=0) as stream:
            try:
                while stream.write(bytes(4096)):
                    pass
            except OSError:
                pass
        for path in ("/", "/metrics", "/readyz", "/api/models/absent/predict"):
            self._running.ask(path)
        time.sleep(1)
        file.unlink()

    def killed_worker(self) -> None:
        """SIGKILL of a worker."""
        os.kill(min(self._load.processes(time.monotonic() - 1)), signal.SIGKILL)
        self._await_workers()

    def crash(self) -> None:
        """A segmentation fault in a call."""
        self._die("segfault")

    def exit_3(self) -> None:
        """A call that ends its process with status 3."""
        self._die("_exit")

    def _die(self, how: str) -> None:
        try:
            self._running.ask("/api/models/dying/predict", {"how": how})
        except OSError:
            self._await_workers()

    def _await_workers(self) -> None:
        start = time.monotonic()
        _wait(lambda: len(self._load.processes(max(start, time.monotonic() - 2))) >= WORKERS)

    def _change(self) -> None:
        self._number += 1
        (self._folder / "models.yaml").write_text(models(self._folder, self._number))

    def _await_change(self) -> None:
        _wait(lambda: self._load.numbers(time.monotonic() - 0.3) == {self._number})

    def _expect(self, name: str, row: object, status: int) -> None:
        found = self._running.ask(f"/api/models/{name}/predict", row)
        _check(found[0] == status, f"{status}, got {found}")

    def _without_file(self, harm: Callable[[Path], None]) -> None:
        file = self._folder / "line.flm"
        content = file.read_bytes()
        harm(file)
        self._running.change("/api/models/reload")
        self._expect("line", {"x0": 3}, 200)
        file.write_bytes(content)
        self._running.change("/api/models/reload")


#: The faults that kill no process, and those that kill one.
HARMLESS = ("reload", "storm", "mistake", "deleted_file", "truncated_file", "hang", "leak")
HARMLESS += ("full_disk",)
DEADLY = ("killed_worker", "crash", "exit_3")


def main(server: str, seconds: float) -> bool:
    """Print a line for each fault, and return whether all conditions hold."""
    with tempfile.TemporaryDirectory() as name, _small_disk(Path(name)) as disk:
        folder = Path(name)
        dump(LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0]), folder / "line.flm")
        # Three processes are killed while the model under load runs in them: no quarantine.
        settings = {"WORKERS": WORKERS, "TMPDIR": disk or name, "MODELHOST_DEATHS": 0, **WITH_ADMIN}
        results = []
        with serving(server, folder, models(folder, 0), **settings) as running:
            with loading(running.port, rate=RATE) as load:
                faults = Faults(running, load, disk)
                _wait(lambda: len(load.processes()) == WORKERS)
                for fault in (*HARMLESS, *DEADLY):
                    most = CONNECTIONS if fault in DEADLY else 0
                    results.append(_run_fault(faults, load, fault, most, seconds))
            _clear_log(folder)
            with loading(running.port, rate=RATE) as load:
                time.sleep(seconds)
                running.process.send_signal(signal.SIGTERM)
                running.process.wait(WAIT_SECONDS)
            results.append(_print_end(folder, load, "SIGTERM"))
        with serving(server, folder, models(folder, 0), **settings) as running:
            _clear_log(folder)
            with loading(running.port, rate=RATE) as load:
                time.sleep(seconds)
                running.process.kill()
                _wait(lambda: load.last() > 0)
                _wait(lambda: not load.processes(time.monotonic() - 1))
            results.append(_print_end(folder, load, "SIGKILL of the master"))
    return all(results)


def models(folder: Path, number: int) -> str:
    """Return a models.yaml with a numbered model and the harmful ones."""
    settings = f"{{number: {number}, said: {folder}/said, seconds: 0.005}}"
    return f"models:\n  - class: tests.models.lives.Lived\n    settings: {settings}{OTHERS}"


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    """Mount a file system of 8 MB, if the process has permission."""
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        click.echo("Skipping full_disk: only root can mount a small disk")
        yield None
        return
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)  # noqa: S607


def _run_fault(faults: Faults, load: Load, fault: str, most: int, seconds: float) -> bool:
    lost, wrong, start = len(load.lost), len(load.wrong), time.monotonic()
    getattr(faults, fault)()
    time.sleep(max(0, seconds - (time.monotonic() - start)))
    lost, wrong = len(load.lost) - lost, len(load.wrong) - wrong
    click.echo(
        f"{fault:<16} {time.monotonic() - start:5.1f} s, predicted {len(load.answers):>6}, "
        f"lost {lost} of at most {most}, wrong {wrong}"
    )
    return lost <= most and not wrong


def _clear_log(folder: Path) -> None:
    """Remove the ids of earlier requests: new clients start with 1 again."""
    for file in folder.glob("said.*"):
        file.unlink()


def _print_end(folder: Path, load: Load, how: str) -> bool:
    """Print the requests lost at the end: none that a model had started may be lost."""
    started = {int(line) for file in folder.glob("said.*") for line in file.read_text().split()}
    first = min((when for when, _ in load.lost.values()), default=0)
    late = {number for number, (when, _) in load.lost.items() if when <= first + 1}
    lost = late & started - load.answers.keys()
    click.echo(f"{how}: started and lost {len(lost)}, wrong {len(load.wrong)}")
    return not lost and not load.wrong


def _check(holds: bool, expected: str) -> None:
    if not holds:
        raise SystemExit(f"expected {expected}")


def _wait(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not holds():
        _check(time.monotonic() < end, f"the condition to hold within {WAIT_SECONDS} seconds")
        time.sleep(STEP)


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv[1:]))
    if arguments.get(0, "granian") not in CHOICES["SERVER"]:
        sys.exit(__doc__)
    sys.exit(not main(arguments.get(0, "granian"), float(arguments.get(1, 1.0))))

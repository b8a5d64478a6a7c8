"""Full temporary folders: the server starts, serves, and logs the problem."""

import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests import ROOT
from tests.running_server import WITH_ADMIN, serving

DOUBLER = "models:\n  - class: tests.models.simple.Doubler\n"
COUNTING = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
from prometheus_client import generate_latest
from app.serving.process import counters, metrics
for at in range(2000):
    metrics.count_rejection(f"model-{{at}}", "predict", ValueError())
metrics.count_rejection("model-7", "predict", ValueError())
print(counters.is_alone(), 'model="model-7",outcome="ValueError"}} 2.0' in
      generate_latest(metrics.get_registry()).decode())
"""


@contextmanager
def small_disk(folder, size="4m"):
    """Mount a file system of a few megabytes for the block."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder, name="filling"):
    """Fill the disk with a file, and return the file."""
    file = folder / name
    with file.open("wb", buffering=0) as stream:
        for size in (1 << 16, 1):
            with suppress(OSError):
                while stream.write(bytes(size)):
                    pass
    return file


@pytest.mark.parametrize("limit", [1000, 100_000], ids=["at-start", "when-growing"])
def test_metrics_without_room_are_local(tmp_path, limit):
    ran = subprocess.run(
        [sys.executable, "-c", COUNTING.format(limit=limit)],
        cwd=ROOT,
        env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.split() == ["True", "True"]
    assert ran.stderr.count("reports only its own: File too large") == 1


def test_metrics_with_room_are_shared(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", COUNTING.format(limit=-1)],
        cwd=ROOT,
        env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.split() == ["False", "True"]
    [file] = tmp_path.glob("counter_*.db")
    assert file.stat().st_blocks * 512 >= file.stat().st_size > 1 << 16


def test_server_serves_on_full_disk(tmp_path):
    with small_disk(tmp_path / "tmp", "64k") as disk:
        fill(disk)
        settings = {"WORKERS": 2, "TMPDIR": disk, "MODELHOST_LOG_FORMAT": "text"}
        with serving("granian", tmp_path, DOUBLER, **settings) as running:
            answers = [running.ask("/api/models/doubler/predict", {"x": 2})[0] for _ in range(10)]
            counted = running.ask("/metrics")[0]

    assert (set(answers), counted) == ({200}, 200)


def test_server_survives_disk_that_fills(tmp_path):
    with small_disk(tmp_path / "tmp") as disk:
        settings = {"WORKERS": 2, "TMPDIR": disk} | WITH_ADMIN
        with serving("granian", tmp_path, DOUBLER, **settings) as running:
            file = fill(disk)
            answers = {
                running.ask(f"/api/models/{name}/predict", {"x": 2})[0]
                for name in ["doubler"] * 20 + [f"absent-{at}" for at in range(20)]
            }
            pages = {running.ask("/")[0], running.ask("/metrics")[0], running.ask("/readyz")[0]}
            # The space for one change is reserved at the start.
            first = running.change("/api/models/reload")[0]
            fill(disk, "more")
            refused = running.change("/api/models/reload")
            log = running.log
            file.unlink()
            accepted = running.change("/api/models/reload")[0]

    assert (answers, pages) == ({200, 404}, {200})
    assert (refused[0], refused[1]["type"]) == (507, "/docs/problems#no-room")
    assert "nothing was changed" in refused[1]["detail"]
    assert (first, accepted) == (200, 200)
    assert "was sent SIG" not in log


def test_missing_temporary_folders_are_logged(tmp_path):
    """A limit of one kilobyte for each file acts like folders without room."""
    program = (
        "import resource; from servers import forking; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); "
        "forking.prepare_forks(2); print(forking.state_folder(), forking.can_start())"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.split() == ["None", "False"]
    assert "each process reports only its own metrics" in ran.stderr
    assert "processes cannot share changes of the models" in ran.stderr
    assert list(Path(tmp_path).iterdir()) == []

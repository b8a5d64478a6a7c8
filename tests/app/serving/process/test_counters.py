"""Files of counters that other processes read at any time."""

import os

import pytest
from prometheus_client import generate_latest
from prometheus_client.mmap_dict import MmapedDict

from app.serving.process.counters import AllocatedDict
from app.serving.process.metrics import MANY_PROCESSES, get_registry

KEY = '["calls", "calls_total", {}, "Calls."]'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder whose files are read at the worst moment: before their blocks exist."""
    allocate = os.posix_fallocate

    def read_and_allocate(*where):
        read_all(tmp_path)
        allocate(*where)

    monkeypatch.setattr(os, "posix_fallocate", read_and_allocate)
    return tmp_path


def test_new_file_is_whole(folder):
    counted = AllocatedDict(str(folder / "counter_1.db"))
    counted.write_value(KEY, 2.0, 0.0)
    counted.close()

    assert read_all(folder) == [2.0]


def test_known_file_continues(folder):
    for value in (2.0, 3.0):
        counted = AllocatedDict(str(folder / "counter_1.db"))
        counted.write_value(KEY, value, 0.0)
        counted.close()

    assert read_all(folder) == [3.0]
    assert [file.name for file in folder.iterdir()] == ["counter_1.db"]


def test_file_may_disappear_while_metrics_are_read(tmp_path, monkeypatch):
    monkeypatch.setenv(MANY_PROCESSES, str(tmp_path))
    files = [tmp_path / f"counter_{pid}.db" for pid in (os.getpid(), os.getppid())]
    for file in files:
        counted = AllocatedDict(str(file))
        counted.write_value(KEY, 2.0, 0.0)
        counted.close()
    read = MmapedDict.read_all_values_from_file

    def read_after_other_process(name):
        files[1].unlink(missing_ok=True)
        return read(name)

    monkeypatch.setattr(MmapedDict, "read_all_values_from_file", read_after_other_process)

    assert "calls_total 2.0" in generate_latest(get_registry()).decode()


def read_all(folder):
    """Return the values of all files, as ``/metrics`` reads them."""
    return [
        value
        for file in folder.glob("*.db")
        for _, value, _, _ in AllocatedDict.read_all_values_from_file(file)
    ]

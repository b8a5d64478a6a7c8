"""Files of counters that other processes read at any time."""

import os

import pytest

from app.serving.process.counters import AllocatedDict

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


def read_all(folder):
    """Return the values of all files, as ``/metrics`` reads them."""
    return [
        value
        for file in folder.glob("*.db")
        for _, value, _, _ in AllocatedDict.read_all_values_from_file(file)
    ]

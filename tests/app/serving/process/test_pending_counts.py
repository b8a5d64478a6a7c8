"""Counts that are added to the metrics in batches."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.serving.process import pending_counts
from app.serving.process.pending_counts import PendingCounts
from tests.waiting import wait_until


@pytest.fixture
def added():
    return []


def test_counts_of_all_threads_are_added(added):
    pending = PendingCounts()

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda value: pending.add(added.extend, value), range(1000)):
            pass
    wait_until(lambda: len(added) == 1000)

    assert sorted(added) == list(range(1000))


def test_values_are_added_together():
    pending, calls = PendingCounts(), []

    for value in range(3):
        pending.add(calls.append, value)
    pending.flush()

    assert calls == [[0, 1, 2]]


def test_error_does_not_stop_the_thread(added, caplog):
    pending = PendingCounts()

    pending.add(lambda values: 1 / 0)
    wait_until(lambda: "counts are lost" in caplog.text)
    pending.add(added.extend, 1)
    wait_until(lambda: added)

    assert added == [1]


def test_many_counts_do_not_wait_for_the_thread(added, monkeypatch):
    monkeypatch.setattr(pending_counts, "MAX_PENDING", 2)
    monkeypatch.setattr(pending_counts, "SECONDS", 60)
    pending = PendingCounts()

    for value in range(3):
        pending.add(added.extend, value)

    assert added == [0, 1, 2]


def test_forked_process_has_no_counts_of_its_parent(added):
    pending = PendingCounts()
    pending.add(added.extend, 1)

    pid = os.fork()
    if not pid:
        pending.flush()
        os._exit(len(added))
    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0

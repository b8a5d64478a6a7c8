import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.serving.calls.batcher import MIN_BATCH_SECONDS, Batcher
from app.serving.calls.limits import Limits
from app.serving.errors import PredictionTimeout, QueueFull
from tests.waiting import wait_until


class Doubler:
    """Doubles rows once ``may_end`` is set, and records the number of rows of each call."""

    def __init__(self):
        self.batch_sizes = []
        self.has_started = threading.Event()
        self.may_end = threading.Event()

    def predict(self, rows):
        self.batch_sizes.append(len(rows))
        self.has_started.set()
        assert self.may_end.wait(10)
        if "bad" in rows:
            raise ValueError("bad")
        return [2 * row for row in rows]


@pytest.fixture
def doubler():
    doubler = Doubler()
    yield doubler
    doubler.may_end.set()


@pytest.fixture
def batcher():
    batcher = Batcher(Limits(rows=9, threads=2, queue_size=8, seconds=10), max_rows=4)
    # Calls are batched only if an earlier one took longer than this.
    slow = threading.Event()
    batcher.run(lambda rows: slow.wait(10 * MIN_BATCH_SECONDS) or rows, [0])
    return batcher


def run_calls(batcher, doubler, *callers):
    """Return the result of each caller. All but the first call while the first one runs."""
    with ThreadPoolExecutor(len(callers)) as pool:
        futures = [pool.submit(batcher.run, doubler.predict, callers[0])]
        assert doubler.has_started.wait(10)
        for count, rows in enumerate(callers[1:], 1):
            futures.append(pool.submit(batcher.run, doubler.predict, rows))
            wait_until(lambda count=count: len(batcher._waiting) == count)
        doubler.may_end.set()
        return [future.exception() or future.result() for future in futures]


def test_single_call_runs_at_once(batcher, doubler):
    assert run_calls(batcher, doubler, [1]) == [[2]]
    assert doubler.batch_sizes == [1]


def test_waiting_calls_share_a_batch(batcher, doubler):
    assert run_calls(batcher, doubler, [1], [2], [3, 4], [5]) == [[2], [4], [6, 8], [10]]
    assert doubler.batch_sizes == [1, 4]


def test_batch_size_is_limited(batcher, doubler):
    assert run_calls(batcher, doubler, [1], [2, 3, 4], [5, 6]) == [[2], [4, 6, 8], [10, 12]]
    assert doubler.batch_sizes == [1, 3, 2]


def test_large_call_runs_alone(batcher, doubler):
    with ThreadPoolExecutor(1) as pool:
        many = pool.submit(batcher.run, doubler.predict, [1, 2, 3, 4])
        assert doubler.has_started.wait(10)

        assert batcher.run(lambda rows: rows, [5]) == [5]
        doubler.may_end.set()

        assert many.result() == [2, 4, 6, 8]


def test_failed_batch_is_repeated_per_call(batcher, doubler):
    first, second, third = run_calls(batcher, doubler, [1], ["bad"], [3])

    assert (first, third) == ([2], [6])
    assert isinstance(second, ValueError)
    assert doubler.batch_sizes == [1, 2, 1, 1]


def test_endpoints_are_batched_separately(batcher, doubler):
    other = Doubler()
    other.may_end.set()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(batcher.run, doubler.predict, [1])
        assert doubler.has_started.wait(10)
        second = pool.submit(batcher.run, other.predict, [2])
        wait_until(lambda: len(batcher._waiting) == 1)
        doubler.may_end.set()

        assert (first.result(), second.result()) == ([2], [4])
    assert (doubler.batch_sizes, other.batch_sizes) == ([1], [1])


def test_timed_out_call_is_skipped(doubler):
    batcher = Batcher(Limits(rows=9, threads=1, queue_size=8, seconds=0.05), max_rows=4)

    with pytest.raises(PredictionTimeout):
        batcher.run(doubler.predict, [1])

    assert batcher._waiting == {}


def test_full_queue_rejects_calls(doubler):
    batcher = Batcher(Limits(rows=9, threads=1, queue_size=0, seconds=10), max_rows=4)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(batcher.run, doubler.predict, [1])
        assert doubler.has_started.wait(10)
        with pytest.raises(QueueFull):
            batcher.run(doubler.predict, [2])
        doubler.may_end.set()

    assert doubler.batch_sizes == [1]


def thread(rows):
    return [threading.get_ident()]


@pytest.mark.parametrize("max_rows", [0, 8, 100])
@pytest.mark.parametrize(("count", "is_here"), [(1, True), (63, True), (64, False)])
def test_short_call_runs_in_callers_thread(count, is_here, max_rows):
    limits = Limits(rows=99, threads=2, queue_size=8, seconds=10)
    batcher = Batcher(limits, max_rows, ends_soon=True)

    [thread_id] = batcher.run(thread, [{}] * count)

    assert (thread_id == threading.get_ident()) == is_here


def test_slow_model_runs_in_executor_thread(batcher):
    [thread_id] = batcher.run(thread, [{}])

    assert thread_id != threading.get_ident()


@pytest.mark.parametrize("rows", [[1], [1, 2, 3, 4]], ids=["few", "many"])
def test_all_calls_share_a_queue_limit(doubler, rows):
    batcher = Batcher(Limits(rows=9, threads=2, queue_size=2, seconds=10), max_rows=4)
    with ThreadPoolExecutor(4) as pool:
        calls = [
            pool.submit(batcher.run, doubler.predict, each) for each in ([1], [1, 2, 3, 4]) * 2
        ]
        wait_until(lambda: len(doubler.batch_sizes) == 2)
        wait_until(
            lambda: batcher._alone._pool.calls.qsize() == batcher._batches._pool.calls.qsize() == 1
        )

        with pytest.raises(QueueFull):
            batcher.run(doubler.predict, rows)
        doubler.may_end.set()

    assert [call.result()[0] for call in calls] == [2] * 4

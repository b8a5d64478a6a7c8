import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.serving.calls.batcher import MIN_BATCH_SECONDS, Batcher
from app.serving.calls.executor import Limits
from app.serving.errors import PredictionTimeout, QueueFull
from tests.waiting import wait_until


class Doubler:
    """Doubles rows, as slowly as it is told, and keeps how many it was asked at once."""

    def __init__(self):
        self.asked = []
        self.has_begun = threading.Event()
        self.may_end = threading.Event()

    def ask(self, rows):
        self.asked.append(len(rows))
        self.has_begun.set()
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
    # Calls must take longer than this before they are joined: one that does is behind us.
    slow = threading.Event()
    batcher.run(lambda rows: slow.wait(10 * MIN_BATCH_SECONDS) or rows, [0])
    return batcher


def answers(batcher, doubler, *callers):
    """Return what each caller got, all but the first of whom came while the first was answered."""
    with ThreadPoolExecutor(len(callers)) as pool:
        futures = [pool.submit(batcher.run, doubler.ask, callers[0])]
        assert doubler.has_begun.wait(10)
        for count, rows in enumerate(callers[1:], 1):
            futures.append(pool.submit(batcher.run, doubler.ask, rows))
            wait_until(lambda count=count: len(batcher._waiting) == count)
        doubler.may_end.set()
        return [future.exception() or future.result() for future in futures]


def test_who_comes_alone_is_asked_at_once(batcher, doubler):
    assert answers(batcher, doubler, [1]) == [[2]]
    assert doubler.asked == [1]


def test_all_who_wait_are_asked_together_and_get_their_own_answers(batcher, doubler):
    assert answers(batcher, doubler, [1], [2], [3, 4], [5]) == [[2], [4], [6, 8], [10]]
    assert doubler.asked == [1, 4]


def test_a_call_has_no_more_rows_than_it_may(batcher, doubler):
    assert answers(batcher, doubler, [1], [2, 3, 4], [5, 6]) == [[2], [4, 6, 8], [10, 12]]
    assert doubler.asked == [1, 3, 2]


def test_many_rows_are_asked_alone_and_hold_up_nobody(batcher, doubler):
    with ThreadPoolExecutor(1) as pool:
        many = pool.submit(batcher.run, doubler.ask, [1, 2, 3, 4])
        assert doubler.has_begun.wait(10)

        assert batcher.run(lambda rows: rows, [5]) == [5]
        doubler.may_end.set()

        assert many.result() == [2, 4, 6, 8]


def test_bad_rows_harm_nobody_else(batcher, doubler):
    first, second, third = answers(batcher, doubler, [1], ["bad"], [3])

    assert (first, third) == ([2], [6])
    assert isinstance(second, ValueError)
    assert doubler.asked == [1, 2, 1, 1]


def test_two_methods_of_one_model_are_asked_apart(batcher, doubler):
    other = Doubler()
    other.may_end.set()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(batcher.run, doubler.ask, [1])
        assert doubler.has_begun.wait(10)
        second = pool.submit(batcher.run, other.ask, [2])
        wait_until(lambda: len(batcher._waiting) == 1)
        doubler.may_end.set()

        assert (first.result(), second.result()) == ([2], [4])
    assert (doubler.asked, other.asked) == ([1], [1])


def test_who_gives_up_is_not_asked(doubler):
    batcher = Batcher(Limits(rows=9, threads=1, queue_size=8, seconds=0.05), max_rows=4)

    with pytest.raises(PredictionTimeout):
        batcher.run(doubler.ask, [1])

    assert batcher._waiting == {}


def test_more_callers_than_may_wait_are_refused(doubler):
    batcher = Batcher(Limits(rows=9, threads=1, queue_size=0, seconds=10), max_rows=4)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(batcher.run, doubler.ask, [1])
        assert doubler.has_begun.wait(10)
        with pytest.raises(QueueFull):
            batcher.run(doubler.ask, [2])
        doubler.may_end.set()

    assert doubler.asked == [1]


def thread(rows):
    return [threading.get_ident()]


@pytest.mark.parametrize(("count", "is_here"), [(1, True), (7, True), (8, False)])
def test_few_rows_of_a_model_that_surely_ends_are_answered_where_they_are_asked(count, is_here):
    limits = Limits(rows=9, threads=2, queue_size=8, seconds=10)
    batcher = Batcher(limits, 8, ends_soon=True)

    [answered] = batcher.run(thread, [{}] * count)

    assert (answered == threading.get_ident()) == is_here


def test_a_model_that_may_hang_is_never_asked_in_the_thread_of_who_asks(batcher):
    [answered] = batcher.run(thread, [{}])

    assert answered != threading.get_ident()


@pytest.mark.parametrize("rows", [[1], [1, 2, 3, 4]], ids=["few", "many"])
def test_few_and_many_rows_wait_in_one_line(doubler, rows):
    batcher = Batcher(Limits(rows=9, threads=2, queue_size=2, seconds=10), max_rows=4)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(batcher.run, doubler.ask, each) for each in ([1], [1, 2, 3, 4]) * 2]
        wait_until(lambda: len(doubler.asked) == 2)
        wait_until(lambda: batcher._alone._calls.qsize() == batcher._batches._calls.qsize() == 1)

        with pytest.raises(QueueFull):
            batcher.run(doubler.ask, rows)
        doubler.may_end.set()

    assert [call.result()[0] for call in calls] == [2] * 4

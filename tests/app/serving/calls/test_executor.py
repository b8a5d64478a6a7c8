import threading

import pytest

from app.serving.calls.executor import BoundedExecutor, Limits
from app.serving.errors import PredictionTimeout, QueueFull


@pytest.fixture
def executor():
    executor = BoundedExecutor(Limits(rows=1, threads=1, queue_size=1, seconds=5))
    yield executor
    executor.close()


@pytest.fixture
def go():
    """An event that holds calls back, set at the latest when the test ends."""
    event = threading.Event()
    yield event
    event.set()


def test_a_call_gives_back_what_its_function_returns(executor):
    assert executor.run(max, 1, 3) == 3


def test_a_call_raises_what_its_function_raises(executor):
    with pytest.raises(ZeroDivisionError):
        executor.run(lambda: 1 / 0)


def test_a_function_may_raise_a_timeout_of_its_own(executor):
    def fail():
        raise TimeoutError("the database")

    with pytest.raises(TimeoutError, match="the database"):
        executor.run(fail)


def test_a_call_that_takes_too_long_is_given_up(go):
    executor = BoundedExecutor(Limits(rows=1, threads=1, queue_size=1, seconds=0.05))

    with pytest.raises(PredictionTimeout, match=r"longer than 0.05 seconds"):
        executor.run(go.wait)


def test_another_thread_takes_the_place_of_one_that_hangs(go):
    executor = BoundedExecutor(Limits(rows=1, threads=1, queue_size=2, seconds=0.05))
    for _ in range(2):
        with pytest.raises(PredictionTimeout):
            executor.run(go.wait)

    assert executor.run(max, 1, 3) == 3


def test_only_so_many_calls_may_hang(go):
    executor = BoundedExecutor(Limits(rows=1, threads=1, queue_size=2, seconds=0.05))
    for _ in range(3):
        with pytest.raises(PredictionTimeout):
            executor.run(go.wait)

    with pytest.raises(QueueFull):
        executor.run(int)


def test_more_calls_than_may_wait_are_refused(go):
    executor = BoundedExecutor(Limits(rows=1, threads=1, queue_size=0, seconds=5))
    begun = threading.Event()
    call = threading.Thread(target=executor.run, args=(lambda: (begun.set(), go.wait()),))
    call.start()
    begun.wait()

    with pytest.raises(QueueFull, match="the queue for this model is full"):
        executor.run(int)
    go.set()
    call.join()


def test_a_lane_without_a_thread_refuses_and_tries_again(executor, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse_to_start)
        for _ in range(5):
            with pytest.raises(QueueFull):
                executor.run(int)

    assert executor.run(max, 1, 3) == 3


def refuse_to_start(thread):
    raise RuntimeError("can't start new thread")


def test_a_closed_lane_starts_again(executor):
    executor.run(int)
    executor.close()

    assert executor.run(int) == 0

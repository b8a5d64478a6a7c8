import threading

import pytest

from app.serving.calls.executor import BoundedExecutor
from app.serving.calls.limits import Limits
from app.serving.errors import PredictionTimeout, QueueFull
from tests.waiting import wait_until


@pytest.fixture
def executor():
    executor = BoundedExecutor(Limits(rows=1, threads=1, queue_size=1, seconds=5))
    yield executor
    executor.close()


@pytest.fixture
def go():
    """An event that blocks calls, set at the end of the test at the latest."""
    event = threading.Event()
    yield event
    event.set()


def test_call_returns_the_result(executor):
    assert executor.run(max, 1, 3) == 3


def test_call_raises_the_error(executor):
    with pytest.raises(ZeroDivisionError):
        executor.run(lambda: 1 / 0)


def test_own_timeout_error_is_raised(executor):
    def fail():
        raise TimeoutError("the database")

    with pytest.raises(TimeoutError, match="the database"):
        executor.run(fail)


def test_slow_call_times_out(go):
    executor = BoundedExecutor(Limits(rows=1, threads=1, queue_size=1, seconds=0.05))

    with pytest.raises(PredictionTimeout, match=r"longer than 0.05 seconds"):
        executor.run(go.wait)


def test_hanging_thread_is_replaced(go):
    executor = BoundedExecutor(Limits(rows=1, threads=1, queue_size=2, seconds=0.5))
    for _ in range(2):
        with pytest.raises(PredictionTimeout):
            executor.run(go.wait)

    assert executor.run(max, 1, 3) == 3


def test_hanging_calls_are_limited(go):
    executor = BoundedExecutor(Limits(rows=1, threads=1, queue_size=2, seconds=0.05))
    for _ in range(3):
        with pytest.raises(PredictionTimeout):
            executor.run(go.wait)

    with pytest.raises(QueueFull):
        executor.run(int)


def test_full_executor_rejects_calls(go):
    executor = BoundedExecutor(Limits(rows=1, threads=1, queue_size=0, seconds=5))
    started = threading.Event()
    call = threading.Thread(target=executor.run, args=(lambda: (started.set(), go.wait()),))
    call.start()
    started.wait()

    with pytest.raises(QueueFull, match="the queue for this model is full"):
        executor.run(int)
    go.set()
    call.join()


def test_failed_thread_start_is_retried(executor, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse_to_start)
        for _ in range(5):
            with pytest.raises(QueueFull):
                executor.run(int)

    assert executor.run(max, 1, 3) == 3


def refuse_to_start(thread):
    raise RuntimeError("can't start new thread")


def test_closed_executor_starts_again(executor, go):
    before = {*threading.enumerate()}
    started = threading.Event()
    call = threading.Thread(target=executor.run, args=(lambda: (started.set(), go.wait()),))
    call.start()
    started.wait()

    executor.close()

    assert executor.run(max, 1, 3) == 3
    go.set()
    call.join()
    # The thread that was busy ends too: it would run calls beside the new one.
    wait_until(lambda: len({*threading.enumerate()} - before) == 1)

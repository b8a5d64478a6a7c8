import socket
import threading

from app.serving.process.fork_safety import ties
from tests.waiting import wait_until


def test_a_thread_is_a_tie():
    before, end = ties(), threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()

    assert len(ties() - before) == 1

    end.set()
    thread.join()
    wait_until(lambda: not ties() - before)


def test_a_connection_is_a_tie():
    before = ties()

    with socket.socket():
        assert len(ties() - before) == 1

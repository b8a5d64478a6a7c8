import socket
import threading

from app.serving.process.processes import find_threads_and_sockets
from tests.waiting import wait_until


def test_a_thread_is_a_tie():
    before, end = find_threads_and_sockets(), threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()

    assert len(find_threads_and_sockets() - before) == 1

    end.set()
    thread.join()
    wait_until(lambda: not find_threads_and_sockets() - before)


def test_a_connection_is_a_tie():
    before = find_threads_and_sockets()

    with socket.socket():
        assert len(find_threads_and_sockets() - before) == 1

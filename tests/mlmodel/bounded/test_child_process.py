import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mlmodel.bounded.child_process import ChildProcess, ProcessEnded, limit_resources
from tests import ROOT
from tests.waiting import wait_until

PROGRAM = """
import os, sys, time
from mlmodel.bounded.child_process import connect
channel = connect()
while True:
    exec(channel.receive().decode())
"""


@pytest.fixture
def spawned():
    process = ChildProcess.spawn(PROGRAM, "argument", environ=os.environ, has_output=True)
    yield process
    process.end()
    process.output.close()


@pytest.fixture
def fork():
    """A function that forks a process, to be ended after the test."""
    started = []

    def start(work):
        started.append(ChildProcess.fork(work))
        return started[-1]

    yield start
    for process in started:
        process.end()


def exceed(**limits):
    limit_resources(**limits)
    while True:
        bytearray(1 << 30)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forks_do_not_hold_the_output_of_others(fork):
    """A server forks workers while it starts a process in a thread."""
    ended = threading.Event()

    def spawn_and_read():
        for _ in range(10):
            process = ChildProcess.spawn("pass", environ={}, has_output=True)
            with process.output as output:
                output.read()
            process.end()
        ended.set()

    thread = threading.Thread(target=spawn_and_read)
    thread.start()
    pids = []
    while not ended.is_set() and len(pids) < 200:
        pids.append(os.fork())
        if not pids[-1]:
            signal.pause()
        time.sleep(0.01)
    has_ended = ended.wait(30)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    thread.join()

    assert has_ended


def test_messages_arrive_whole(spawned):
    sizes = (0, 1, 1 << 16, 5_000_001)
    spawned.send(b"for _ in range(4): channel.send(channel.receive())")

    for size in sizes:
        message = bytes(range(1, 256)) * (size // 255) + b"x" * (size % 255)
        spawned.send(message)
        assert spawned.receive() == message


def test_program_has_arguments_and_output(spawned):
    spawned.send(b"print(sys.argv[4:], flush=True)")

    assert spawned.output.readline() == b"['argument']\n"


@pytest.mark.parametrize(
    ("order", "ending"),
    [
        (b"os._exit(3)", "it exited with status 3"),
        (b"sys.exit()", "it exited with status 0"),
        (b"os.kill(os.getpid(), 11)", "killed by SIGSEGV"),
        (b"os.kill(os.getpid(), 40)", "killed by signal 40"),
    ],
)
def test_end_of_a_process_is_described(spawned, order, ending):
    spawned.send(order)

    with pytest.raises(ProcessEnded, match=f"^{ending}$"):
        spawned.receive()
    with pytest.raises(ProcessEnded, match=f"^{ending}$"):
        spawned.send(b"")
    assert spawned.has_exited
    assert not spawned.is_ended


def test_silent_process_times_out(spawned):
    spawned.send(b"time.sleep(60)")

    with pytest.raises(TimeoutError):
        spawned.receive(0.1)
    with pytest.raises(TimeoutError):
        spawned.send(b"x" * 10_000_000, 0.1)
    assert not spawned.has_exited


def test_closed_channel_is_reported(spawned):
    spawned.send(b"channel.close(); time.sleep(60)")

    with pytest.raises(ProcessEnded, match="it closed its connection"):
        spawned.receive()


def test_ended_process_leaves_nothing():
    before = len(os.listdir("/proc/self/fd"))
    process = ChildProcess.fork(lambda: time.sleep(60))

    assert process.end()
    assert not process.end()
    assert process.is_ended
    assert not process.has_exited
    assert not Path(f"/proc/{process.pid}").exists()
    assert len(os.listdir("/proc/self/fd")) == before


def test_failed_start_leaves_nothing():
    before = len(os.listdir("/proc/self/fd"))

    with pytest.raises(ValueError, match="null byte"):
        ChildProcess.spawn(PROGRAM, environ={"name": "\0"})

    assert len(os.listdir("/proc/self/fd")) == before


def test_fork_returns_the_result(fork):
    assert fork(lambda: b"done").receive() == b"done"


def test_failed_fork_is_described(fork):
    with pytest.raises(ProcessEnded, match="it exited with status 1"):
        fork(lambda: 1 / 0).receive()


def test_fork_inherits_no_descriptors(fork, tmp_path):
    with (tmp_path / "open").open("w"):
        found = fork(lambda: str(os.listdir("/proc/self/fd")).encode()).receive()

    assert len(eval(found)) == 3 + 3 + 1  # standard streams, channel and lifeline, the listing


def test_idle_process_times_out(fork):
    with pytest.raises(TimeoutError):
        fork(lambda: time.sleep(60)).receive(idle_seconds=0.1)


def test_large_message_is_rejected(fork):
    with pytest.raises(ProcessEnded, match="expected a message of at most 9 bytes, got 10"):
        fork(lambda: bytes(10)).receive(most_bytes=9)


def test_processor_time_limit_is_a_timeout(fork):
    with pytest.raises(TimeoutError):
        fork(lambda: exceed(processor_seconds=0.1)).receive()


def test_limit_of_memory_raises(fork):
    with pytest.raises(ProcessEnded, match="status 1"):
        fork(lambda: exceed(memory_bytes=500_000_000)).receive()


@pytest.mark.parametrize("kind", ["spawn", "fork"])
def test_process_ends_with_its_parent(kind):
    start = {
        "spawn": 'ChildProcess.spawn("import time\\nfrom mlmodel.bounded.child_process import '
        'connect; connect(); time.sleep(60)", environ=os.environ)',
        "fork": "ChildProcess.fork(lambda: time.sleep(60))",
    }[kind]
    program = (
        "import os, time\nfrom mlmodel.bounded.child_process import ChildProcess\n"
        f"print({start}.pid, flush=True)\ntime.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with parent:
        child = Path("/proc", parent.stdout.readline().strip(), "cmdline")
        parent.send_signal(signal.SIGKILL)

    # The command line of a process that has ended is empty, or gone.
    wait_until(lambda: not child.exists() or not child.read_bytes())


def test_library_is_imported_without_fork():
    """Windows has neither of these functions."""
    program = "import os; del os.fork, os.register_at_fork; import mlmodel"

    found = subprocess.run(
        [sys.executable, "-c", program], check=False, cwd=ROOT, capture_output=True
    )

    assert (found.returncode, found.stderr) == (0, b"")

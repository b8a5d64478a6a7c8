import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict

import pytest

from app.serving.errors import StateDamaged
from app.serving.reload.shared_state import DesiredState, SharedState

WHOLE = asdict(DesiredState(8))


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path)


def test_written_state_is_read_by_all(folder):
    wanted = DesiredState(3, "models: []", 2, {"iris@1": (3, "unload")}, ("line 1",), ((1, 2), ()))

    with SharedState(folder).lock():
        SharedState(folder).write(wanted)

    assert SharedState(folder).read() == wanted


def test_state_without_folder_is_local():
    board = SharedState()
    with board.lock():
        board.write(DesiredState(1))

    assert (board.read(), SharedState().read()) == (DesiredState(1), DesiredState())


def test_lock_admits_one_writer(folder):
    board, order = SharedState(folder), []

    def change():
        with SharedState(folder).lock():
            order.append("other")

    with board.lock():
        other = threading.Thread(target=change)
        other.start()
        other.join(0.1)
        order.append("first")
    other.join()

    assert order == ["first", "other"]


def test_dead_writer_releases_lock(folder):
    program = (
        "import os; from app.serving.reload import shared_state\n"
        f"with shared_state.{SharedState.__name__}({folder!r}).lock(): os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", program], check=False)

    with SharedState(folder).lock() as wanted:
        assert wanted == DesiredState()


def test_only_live_processes_are_followers(folder, tmp_path):
    board = SharedState(folder)
    board.report(2)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f"{ended.pid}.at").write_text("2")
    (tmp_path / f"{os.getppid()}.at").write_text("1")

    assert (board.count_followers(1), board.count_followers(2)) == ((2, 2), (1, 2))


def test_deleted_state_file_keeps_last_state(folder, tmp_path):
    board = SharedState(folder)
    with board.lock():
        board.write(DesiredState(1))
    board.read()

    (tmp_path / "desired.json").unlink()

    assert board.read() == DesiredState(1)


@pytest.mark.parametrize(
    "content",
    ["", '{"generation": ', "[]", '{"generation": 8}', json.dumps({**WHOLE, "stamps": [[]]})],
)
def test_damaged_state_file_keeps_last_state(folder, tmp_path, caplog, content):
    board, file = SharedState(folder), tmp_path / "desired.json"
    with board.lock():
        board.write(DesiredState(7))
    board.read()
    file.write_text(content)

    for state, last in ((board, DesiredState(7)), (SharedState(folder), DesiredState())):
        caplog.clear()
        assert [state.read(), state.read()] == [last, last]
        assert caplog.messages == [
            f"{file} is damaged: the models cannot change; restart the server"
        ]
        with pytest.raises(StateDamaged, match="nothing was changed"), state.lock():
            pass
    assert file.read_text() == content


def test_repaired_state_file_is_read(folder, tmp_path):
    board, file = SharedState(folder), tmp_path / "desired.json"
    with board.lock():
        board.write(DesiredState(7))
    content = file.read_text()
    file.write_text("{")
    board.read()

    file.write_text(content)

    with board.lock() as desired:
        assert desired == DesiredState(7)


def test_mark_in_use_keeps_modification_time(folder, tmp_path):
    board, file = SharedState(folder), tmp_path / "desired.json"
    with board.lock():
        board.write(DesiredState(1))
    os.utime(file, (1, 1))

    board.mark_in_use()

    assert (file.stat().st_atime > 1, file.stat().st_mtime) == (True, 1)


def test_await_followers_ends_at_time_limit(folder, tmp_path):
    board = SharedState(folder)
    (tmp_path / f"{os.getppid()}.at").write_text("1")

    assert board.await_followers(2, 0.1) == (0, 1)


def test_lock_wait_ends_at_time_limit(folder):
    with SharedState(folder).lock(), pytest.raises(TimeoutError), SharedState(folder).lock(0.1):
        pass

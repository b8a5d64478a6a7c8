import os
import subprocess
import sys
import threading

import pytest

from app.serving.reload.shared_state import Board, DesiredState


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path)


def test_all_who_look_see_what_is_wanted(folder):
    wanted = DesiredState(3, "models: []", 2, {"iris@1": (3, "unload")}, ("line 1",), ((1, 2), ()))

    with Board(folder).lock():
        Board(folder).write(wanted)

    assert Board(folder).read() == wanted


def test_without_a_folder_only_this_process_sees_it():
    board = Board()
    with board.lock():
        board.write(DesiredState(1))

    assert (board.read(), Board().read()) == (DesiredState(1), DesiredState())


def test_only_one_changes_it_at_a_time(folder):
    board, order = Board(folder), []

    def change():
        with Board(folder).lock():
            order.append("other")

    with board.lock():
        other = threading.Thread(target=change)
        other.start()
        other.join(0.1)
        order.append("first")
    other.join()

    assert order == ["first", "other"]


def test_who_dies_while_he_changes_it_lets_others_do_so(folder):
    program = (
        "import os; from app.serving.reload import shared_state\n"
        f"with shared_state.{Board.__name__}({folder!r}).lock(): os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", program], check=False)

    with Board(folder).lock() as wanted:
        assert wanted == DesiredState()


def test_followers_are_those_that_live(folder, tmp_path):
    board = Board(folder)
    board.report(2)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f"{ended.pid}.at").write_text("2")
    (tmp_path / f"{os.getppid()}.at").write_text("1")

    assert (board.count_followers(1), board.count_followers(2)) == ((2, 2), (1, 2))


def test_what_was_read_goes_on_if_somebody_sweeps_it_away(folder, tmp_path):
    board = Board(folder)
    with board.lock():
        board.write(DesiredState(1))
    board.read()

    (tmp_path / "desired.json").unlink()

    assert board.read() == DesiredState(1)


def test_what_is_in_use_is_no_old_file_and_has_not_changed(folder, tmp_path):
    board, file = Board(folder), tmp_path / "desired.json"
    with board.lock():
        board.write(DesiredState(1))
    os.utime(file, (1, 1))

    board.mark_in_use()

    assert (file.stat().st_atime > 1, file.stat().st_mtime) == (True, 1)


def test_nobody_waits_longer_than_he_wants_for_others(folder, tmp_path):
    board = Board(folder)
    (tmp_path / f"{os.getppid()}.at").write_text("1")

    assert board.await_followers(2, 0.1) == (0, 1)


def test_who_changes_it_is_waited_for_only_so_long(folder):
    with Board(folder).lock(), pytest.raises(TimeoutError), Board(folder).lock(0.1):
        pass

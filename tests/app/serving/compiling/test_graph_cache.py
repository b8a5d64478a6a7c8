"""The folder of compiled graphs."""

import os
import signal
import threading
import time

import pytest

from app.serving.compiling import graph_cache
from app.serving.compiling.graph_cache import Compiled, GraphCache, get_key
from mlmodel.frameworks.sklearn.onnx.runtime import Runtime
from tests.waiting import wait_until

KEY, OLD, NEW = "a" * 64, "b" * 64, "c" * 64
RESULT = Compiled(Runtime("auto", "ONNX Runtime 1", is_compiled=True, parity={"rows": 3}), b"\0g")


@pytest.fixture
def cache(tmp_path):
    return GraphCache(tmp_path / "made" / "cache")


@pytest.mark.parametrize("result", [RESULT, Compiled(Runtime("auto", "", reason="slow"))])
def test_result_is_read_as_written(cache, result):
    cache.write(KEY, result)

    assert cache.read(KEY) == result


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"runtime": {"a": 1}, "graph": null}'])
def test_damaged_result_is_ignored(cache, tmp_path, content):
    (tmp_path / "made" / "cache" / f"{KEY}.json").write_bytes(content)

    assert cache.read(KEY) is None
    assert cache.read("other") is None


def test_folder_of_others_is_rejected(tmp_path):
    tmp_path.chmod(0o777)

    with pytest.raises(PermissionError, match="other users can change files in"):
        GraphCache(tmp_path)


def test_unused_results_are_deleted(cache, tmp_path):
    cache.write(OLD, RESULT)
    past = time.time() - 31 * 86_400
    os.utime(tmp_path / "made" / "cache" / f"{OLD}.json", (past, past))

    cache.write(NEW, RESULT)

    assert (cache.read(OLD), cache.read(NEW)) == (None, RESULT)


def test_other_files_in_folder_are_kept(cache, tmp_path):
    folder = tmp_path / "made" / "cache"
    (folder / "credit.flm").write_bytes(b"model")
    os.utime(folder / "credit.flm", (0, 0))

    cache.write(NEW, RESULT)

    assert (folder / "credit.flm").exists()


def test_reading_keeps_result(cache, tmp_path):
    cache.write(OLD, RESULT)
    past = time.time() - 31 * 86_400
    os.utime(tmp_path / "made" / "cache" / f"{OLD}.json", (past, past))

    cache.read(OLD)
    cache.write(NEW, RESULT)

    assert cache.read(OLD) == RESULT


def test_lock_admits_one_at_a_time(cache):
    events = []

    def wait_for_lock():
        events.append("started")
        with cache.lock(KEY):
            events.append("locked")

    thread = threading.Thread(target=wait_for_lock)
    with cache.lock(KEY):
        thread.start()
        wait_until(lambda: events)
        thread.join(0.2)
        assert events == ["started"]
        with cache.lock(OLD):  # another key
            pass
    thread.join()

    assert events == ["started", "locked"]


def test_forked_process_does_not_keep_lock(cache):
    with cache.lock(KEY):
        pid = os.fork()
        if not pid:
            time.sleep(60)
            os._exit(0)
    try:
        with cache.lock(KEY):
            pass
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_key_depends_on_file_schema_and_versions(monkeypatch):
    schema = {"type": "object"}
    keys = [get_key("a", None), get_key("b", None), get_key("a", schema)]
    monkeypatch.setattr(graph_cache, "PACKAGES", ("flask",))
    keys.append(get_key("a", None))

    assert len(set(keys)) == 4

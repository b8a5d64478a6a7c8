"""The folder of compiled graphs."""

import os
import threading
import time

import pytest

from app.serving.compiling import graph_cache
from app.serving.compiling.graph_cache import Compiled, GraphCache, get_key
from mlmodel.frameworks.sklearn.onnx.runtime import Runtime

RESULT = Compiled(Runtime("auto", "ONNX Runtime 1", is_compiled=True, parity={"rows": 3}), b"\0g")


@pytest.fixture
def cache(tmp_path):
    return GraphCache(tmp_path / "made" / "cache")


@pytest.mark.parametrize("result", [RESULT, Compiled(Runtime("auto", "", reason="slow"))])
def test_result_is_read_as_written(cache, result):
    cache.write("key", result)

    assert cache.read("key") == result


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"runtime": {"a": 1}, "graph": null}'])
def test_damaged_result_is_ignored(cache, tmp_path, content):
    (tmp_path / "made" / "cache" / "key.json").write_bytes(content)

    assert cache.read("key") is None
    assert cache.read("other") is None


def test_folder_of_others_is_rejected(tmp_path):
    tmp_path.chmod(0o777)

    with pytest.raises(PermissionError, match="other users can change files in"):
        GraphCache(tmp_path)


def test_unused_results_are_deleted(cache, tmp_path):
    cache.write("old", RESULT)
    past = time.time() - 31 * 86_400
    os.utime(tmp_path / "made" / "cache" / "old.json", (past, past))

    cache.write("new", RESULT)

    assert (cache.read("old"), cache.read("new")) == (None, RESULT)


def test_reading_keeps_result(cache, tmp_path):
    cache.write("old", RESULT)
    past = time.time() - 31 * 86_400
    os.utime(tmp_path / "made" / "cache" / "old.json", (past, past))

    cache.read("old")
    cache.write("new", RESULT)

    assert cache.read("old") == RESULT


def test_lock_admits_one_at_a_time(cache):
    events = []

    def wait_for_lock():
        with cache.lock("key"):
            events.append("second")

    with cache.lock("key"):
        thread = threading.Thread(target=wait_for_lock)
        thread.start()
        with cache.lock("other"):
            events.append("first")
    thread.join()

    assert events == ["first", "second"]


def test_key_depends_on_file_schema_and_versions(monkeypatch):
    schema = {"type": "object"}
    keys = [get_key("a", None), get_key("b", None), get_key("a", schema)]
    monkeypatch.setattr(graph_cache, "PACKAGES", ("flask",))
    keys.append(get_key("a", None))

    assert len(set(keys)) == 4

import os

import pytest

from app.serving.catalog.fingerprint import contents, stamp


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"some")
    return path


def test_contents_are_equal_if_the_bytes_are(file):
    before = contents(file)
    file.write_bytes(b"other")
    other = contents(file)
    file.write_bytes(b"some")

    assert (contents(file) == before, other == before) == (True, False)


def test_a_file_that_nobody_touched_is_not_read_again(file):
    before = contents(file)
    times = file.stat()
    with file.open("r+b") as stream:
        stream.write(b"SOME")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert contents(file, before) is before


def test_a_file_that_is_not_there_has_no_bytes(tmp_path):
    assert contents(tmp_path / "none") == contents(tmp_path / "other")
    assert stamp(tmp_path / "none") == ()

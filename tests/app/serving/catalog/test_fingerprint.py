import os

import pytest

from app.serving.catalog.fingerprint import file_fingerprint, stamp


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"some")
    return path


def test_fingerprints_compare_by_bytes(file):
    before = file_fingerprint(file)
    file.write_bytes(b"other")
    other = file_fingerprint(file)
    file.write_bytes(b"some")

    assert (file_fingerprint(file) == before, other == before) == (True, False)


def test_unchanged_stamp_skips_hashing(file):
    before = file_fingerprint(file)
    times = file.stat()
    with file.open("r+b") as stream:
        stream.write(b"SOME")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert file_fingerprint(file, before) is before


def test_fingerprint_of_folder_covers_all_files(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "MLmodel").write_bytes(b"some")
    before = file_fingerprint(folder)
    assert file_fingerprint(folder, before) is before

    (folder / "model.pkl").write_bytes(b"other")

    assert file_fingerprint(folder, before) != before


def test_missing_file_has_empty_fingerprint(tmp_path):
    assert file_fingerprint(tmp_path / "none") == file_fingerprint(tmp_path / "other")
    assert stamp(tmp_path / "none") == ()

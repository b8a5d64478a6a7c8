import os
import shutil
import subprocess

import pytest

from mlmodel.errors import InvalidFile
from mlmodel.files.mlflow import folder
from tests import DATA

SAVED = DATA / "mlflow" / "iris-tensor"


@pytest.fixture
def saved(tmp_path):
    return shutil.copytree(SAVED, tmp_path / "saved")


def test_hash_is_that_of_sha256sum(saved):
    (saved / "data").mkdir()
    (saved / "data" / "more").write_text("text")
    command = "find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"

    ran = subprocess.run(command, shell=True, cwd=saved, capture_output=True, text=True, check=True)

    assert folder.scan(saved).sha256 == ran.stdout.split()[0]


@pytest.mark.parametrize("change", ["content", "name", "new"])
def test_hash_and_stamp_change_with_any_file(saved, change):
    before = folder.scan(saved)
    digest, stamp = before.sha256, before.stamp

    if change == "name":
        (saved / "conda.yaml").rename(saved / "zonda.yaml")
    else:
        (saved / ("conda.yaml" if change == "content" else "new")).write_text("other")

    after = folder.scan(saved)
    assert after.sha256 != digest
    assert after.stamp != stamp


@pytest.mark.parametrize("target", ["/etc/hostname", "MLmodel", "missing", "."])
def test_symbolic_link_is_rejected(saved, target):
    (saved / "link").symlink_to(target)

    with pytest.raises(InvalidFile, match="has a symbolic link, 'link'"):
        folder.scan(saved)


def test_pipe_is_rejected(saved):
    os.mkfifo(saved / "pipe")

    with pytest.raises(InvalidFile, match="a device or a pipe, 'pipe'"):
        folder.scan(saved)


@pytest.mark.parametrize("name", ["new\nline", "back\\slash"])
def test_unprintable_name_is_rejected(saved, name):
    (saved / name).touch()

    with pytest.raises(InvalidFile, match="a file with the name"):
        folder.scan(saved)


def test_many_files_are_rejected(saved, monkeypatch):
    monkeypatch.setattr(folder, "MAX_FILES", 5)

    with pytest.raises(InvalidFile, match="more than 5 files"):
        folder.scan(saved)


def test_deep_folders_are_rejected(saved):
    (saved / "/".join("d" * 20)).mkdir(parents=True)

    with pytest.raises(InvalidFile, match="more than 16 levels"):
        folder.scan(saved)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "data/../../outside", "", "."])
def test_paths_outside_are_rejected(saved, name):
    (saved.parent / "outside").touch()

    with pytest.raises(InvalidFile, match="which the folder lacks"):
        folder.scan(saved).read(name)


def test_changed_file_is_rejected(saved):
    found = folder.scan(saved)
    assert found.sha256
    (saved / "model.pkl").write_bytes(b"other")

    with pytest.raises(InvalidFile, match=r"'model.pkl' was changed"):
        found.read("model.pkl")

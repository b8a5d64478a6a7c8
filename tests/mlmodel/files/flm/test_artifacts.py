import os
import tempfile

import pytest

from mlmodel.bounded.compression import Budget, Codec
from mlmodel.errors import BadArtifact, TooLarge
from mlmodel.files.flm.artifacts import ArtifactFolder, check_flama_name, check_names
from mlmodel.files.flm.protocols import Section

LEADING_OUT = ["../x", "/etc/x", "a/../../x", "..", "C:x", "C:\\x", "..\\x", "a//b", "a/", ".", ""]
UNPRINTABLE = ["a\0b", "a\nb", "\x1b[31m"]


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", [*LEADING_OUT, *UNPRINTABLE])
def test_name_outside_folder_is_rejected(name):
    with pytest.raises(BadArtifact, match="must lie within the artifacts' folder"):
        check_names([name])


@pytest.mark.parametrize("name", ["x" * 256, "é" * 128, "a/" * 1_000_000 + "x"], ids=len)
def test_long_name_is_rejected(name):
    with pytest.raises(BadArtifact, match="must have at most 255 bytes"):
        check_names([name])


@pytest.mark.parametrize("name", ["foo.json", "sub/x", "a b.csv", "Größe.txt", "...", "..x"])
def test_name_inside_folder_is_accepted(name):
    check_names([name])


@pytest.mark.parametrize("names", [["a", "a/b"], ["a/b", "a"], ["a/b/c", "a"]])
def test_file_named_like_folder_is_rejected(names):
    with pytest.raises(BadArtifact, match="'a' is also the folder of another"):
        check_names(names)


@pytest.mark.parametrize("name", [*LEADING_OUT, *UNPRINTABLE, "sub/x", "Größe.txt", "x" * 256])
def test_only_plain_ascii_names_are_written(name):
    with pytest.raises(BadArtifact, match="must be a plain ASCII file name, got"):
        check_flama_name(name)


def test_artifacts_share_one_folder(temporary):
    sections = {"a": Section(Codec.NONE, b"<a>"), "sub/b": Section(Codec.NONE, b"")}

    unpacked = ArtifactFolder(sections, Budget(10))

    (folder,) = temporary.iterdir()
    assert unpacked.paths == {"a": folder / "a", "sub/b": folder / "sub/b"}
    assert [path.read_bytes() for path in unpacked.paths.values()] == [b"<a>", b""]


def test_no_artifacts_need_no_folder(temporary):
    assert ArtifactFolder({}, Budget(0)).paths == {}
    assert list(temporary.iterdir()) == []


def test_too_large_artifacts_leave_no_folder(temporary):
    sections = {"a": Section(Codec.NONE, b"a"), "b": Section(Codec.NONE, b"bc")}

    with pytest.raises(TooLarge):
        ArtifactFolder(sections, Budget(2))

    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(("is_owner", "is_left"), [(True, False), (False, True)])
def test_only_the_owner_removes_a_folder(temporary, monkeypatch, is_owner, is_left):
    unpacked = ArtifactFolder({"a": Section(Codec.NONE, b"a")}, Budget(1))
    if not is_owner:
        monkeypatch.setattr(os, "getpid", lambda: 0)

    unpacked.remove()

    assert (unpacked.paths, any(temporary.iterdir())) == ({}, is_left)


@pytest.mark.parametrize(
    "names", [[str(at) for at in range(10_001)], ["a/" * 20 + "b"]], ids=["many", "deep"]
)
def test_too_many_artifacts_are_rejected(names):
    with pytest.raises(BadArtifact, match=r"at most 10,000 artifacts, got 10,001|must lie within"):
        check_names(names)

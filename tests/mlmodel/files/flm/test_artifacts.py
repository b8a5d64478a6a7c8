import os
import tempfile

import pytest

from mlmodel.bounded.compression import Budget, Codec
from mlmodel.errors import BadArtifact, TooLarge
from mlmodel.files.flm.artifacts import check_names, check_plain, remove, unpack
from mlmodel.files.flm.protocols import Section

LEADING_OUT = ["../x", "/etc/x", "a/../../x", "..", "C:x", "C:\\x", "..\\x", "a//b", "a/", ".", ""]
UNPRINTABLE = ["a\0b", "a\nb", "\x1b[31m"]


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", [*LEADING_OUT, *UNPRINTABLE])
def test_a_name_that_leads_elsewhere_is_refused(name):
    with pytest.raises(BadArtifact, match="must lie within the artifacts' folder"):
        check_names([name])


@pytest.mark.parametrize("name", ["x" * 256, "é" * 128, "a/" * 1_000_000 + "x"], ids=len)
def test_a_name_that_is_too_long_is_refused(name):
    with pytest.raises(BadArtifact, match="must have at most 255 bytes"):
        check_names([name])


@pytest.mark.parametrize("name", ["foo.json", "sub/x", "a b.csv", "Größe.txt", "...", "..x"])
def test_a_name_within_the_folder_is_read(name):
    check_names([name])


@pytest.mark.parametrize("names", [["a", "a/b"], ["a/b", "a"], ["a/b/c", "a"]])
def test_a_file_cannot_be_a_folder_too(names):
    with pytest.raises(BadArtifact, match="'a' has the name of a folder"):
        check_names(names)


@pytest.mark.parametrize("name", [*LEADING_OUT, *UNPRINTABLE, "sub/x", "Größe.txt", "x" * 256])
def test_only_a_plain_ascii_name_is_written(name):
    with pytest.raises(BadArtifact, match="must be one plain ASCII file name, got"):
        check_plain(name)


def test_artifacts_are_unpacked_to_one_folder(temporary):
    folder, paths = unpack(
        {"a": Section(Codec.NONE, b"<a>"), "sub/b": Section(Codec.NONE, b"")}, Budget(10)
    )

    assert paths == {"a": folder / "a", "sub/b": folder / "sub/b"}
    assert (paths["a"].read_bytes(), paths["sub/b"].read_bytes()) == (b"<a>", b"")


def test_no_artifacts_need_no_folder(temporary):
    assert unpack({}, Budget(0)) == (None, {})
    assert list(temporary.iterdir()) == []


def test_nothing_is_left_of_artifacts_that_are_too_large(temporary):
    with pytest.raises(TooLarge):
        unpack({"a": Section(Codec.NONE, b"a"), "b": Section(Codec.NONE, b"bc")}, Budget(2))

    assert list(temporary.iterdir()) == []


def test_a_folder_is_removed_by_its_owner_only(tmp_path):
    folder = tmp_path / "artifacts"
    folder.mkdir()

    remove(folder, os.getpid() + 1)
    assert folder.exists()

    remove(folder, os.getpid())
    assert not folder.exists()


@pytest.mark.parametrize(
    "names", [[str(at) for at in range(10_001)], ["a/" * 20 + "b"]], ids=["many", "deep"]
)
def test_more_artifacts_than_anybody_has_are_refused(names):
    with pytest.raises(BadArtifact, match=r"may be 10,000 artifacts|must lie within"):
        check_names(names)

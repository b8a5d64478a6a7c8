import base64
import hashlib
import pickle
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmodel.bounded.compression import Codec, budget, compress
from mlmodel.bounded.metadata import FrameworkMetadata, Meta, ModelMetadata
from mlmodel.errors import (
    BadArtifact,
    BadHeader,
    BadMetadata,
    CorruptSection,
    InvalidFile,
    TooLarge,
    UnknownProtocol,
)
from mlmodel.files.flm.container import read, unpack_model, write
from mlmodel.files.flm.protocols import Layout, Section, encode
from tests.flm_files import CODECS, SAMPLES, content_of

MIB = 1 << 20
META = Meta(
    "m", "2026-01-31T14:30:00", FrameworkMetadata("ml", "sklearn", "1.9.1"), ModelMetadata("Ridge")
)
META_JSON = b'{"id":"m","timestamp":"","framework":{"lib":"x","version":""},"model":{"obj":"y"}}'

CONTAINERS = {
    "1.0": ("zlib", "zlib"),
    "1.4": ("tar", "zlib"),
    "1.11": ("tar", "bz2"),
}
each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["file"])
each_small_file = pytest.mark.parametrize(
    "name", ["1.0.2-iris-none.flm", "1.12.4-iris-zstd.flm", "2.2.2-iris-zlib-p2.flm"]
)


def read_all(content, limit_bytes=None):
    """The model's bytes and the artifacts' in a file."""
    spent = budget(len(content), limit_bytes)
    found = read(content, spent)
    artifacts = {name: found.artifacts[name].unpack(spent) for name in found.artifacts}
    return unpack_model(found, spent), artifacts


def laid_out(meta=META_JSON, model=b"bW9kZWw=\n", artifacts=(), is_bundle=False):
    """A file of protocol 2 with sections as they are given."""

    def section(content):
        return Section(Codec.ZLIB, compress(Codec.ZLIB, content))

    files = {name: section(content) for name, content in artifacts}
    return encode(Layout(2, Codec.ZLIB, section(meta), section(model), files, is_bundle))


@each_sample
def test_sample_artifacts_are_complete(sample):
    _, artifacts = read_all(content_of(sample["file"]))

    found = {name: hashlib.sha256(artifacts[name]).hexdigest() for name in artifacts}
    assert found == {name: of["sha256"] for name, of in sample["artifacts"].items()}


@each_sample
def test_sample_container_is_recognized(sample):
    content = content_of(sample["file"])

    found = read(content, budget(len(content)))

    flama = sample["flama"].rpartition(".")[0]
    expected = (f"protocol {sample['protocol']}", sample["compression"])
    assert (found.container, found.compression) == CONTAINERS.get(flama, expected)


@each_sample
def test_sample_model_unpacks(sample):
    model, _ = read_all(content_of(sample["file"]))

    assert model.startswith(b"\x80\x04" if sample["pickle"] else b"PK")


@pytest.mark.parametrize("protocol", [1, 2], ids=["protocol 1", "protocol 2"])
@pytest.mark.parametrize("codec", CODECS)
def test_written_file_is_read(codec, protocol):
    content = write(META, b"<model>", {"a": b"<a>", "b": b""}, Codec[codec.upper()], protocol)

    assert read(content, budget(len(content))).meta == META
    assert read_all(content) == (b"<model>", {"a": b"<a>", "b": b""})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"PK\x03\x04" + bytes(100),
        b"age,income\n42,51000\n",
        pickle.dumps({"a": 1}, protocol=4),
        b"\x78\x9c",
        b"\x1f\x8b\x08" + bytes(100),
        b"BZh91AY&SY" + bytes(100),
        b"\xfd7zXZ\0" + bytes(100),
    ],
    ids=["empty", "two", "png", "zip", "csv", "pickle", "zlib", "gzip", "bz2", "xz"],
)
def test_other_files_are_rejected(content):
    with pytest.raises(InvalidFile):
        read_all(content)


def test_first_bytes_are_shown():
    with pytest.raises(BadHeader, match=r"first bytes of an .flm file, got '89 50 4e 47'"):
        read_all(b"\x89PNG\r\n\x1a\n")


def test_unknown_protocol_is_named():
    with pytest.raises(UnknownProtocol, match="got 3"):
        read_all(b"\0\0\0\3" + laid_out()[4:])


def test_invalid_tar_is_rejected():
    with pytest.raises(InvalidFile):
        read_all(compress(Codec.BZ2, b"age,income\n" * 100))


@each_small_file
def test_truncated_file_is_rejected(name):
    content = content_of(name)

    for size in range(len(content)):
        with pytest.raises(InvalidFile):
            read_all(content[:size])


@pytest.mark.parametrize("name", ["1.4.0-xor-fast.flm", "1.11.7-xor-standard.flm"])
def test_truncated_tar_is_rejected(name):
    content = content_of(name)

    for size in range(0, len(content), 101):
        with pytest.raises(InvalidFile):
            read_all(content[:size])


@given(data=st.data(), name=st.sampled_from([sample["file"] for sample in SAMPLES]))
def test_changed_bytes_raise_only_invalid_file(data, name):
    content = bytearray(content_of(name))
    places = st.integers(0, min(len(content), 2000) - 1)
    changes = data.draw(st.dictionaries(places, st.integers(0, 255), min_size=1, max_size=5))
    for place, byte in changes.items():
        content[place] = byte

    with suppress(InvalidFile):
        read_all(bytes(content))


def test_empty_model_is_rejected():
    with pytest.raises(CorruptSection, match="the model section is empty"):
        read_all(laid_out(model=b""))


@pytest.mark.parametrize("text", [b"bW9kZ", b"bW9k\0ZWw=", b"<model>"])
def test_model_must_be_base64(text):
    with pytest.raises(CorruptSection, match="must be base64 text"):
        read_all(laid_out(model=text))


def test_bundle_is_not_base64():
    assert read_all(laid_out(model=b"<tar>", is_bundle=True)) == (b"<tar>", {})


@pytest.mark.parametrize("meta", [b"", b"[]", b"{}", b"\xff", b'{"id": NaN}'])
def test_empty_metadata_is_rejected(meta):
    with pytest.raises(BadMetadata):
        read_all(laid_out(meta=meta))


@pytest.mark.parametrize("name", ["../x", "/x", "C:x", "a\\x", "a\0", ""])
def test_artifact_outside_folder_is_rejected(name):
    with pytest.raises(BadArtifact):
        read_all(laid_out(artifacts=[(name, b"")]))


@pytest.mark.parametrize(
    "sections",
    [
        {"meta": META_JSON + b" " * MIB},
        {"model": base64.encodebytes(bytes(MIB))},
        {"artifacts": [("a", bytes(MIB // 2)), ("b", bytes(MIB // 2))]},
    ],
    ids=["metadata", "model", "artifacts"],
)
def test_sections_expand_within_the_limit(sections):
    with pytest.raises(TooLarge, match="more than the limit of 1,048,576 bytes"):
        read_all(laid_out(**sections), limit_bytes=MIB)


@pytest.mark.parametrize(
    ("size_bytes", "limit_bytes"), [(0, 64 * MIB), (1000, 64 * MIB), (MIB, 100 * MIB)]
)
def test_limit_grows_with_file_size(size_bytes, limit_bytes):
    assert budget(size_bytes).limit_bytes == limit_bytes


def test_names_unreadable_by_flama_are_rejected():
    with pytest.raises(BadArtifact, match="a plain ASCII file name, got 'Größe'"):
        write(META, b"<model>", {"Größe": b""}, Codec.ZSTD, 2)

import struct

import pytest

from mlmodel.bounded.compression import Budget, Codec, compress
from mlmodel.errors import (
    BadArtifact,
    BadHeader,
    CorruptSection,
    InvalidFile,
    TruncatedFile,
    UnknownCompression,
    UnknownModelKind,
    UnknownProtocol,
)
from mlmodel.files.flm.protocols import Layout, Section, decode, encode
from tests.flm_files import BY_NAME, SAMPLES, content_of

MIB = 1 << 20
ARTIFACTS = ["foo.json", "bar.csv", "empty.txt", "blob.bin"]

each_sample = pytest.mark.parametrize(
    "name", [sample["file"] for sample in SAMPLES if sample["container"] == "flm"]
)
each_protocol = pytest.mark.parametrize("protocol", [1, 2], ids=["protocol 1", "protocol 2"])


def small(protocol, **changes):
    """A file of about 100 bytes with two artifacts and without compression."""
    parts = {
        "protocol": protocol,
        "codec": Codec.ZLIB,
        "meta": Section(Codec.ZLIB, b"<meta>"),
        "model": Section(Codec.ZLIB, b"<model>"),
        "artifacts": {"a": Section(Codec.ZLIB, b"<a>"), "b": Section(Codec.ZLIB, b"<b>")},
    }
    return Layout(**parts | changes)


def changed(content, offset, fields, *numbers):
    """The same bytes with other numbers in one place."""
    content = bytearray(content)
    struct.pack_into(fields, content, offset, *numbers)
    return bytes(content)


@each_sample
def test_sample_header_is_decoded(name):
    header = BY_NAME[name]["header"]

    layout = decode(content_of(name))

    assert (layout.protocol, layout.codec) == (header["protocol"], header["compression_id"])


@each_sample
def test_sample_is_encoded_byte_for_byte(name):
    assert encode(decode(content_of(name))) == content_of(name)


def test_protocol_1_layout_matches_sizes():
    content = content_of("2.2.2-xor-bz2-p1.flm")
    meta, model, count, artifacts = struct.unpack_from("!QQIQ", content, 16)

    layout = decode(content)

    assert (count, list(layout.artifacts)) == (4, ARTIFACTS)
    assert layout.meta.packed == content[44 : 44 + meta]
    assert layout.model.packed == content[44 + meta : -artifacts]
    assert len(layout.model.packed) == model


def test_protocol_2_layout_matches_sizes():
    content = content_of("2.2.2-xor-zstd-p2.flm")
    assert struct.unpack_from("!IIQQQQ", content) == (2, 4, 17309, 545, 459, 16281)

    layout = decode(content)

    assert list(layout.artifacts) == ARTIFACTS
    assert layout.meta.packed == content[41:585]
    assert layout.model.packed == content[1046:]
    assert content[1044:1046] == b"\0\0"


def test_content_alone_yields_flama_bytes():
    layout = decode(content_of("2.2.2-xor-bz2-p1.flm"))

    def again(section):
        return Section(Codec.BZ2, compress(Codec.BZ2, section.unpack(Budget(MIB))))

    artifacts = {name: again(section) for name, section in layout.artifacts.items()}
    rewritten = Layout(1, Codec.BZ2, again(layout.meta), again(layout.model), artifacts)
    assert encode(rewritten) == content_of("2.2.2-xor-bz2-p1.flm")


@each_protocol
def test_layout_round_trips(protocol):
    layout = small(protocol)

    assert decode(encode(layout)) == layout


def test_sections_may_have_own_codecs():
    layout = small(
        2,
        meta=Section(Codec.NONE, b"{}"),
        artifacts={"a": Section(Codec.LZMA, b"<a>")},
        model=Section(Codec.ZSTD, b"<model>"),
        is_bundle=True,
    )

    assert encode(layout)[40:41] == b"\xff"
    assert decode(encode(layout)) == layout


@each_protocol
def test_truncated_file_is_rejected(protocol):
    content = encode(small(protocol))

    for size in range(len(content)):
        with pytest.raises((BadHeader, TruncatedFile)):
            decode(content[:size])


@each_protocol
def test_truncated_sections_are_rejected(protocol):
    content = encode(small(protocol))

    for size in range(16, len(content)):
        with pytest.raises(InvalidFile):
            decode(changed(content[:size], 8, "!Q", size - 16))


@each_protocol
@pytest.mark.parametrize("size", [0, 1, 2**31, 2**62, 2**64 - 1])
def test_wrong_size_is_rejected(protocol, size):
    content = encode(small(protocol))
    offsets = {1: (16, 24, 36), 2: (16, 24, 32)}[protocol]

    for offset in (8, *offsets):
        with pytest.raises(InvalidFile):
            decode(changed(content, offset, "!Q", size))


def test_size_beyond_file_is_named():
    content = changed(encode(small(2)), 16, "!Q", 2**62)

    with pytest.raises(
        TruncatedFile, match="expected 4,611,686,018,427,387,904 bytes of the metadata"
    ):
        decode(content)


@pytest.mark.parametrize("count", [0, 1, 3, 2**32 - 1])
def test_wrong_artifact_count_is_rejected(count):
    with pytest.raises((CorruptSection, TruncatedFile)):
        decode(changed(encode(small(1)), 32, "!I", count))


def test_trailing_bytes_are_rejected():
    with pytest.raises(BadHeader, match="expected 73 bytes after the header, got 74"):
        decode(encode(small(1)) + b"\n")


def test_bytes_after_sections_are_rejected():
    content = encode(small(2)) + b"\n"

    with pytest.raises(CorruptSection, match="1 extra bytes follow the model"):
        decode(changed(content, 8, "!Q", len(content) - 16))


@pytest.mark.parametrize("protocol", [0, 3, 2**32 - 1])
def test_unknown_protocol_is_rejected(protocol):
    with pytest.raises(UnknownProtocol, match=f"must be 1 or 2, got {protocol}"):
        decode(changed(encode(small(1)), 0, "!I", protocol))


@pytest.mark.parametrize("codec", [0, 5, 255])
def test_unknown_codec_is_rejected(codec):
    with pytest.raises(UnknownCompression, match=f"must be 1, 2, 3 or 4, got {codec}"):
        decode(changed(encode(small(1)), 4, "!I", codec))


def test_unknown_section_codec_is_rejected():
    with pytest.raises(UnknownCompression, match="0, 1, 2, 3, 4 or 255, got 9"):
        decode(changed(encode(small(2)), 40, "!B", 9))


def test_unknown_model_kind_is_rejected():
    content = encode(small(2))

    with pytest.raises(UnknownModelKind, match=r"0 \(binary\) or 1 \(bundle\), got 2"):
        decode(changed(content, len(content) - len("<model>") - 1, "!B", 2))


def test_duplicate_artifact_is_rejected():
    content = encode(small(1)).replace(b"b<b>", b"a<b>")

    with pytest.raises(BadArtifact, match="'a' occurs twice"):
        decode(content)


def test_artifact_name_must_be_utf8():
    with pytest.raises(BadArtifact, match="must be UTF-8"):
        decode(encode(small(1)).replace(b"b<b>", b"\xff<b>"))


def test_unknown_protocol_is_not_written():
    with pytest.raises(UnknownProtocol):
        encode(small(3))

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
    """A file of some 100 bytes with two artifacts, and none of its sections compressed."""
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
def test_the_header_of_a_sample_is_read(name):
    header = BY_NAME[name]["header"]

    layout = decode(content_of(name))

    assert (layout.protocol, layout.codec) == (header["protocol"], header["compression_id"])


@each_sample
def test_a_sample_is_put_together_again_byte_for_byte(name):
    assert encode(decode(content_of(name))) == content_of(name)


def test_protocol_1_lies_as_its_sizes_say():
    content = content_of("2.2.2-xor-bz2-p1.flm")
    meta, model, count, artifacts = struct.unpack_from("!QQIQ", content, 16)

    layout = decode(content)

    assert (count, list(layout.artifacts)) == (4, ARTIFACTS)
    assert layout.meta.packed == content[44 : 44 + meta]
    assert layout.model.packed == content[44 + meta : -artifacts]
    assert len(layout.model.packed) == model


def test_protocol_2_lies_as_its_sizes_say():
    content = content_of("2.2.2-xor-zstd-p2.flm")
    assert struct.unpack_from("!IIQQQQ", content) == (2, 4, 17309, 545, 459, 16281)

    layout = decode(content)

    assert list(layout.artifacts) == ARTIFACTS
    assert layout.meta.packed == content[41:585]
    assert layout.model.packed == content[1046:]
    assert content[1044:1046] == b"\0\0"


def test_flama_s_own_bytes_come_from_the_content_alone():
    layout = decode(content_of("2.2.2-xor-bz2-p1.flm"))

    def again(section):
        return Section(Codec.BZ2, compress(Codec.BZ2, section.unpack(Budget(MIB))))

    artifacts = {name: again(section) for name, section in layout.artifacts.items()}
    rewritten = Layout(1, Codec.BZ2, again(layout.meta), again(layout.model), artifacts)
    assert encode(rewritten) == content_of("2.2.2-xor-bz2-p1.flm")


@each_protocol
def test_what_was_laid_out_is_found(protocol):
    layout = small(protocol)

    assert decode(encode(layout)) == layout


def test_sections_may_have_codecs_of_their_own():
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
def test_a_file_cut_anywhere_is_refused(protocol):
    content = encode(small(protocol))

    for size in range(len(content)):
        with pytest.raises((BadHeader, TruncatedFile)):
            decode(content[:size])


@each_protocol
def test_a_file_cut_anywhere_is_refused_though_its_header_agrees(protocol):
    content = encode(small(protocol))

    for size in range(16, len(content)):
        with pytest.raises(InvalidFile):
            decode(changed(content[:size], 8, "!Q", size - 16))


@each_protocol
@pytest.mark.parametrize("size", [0, 1, 2**31, 2**62, 2**64 - 1])
def test_a_wrong_size_is_refused_at_once(protocol, size):
    content = encode(small(protocol))
    offsets = {1: (16, 24, 36), 2: (16, 24, 32)}[protocol]

    for offset in (8, *offsets):
        with pytest.raises(InvalidFile):
            decode(changed(content, offset, "!Q", size))


def test_a_size_beyond_the_file_is_named():
    content = changed(encode(small(2)), 16, "!Q", 2**62)

    with pytest.raises(
        TruncatedFile, match="expected 4,611,686,018,427,387,904 bytes of the metadata"
    ):
        decode(content)


@pytest.mark.parametrize("count", [0, 1, 3, 2**32 - 1])
def test_a_wrong_number_of_artifacts_is_refused(count):
    with pytest.raises((CorruptSection, TruncatedFile)):
        decode(changed(encode(small(1)), 32, "!I", count))


def test_bytes_after_the_end_are_refused():
    with pytest.raises(BadHeader, match="declares 73 bytes after it, the file has 74"):
        decode(encode(small(1)) + b"\n")


def test_bytes_after_the_last_section_are_refused():
    content = encode(small(2)) + b"\n"

    with pytest.raises(CorruptSection, match="1 bytes follow the end of the model"):
        decode(changed(content, 8, "!Q", len(content) - 16))


@pytest.mark.parametrize("protocol", [0, 3, 2**32 - 1])
def test_a_protocol_that_nobody_published_is_refused(protocol):
    with pytest.raises(UnknownProtocol, match=f"must be 1 or 2, got {protocol}"):
        decode(changed(encode(small(1)), 0, "!I", protocol))


@pytest.mark.parametrize("codec", [0, 5, 255])
def test_a_codec_that_nobody_published_is_refused(codec):
    with pytest.raises(UnknownCompression, match=f"must be 1, 2, 3 or 4, got {codec}"):
        decode(changed(encode(small(1)), 4, "!I", codec))


def test_a_section_s_unknown_codec_is_refused():
    with pytest.raises(UnknownCompression, match="0, 1, 2, 3, 4 or 255, got 9"):
        decode(changed(encode(small(2)), 40, "!B", 9))


def test_an_unknown_kind_of_model_is_refused():
    content = encode(small(2))

    with pytest.raises(UnknownModelKind, match=r"0 \(binary\) or 1 \(bundle\), got 2"):
        decode(changed(content, len(content) - len("<model>") - 1, "!B", 2))


def test_an_artifact_that_comes_twice_is_refused():
    content = encode(small(1)).replace(b"b<b>", b"a<b>")

    with pytest.raises(BadArtifact, match="'a' occurs twice"):
        decode(content)


def test_an_artifact_s_name_that_is_not_utf_8_is_refused():
    with pytest.raises(BadArtifact, match="must be UTF-8"):
        decode(encode(small(1)).replace(b"b<b>", b"\xff<b>"))


def test_a_protocol_that_nobody_published_is_not_written():
    with pytest.raises(UnknownProtocol):
        encode(small(3))

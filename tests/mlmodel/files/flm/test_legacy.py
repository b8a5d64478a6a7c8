import base64
import bz2
import io
import json
import tarfile
import zlib

import pytest

from mlmodel.bounded.compression import Budget, Codec
from mlmodel.errors import (
    BadArtifact,
    BadMetadata,
    CorruptSection,
    InvalidFile,
    TooLarge,
    TruncatedFile,
)
from mlmodel.files.flm.legacy import read_tar, read_zlib

MIB = 1 << 20
MODEL = base64.encodebytes(b"<model>").decode()
DOCUMENT = zlib.compress(json.dumps({"model": MODEL, "meta": {"id": "m"}}).encode())


def tar_of(*members, form=tarfile.PAX_FORMAT):
    """An uncompressed tar of (name or TarInfo, content)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as tar:
        for name, content in members:
            member = tarfile.TarInfo(name) if isinstance(name, str) else name
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def read(tar, limit_bytes=MIB):
    return read_tar(bz2.compress(tar), Codec.BZ2, Budget(limit_bytes))


def names_in(tar):
    return list(read(tar).artifacts)


def member(name, kind):
    found = tarfile.TarInfo(name)
    found.type = kind
    found.linkname = "/etc/passwd"
    return found


def test_zlib_file_has_metadata_and_model():
    found = read_zlib(DOCUMENT, Budget(MIB))

    assert found.meta == {"id": "m"}
    assert found.model.unpack(Budget(MIB)) == MODEL.encode()


def test_tar_artifacts_keep_their_order():
    found = read(tar_of(("artifacts/b", b"<b>"), ("artifacts/a", b""), ("model", DOCUMENT)))

    assert {name: bytes(found.artifacts[name].packed) for name in found.artifacts} == {
        "b": b"<b>",
        "a": b"",
    }


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("name", ["sub/x", f"{'f' * 90}/{'n' * 90}"], ids=["short", "long"])
def test_every_tar_format_is_read(form, name):
    tar = tar_of((f"artifacts/{name}", b"x"), ("model", DOCUMENT), form=form)

    assert names_in(tar) == [name]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_non_ascii_names_are_read(form):
    tar = tar_of(
        (f"artifacts/{'é' * 60}", b"x"), ("artifacts/è", b""), ("model", DOCUMENT), form=form
    )

    assert names_in(tar) == ["é" * 60, "è"]


def test_folder_entries_are_skipped():
    folder = member("artifacts/sub", tarfile.DIRTYPE)

    assert names_in(tar_of((folder, b""), ("artifacts/sub/x", b""), ("model", DOCUMENT))) == [
        "sub/x"
    ]


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE],
    ids=["symbolic link", "hard link", "device", "pipe", "sparse file"],
)
def test_special_files_are_rejected(kind):
    with pytest.raises(BadArtifact, match="only files and folders in the tar"):
        read(tar_of((member("artifacts/x", kind), b""), ("model", DOCUMENT)))


@pytest.mark.parametrize("name", ["../x", "/etc/cron.d/x", "other", "artifacts", "model"])
def test_unknown_member_is_rejected(name):
    with pytest.raises(
        BadArtifact, match=f"member '{name}' of the tar is not an artifact, or occurs twice"
    ):
        read(tar_of(("model", DOCUMENT), (name, b"")))


def test_duplicate_artifact_is_rejected():
    with pytest.raises(
        BadArtifact, match="'artifacts/x' of the tar is not an artifact, or occurs twice"
    ):
        read(tar_of(("artifacts/x", b"1"), ("artifacts/x", b"2"), ("model", DOCUMENT)))


def test_empty_model_is_explained():
    with pytest.raises(CorruptSection, match=r"empty: Flama 1\.1 to 1\.11 wrote this"):
        read(tar_of(("model", b"")))


def test_tar_without_model_is_rejected():
    with pytest.raises(CorruptSection, match="expected a member 'model' in the tar"):
        read(tar_of(("artifacts/x", b"")))


def test_document_without_model_is_rejected():
    with pytest.raises(BadMetadata, match="an object with a string 'model'"):
        read_zlib(zlib.compress(b'{"model": 5, "meta": {}}'), Budget(MIB))


def test_tar_and_members_share_a_budget():
    document = zlib.compress(json.dumps({"model": "A" * MIB, "meta": {}}).encode())

    with pytest.raises(TooLarge):
        read(tar_of(("model", document)), limit_bytes=MIB)


def test_truncated_tar_is_rejected():
    tar = tar_of(("artifacts/a", b"<a>"), ("model", DOCUMENT)).rstrip(b"\0")

    for size in range(0, len(tar), 7):
        with pytest.raises(TruncatedFile):
            read(tar[:size])


@pytest.mark.parametrize("size", [b"\xff" * 12, b"-1", b"0o17", b"1 2", b"89"], ids=repr)
def test_size_must_be_octal(size):
    # The first one, a negative number, puts tarfile into an endless loop.
    tar = bytearray(tar_of(("model", DOCUMENT)))
    tar[124:136] = size.ljust(12, b"\0")

    with pytest.raises(CorruptSection, match="must be octal digits"):
        read(bytes(tar))


def test_long_pax_records_are_rejected():
    header = member("pax", tarfile.XHDTYPE)

    with pytest.raises(BadArtifact, match="at most 4,096 bytes, got 1,048,576"):
        read(tar_of((header, b"4 =\n" * (MIB // 4)), ("model", DOCUMENT)), limit_bytes=4 * MIB)


@pytest.mark.parametrize("records", [b"path=x\n", b"999 path=x\n", b"0 path=x\n", b"9" * 4000])
def test_pax_records_need_their_length(records):
    header = member("pax", tarfile.XHDTYPE)

    with pytest.raises(InvalidFile):
        read(tar_of((header, records), ("model", DOCUMENT)))

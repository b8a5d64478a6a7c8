import bz2
import gzip
import lzma
import tracemalloc
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mlmodel.bounded.compression import FILE_CODECS, Budget, Codec, compress, decompress, get_codec
from mlmodel.errors import CorruptSection, TooLarge, UnknownCompression

TEXT = b"Sepal.Length Sepal.Width " * 1000
MIB = 1 << 20

each_codec = pytest.mark.parametrize("codec", FILE_CODECS, ids=lambda codec: codec.name.lower())


def streamed_zstd(content):
    """A frame without its content's size, as Flama 2 writes it."""
    stream = zstandard.ZstdCompressor().compressobj()
    return stream.compress(content) + stream.flush()


STREAMS = {
    "bz2": (Codec.BZ2, bz2.compress(TEXT)),
    "xz": (Codec.LZMA, lzma.compress(TEXT)),
    "lzma": (Codec.LZMA, lzma.compress(TEXT, format=lzma.FORMAT_ALONE)),
    "zlib": (Codec.ZLIB, zlib.compress(TEXT)),
    "gzip": (Codec.ZLIB, gzip.compress(TEXT)),
    "zstd": (Codec.ZSTD, zstandard.ZstdCompressor().compress(TEXT)),
    "zstd streamed": (Codec.ZSTD, streamed_zstd(TEXT)),
    "zstd checked": (Codec.ZSTD, zstandard.ZstdCompressor(write_checksum=True).compress(TEXT)),
}
each_stream = pytest.mark.parametrize(("codec", "packed"), STREAMS.values(), ids=STREAMS)


@each_codec
@given(content=st.binary(max_size=5000))
def test_round_trip_restores_the_content(codec, content):
    assert decompress(codec, compress(codec, content), Budget(5000)) == content


@each_stream
def test_each_codec_decompresses(codec, packed):
    assert decompress(codec, packed, Budget(len(TEXT))) == TEXT


@each_codec
def test_content_of_many_pieces_is_read(codec):
    content = bytes(range(256)) * 10_000

    assert decompress(codec, compress(codec, content), Budget(len(content))) == content


def test_uncompressed_content_spends_the_budget():
    assert decompress(Codec.NONE, b"abc", Budget(3)) == b"abc"
    with pytest.raises(TooLarge):
        decompress(Codec.NONE, b"abc", Budget(2))


@each_stream
def test_truncated_stream_is_rejected(codec, packed):
    for size in range(len(packed)):
        with pytest.raises(CorruptSection):
            decompress(codec, packed[:size], Budget(len(TEXT)))


@each_stream
def test_trailing_bytes_are_rejected(codec, packed):
    with pytest.raises(CorruptSection, match="4 extra bytes follow its end"):
        decompress(codec, packed + b"tail", Budget(len(TEXT)))


@each_codec
def test_second_stream_is_rejected(codec):
    packed = compress(codec, TEXT)

    with pytest.raises(CorruptSection, match="extra bytes follow its end"):
        decompress(codec, packed + packed, Budget(2 * len(TEXT)))


@each_codec
def test_other_bytes_are_rejected(codec):
    with pytest.raises(CorruptSection, match=f"not a {codec.name.lower()} stream"):
        decompress(codec, b"Sepal.Length,Sepal.Width\n", Budget(MIB))


@each_codec
def test_decompression_bomb_stops_at_the_budget(codec):
    bomb = compress(codec, bytes(24 * MIB))

    tracemalloc.start()
    with pytest.raises(TooLarge, match="the limit of 1,048,576 bytes"):
        decompress(codec, bomb, Budget(MIB))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 16 * MIB


def test_a_budget_is_shared():
    budget = Budget(len(TEXT) + 1)
    packed = compress(Codec.ZLIB, TEXT)

    decompress(Codec.ZLIB, packed, budget)

    with pytest.raises(TooLarge) as caught:
        decompress(Codec.ZLIB, packed, budget)
    assert caught.value.limit_bytes == len(TEXT) + 1


def test_huge_lzma_window_is_rejected():
    packed = lzma.compress(TEXT, format=lzma.FORMAT_ALONE)
    wanted = (1 << 30).to_bytes(4, "little")

    with pytest.raises(CorruptSection, match="Memory usage limit"):
        decompress(Codec.LZMA, packed[:1] + wanted + packed[5:], Budget(MIB))


def test_huge_zstd_window_is_rejected():
    parameters = zstandard.ZstdCompressionParameters(window_log=30)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = stream.compress(TEXT) + stream.flush()

    with pytest.raises(CorruptSection, match="too much memory"):
        decompress(Codec.ZSTD, packed, Budget(MIB))


def test_lzma_is_readable_by_flama():
    assert compress(Codec.LZMA, TEXT).startswith(b"\x5d\x00\x00\x80\x00" + b"\xff" * 8)


def test_unknown_codec_lists_the_valid_ones():
    with pytest.raises(UnknownCompression, match="one of bz2, lzma, zlib, zstd, got 'gzip'"):
        get_codec("gzip")

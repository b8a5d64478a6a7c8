import bz2
import gzip
import lzma
import tracemalloc
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mlmodel.bounded.compression import FILE_CODECS, Budget, Codec, compress, decompress, named
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
def test_what_went_in_comes_out(codec, content):
    assert decompress(codec, compress(codec, content), Budget(5000)) == content


@each_stream
def test_every_kind_of_stream_is_read(codec, packed):
    assert decompress(codec, packed, Budget(len(TEXT))) == TEXT


@each_codec
def test_content_of_many_pieces_is_read(codec):
    content = bytes(range(256)) * 20_000

    assert decompress(codec, compress(codec, content), Budget(len(content))) == content


def test_what_was_not_compressed_is_counted_too():
    assert decompress(Codec.NONE, b"abc", Budget(3)) == b"abc"
    with pytest.raises(TooLarge):
        decompress(Codec.NONE, b"abc", Budget(2))


@each_stream
def test_a_stream_cut_anywhere_is_refused(codec, packed):
    for size in range(len(packed)):
        with pytest.raises(CorruptSection):
            decompress(codec, packed[:size], Budget(len(TEXT)))


@each_stream
def test_a_stream_with_a_tail_is_refused(codec, packed):
    with pytest.raises(CorruptSection, match="4 bytes follow its end"):
        decompress(codec, packed + b"tail", Budget(len(TEXT)))


@each_codec
def test_a_second_stream_is_a_tail(codec):
    packed = compress(codec, TEXT)

    with pytest.raises(CorruptSection, match="bytes follow its end"):
        decompress(codec, packed + packed, Budget(2 * len(TEXT)))


@each_codec
def test_other_bytes_are_refused(codec):
    with pytest.raises(CorruptSection, match=f"not a {codec.name.lower()} stream"):
        decompress(codec, b"Sepal.Length,Sepal.Width\n", Budget(MIB))


@each_codec
def test_a_bomb_is_stopped_at_the_limit(codec):
    bomb = compress(codec, bytes(64 * MIB))

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


def test_a_decoder_that_wants_a_gigabyte_is_refused():
    packed = lzma.compress(TEXT, format=lzma.FORMAT_ALONE)
    wanted = (1 << 30).to_bytes(4, "little")

    with pytest.raises(CorruptSection, match="Memory usage limit"):
        decompress(Codec.LZMA, packed[:1] + wanted + packed[5:], Budget(MIB))


def test_a_frame_that_wants_a_gigabyte_is_refused():
    parameters = zstandard.ZstdCompressionParameters(window_log=30)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = stream.compress(TEXT) + stream.flush()

    with pytest.raises(CorruptSection, match="too much memory"):
        decompress(Codec.ZSTD, packed, Budget(MIB))


def test_lzma_is_written_in_the_older_form_that_flama_reads():
    assert compress(Codec.LZMA, TEXT).startswith(b"\x5d\x00\x00\x80\x00" + b"\xff" * 8)


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(UnknownCompression, match="one of bz2, lzma, zlib, zstd, got 'gzip'"):
        named("gzip")

import struct

import numpy as np
import pytest

from app.serving.errors import InvalidTensor
from app.serving.tensors.datatypes import DATATYPES, from_bytes, from_json, to_bytes

NUMPY = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "u2", "UINT32": "u4", "UINT64": "u8", "INT8": "i1",
    "INT16": "i2", "INT32": "i4", "INT64": "i8", "FP16": "f2", "FP32": "f4", "FP64": "f8",
}  # fmt: skip


@pytest.mark.parametrize("datatype", DATATYPES)
def test_bytes_equal_numpy(datatype):
    array = np.array([0, 1, 1, 0]).astype(f"<{NUMPY[datatype]}")

    assert to_bytes(datatype, array.tolist()) == array.tobytes()
    assert from_bytes(datatype, memoryview(array.tobytes())) == array.tolist()


def test_json_number_is_rounded_to_fp32():
    assert from_json("FP32", [0.1, None, 2]) == [float(np.float32(0.1)), None, 2.0]
    assert from_json("FP64", [0.1]) == [0.1]


def test_whole_number_is_an_integer():
    assert [repr(each) for each in from_json("INT64", [5.0, 2**62, None])] == [
        "5",
        str(2**62),
        "None",
    ]


def test_nan_is_missing():
    assert from_bytes("FP32", memoryview(struct.pack("<2f", float("nan"), 1))) == [None, 1]
    assert np.isnan(np.frombuffer(to_bytes("FP64", [None])))


def test_texts_round_trip():
    assert from_bytes("BYTES", memoryview(to_bytes("BYTES", ["", "Zürich"]))) == ["", "Zürich"]


@pytest.mark.parametrize(
    ("datatype", "value", "message"),
    [
        ("INT8", 128, "128 is outside the range of INT8"),
        ("UINT64", -1, "-1 is outside the range of UINT64"),
        ("INT64", 2**63, "9223372036854775808 is outside the range of INT64"),
        ("FP32", 1e39, r"1e\+39 is outside the range of FP32"),
        ("INT32", 1.5, "expected values of INT32, got 1.5"),
        ("FP64", True, "expected values of FP64, got true"),
        ("FP64", "1", 'expected values of FP64, got "1"'),
        ("BOOL", 1, "expected values of BOOL, got 1"),
        ("BYTES", 1, "expected values of BYTES, got 1"),
        ("BYTES", {}, "expected values of BYTES, got {}"),
    ],
)
def test_other_json_value_is_rejected(datatype, value, message):
    with pytest.raises(InvalidTensor, match=message):
        from_json(datatype, [None, value])


@pytest.mark.parametrize(
    ("datatype", "content", "message"),
    [
        ("FP64", b"1234567", "expected a multiple of 8 bytes for FP64, got 7"),
        ("FP64", struct.pack("<d", float("inf")), "finite numbers"),
        ("BYTES", b"\x01\0", "end within the length"),
        ("BYTES", b"\x02\0\0\0a", "end within an element"),
        ("BYTES", b"\x01\0\0\0\xff", "not text in UTF-8; send other bytes as base64"),
    ],
    ids=["length", "infinite", "cut length", "cut text", "not UTF-8"],
)
def test_invalid_bytes_are_rejected(datatype, content, message):
    with pytest.raises(InvalidTensor, match=message):
        from_bytes(datatype, memoryview(content))

import json

import numpy as np
import pytest

from mlmodel.bounded.metadata import FrameworkMetadata, decode, encode, parse, to_json
from mlmodel.errors import BadMetadata
from tests.flm_files import SAMPLES

LEAST = {
    "id": "m",
    "timestamp": "2026-01-31T14:30:00",
    "framework": {"lib": "sklearn", "version": "1.9.1"},
    "model": {"obj": "Ridge"},
}

each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["file"])


@each_sample
def test_flama_metadata_is_decoded(sample):
    meta = decode(sample["meta"])

    said = sample["meta"]
    assert (meta.id, meta.timestamp, meta.extra) == (said["id"], said["timestamp"], said["extra"])
    assert (meta.framework.lib, meta.framework.family) == (said["framework"]["lib"], "ml")
    assert meta.model.info == said["model"]["info"]
    assert (meta.model.params, meta.model.metrics) == (
        said["model"]["params"],
        said["model"]["metrics"],
    )


def test_encoding_equals_flama_2():
    written = next(each for each in SAMPLES if each["file"] == "2.2.2-iris-zlib-p2.flm")["meta"]

    compact = json.dumps(written, ensure_ascii=False, separators=(",", ":")).encode()
    assert encode(decode(written)) == compact


def test_missing_members_are_none():
    meta = decode(LEAST)

    assert meta.framework == FrameworkMetadata("ml", "sklearn", "1.9.1", None)
    assert (meta.extra, meta.capabilities, meta.model.params) == (None, None, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": 5}, "id must be a string, got 5"),
        ({"timestamp": None}, "timestamp must be a string, got nothing"),
        ({"framework": "sklearn"}, "framework must be an object, got 'sklearn'"),
        ({"framework": {"version": "1"}}, "framework.lib must be a string, got nothing"),
        ({"model": {"obj": "Ridge", "params": [1]}}, r"model.params must be an object, got \[1\]"),
        ({"extra": "tags"}, "extra must be an object, got 'tags'"),
    ],
    ids=["number", "null", "text for object", "missing", "list for object", "extra"],
)
def test_wrong_type_is_named(change, message):
    with pytest.raises(BadMetadata, match=message):
        decode(LEAST | change)


@pytest.mark.parametrize("document", [None, [], "meta", 5])
def test_metadata_must_be_an_object(document):
    with pytest.raises(BadMetadata, match="meta must be an object"):
        decode(document)


def test_nan_and_infinity_are_none():
    assert parse(b"[NaN, Infinity, -Infinity, 1e999, 1.5]") == [None, None, None, None, 1.5]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b'"\\ud800"', b"[" * 100_000, b"9" * 10_000],
    ids=["empty", "cut", "not UTF-8", "half a letter", "nested", "endless"],
)
def test_invalid_json_is_rejected(content):
    with pytest.raises(BadMetadata, match="must be JSON in UTF-8"):
        parse(content)


@pytest.mark.parametrize(
    ("value", "document"),
    [
        (np.float64(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([[1, 2]]), [[1, 2]]),
        ({"a": (np.float32(0.5), None)}, {"a": [0.5, None]}),
    ],
    ids=["float", "int", "bool", "array", "nested"],
)
def test_numpy_values_become_json(value, document):
    assert json.dumps(to_json(value, "metrics")) == json.dumps(document)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"auc": float("nan")}, "metrics.auc must be JSON, got nan of type float"),
        ({"auc": np.float64("inf")}, r"metrics.auc must be JSON, got np.float64\(inf\)"),
        ({"folds": [1, {2}]}, r"metrics.folds\[1\] must be JSON, got \{2\} of type set"),
        ({1: 2}, "metrics must be JSON, got {1: 2} of type dict"),
        ("\ud800", r"metrics must be JSON, got '\\ud800' of type str"),
    ],
    ids=["nan", "infinity", "set", "key", "half a letter"],
)
def test_value_without_json_type_is_named(value, message):
    with pytest.raises(BadMetadata, match=message):
        to_json(value, "metrics")


def test_metadata_with_many_containers_is_rejected():
    with pytest.raises(BadMetadata, match="more than 1,000,000 lists and objects"):
        parse(b"[" + b"[]," * 1_000_001 + b"[]]")

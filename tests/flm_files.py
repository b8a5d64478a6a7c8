"""Files written by releases of Flama, with their expected predictions, and a small test model."""

import functools
import json
from datetime import UTC, datetime

from mlmodel.bounded.compression import Codec
from mlmodel.bounded.metadata import FrameworkMetadata, Meta, ModelMetadata
from mlmodel.files.flm.container import write
from tests import DATA

FOLDER = DATA / "flm"
SAMPLES = json.loads((FOLDER / "manifest.json").read_text())["files"]
BY_NAME = {sample["file"]: sample for sample in SAMPLES}

CODECS = ("bz2", "lzma", "zlib", "zstd")
WHEN = datetime(2026, 1, 31, 14, 30, tzinfo=UTC)


def content_of(name):
    return (FOLDER / name).read_bytes()


def holding(path, content, lib="sklearn"):
    """A file whose model section contains ``content``."""
    meta = Meta("m", "", FrameworkMetadata("ml", lib, "1"), ModelMetadata("Ridge"))
    path.write_bytes(write(meta, content, {}, Codec.ZSTD, 2))
    return path


def rows_of(sample):
    """The sample's inputs as rows, with the names x0, x1... if the estimator has no names."""
    inputs = sample["expected"]["inputs"]
    if sample["expected"]["input_kind"] == "records":
        return inputs
    return [{f"x{at}": value for at, value in enumerate(values)} for values in inputs]


@functools.cache
def iris_classifier():
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    inputs, labels = load_iris(return_X_y=True)
    names = load_iris().target_names
    return LogisticRegression(max_iter=1000).fit(inputs, names[labels])


IRIS_ROW = {"x0": 5.1, "x1": 3.5, "x2": 1.4, "x3": 0.2}

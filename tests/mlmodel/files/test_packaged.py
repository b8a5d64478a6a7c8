import gc
import hashlib
import io
import json
import multiprocessing
import pickle
import subprocess
import sys
import tarfile
import tempfile
import weakref
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from mlmodel import dump, inspect, load
from mlmodel.bounded.compression import Codec
from mlmodel.bounded.metadata import FrameworkMetadata, Meta, ModelMetadata, decode
from mlmodel.errors import (
    BadMetadata,
    BrokenModel,
    CorruptSection,
    InvalidInput,
    InvalidModel,
    TooLarge,
    UnsupportedFramework,
    VersionMismatch,
    WrongHash,
)
from mlmodel.files import packaged
from mlmodel.files.flm.container import write
from tests import DATA
from tests.flm_files import (
    BY_NAME,
    FOLDER,
    IRIS_ROW,
    SAMPLES,
    WHEN,
    content_of,
    holding,
    iris_classifier,
    rows_of,
)

OF_ANOTHER_VERSION = "1.12.4_sklearn1.5.2-adult-zstd.flm"
WITH_ARTIFACTS = "2.2.2-xor-zstd-p2.flm"

each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["file"])
each_answering_sample = pytest.mark.parametrize(
    "sample",
    [each for each in SAMPLES if each["pickle"]],
    ids=lambda sample: sample["file"],
)


@pytest.fixture
def iris_file(tmp_path):
    path = tmp_path / "iris.flm"
    dump(iris_classifier(), path, model_id="iris", timestamp=WHEN)
    return path


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def described(path, **extra):
    """A model whose file has this ``extra``."""
    dump(iris_classifier(), path, extra=extra)
    return load(path)


def but_info(meta):
    """Metadata without ``model.info``, which the manifest omits if it is large."""
    return replace(meta, model=replace(meta.model, info=None))


@each_sample
def test_sample_has_its_metadata(sample):
    meta = load(FOLDER / sample["file"], sha256=sample["sha256"]).meta

    assert but_info(meta) == but_info(decode(sample["meta"]))
    assert meta.framework.version == sample["framework"]["version"]


@each_answering_sample
def test_sample_has_its_parameters(sample):
    assert (
        load(FOLDER / sample["file"], trust="all").meta.model.info
        == sample["meta"]["model"]["info"]
    )


@each_sample
def test_sample_has_its_artifacts(sample):
    model = load(FOLDER / sample["file"], trust="all")

    hashes = {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in model.artifacts.items()
    }
    assert hashes == {name: of["sha256"] for name, of in sample["artifacts"].items()}


@each_answering_sample
def test_sample_has_its_predictions(sample):
    expected = sample["expected"]

    answers = load(FOLDER / sample["file"], trust="all").predict_rows(rows_of(sample))

    assert [answer["prediction"] for answer in answers] == expected["predict"]
    shares = [list(answer["probabilities"].values()) for answer in answers]
    assert np.allclose(shares, expected["predict_proba"], rtol=1e-9)


@each_answering_sample
def test_sample_predicts_single_rows(sample):
    model = load(FOLDER / sample["file"], trust="all")

    answers = [model.predict(row)["prediction"] for row in rows_of(sample)]

    assert answers == sample["expected"]["predict"]


def test_model_without_adapter_is_described(tmp_path):
    model = load(holding(tmp_path / "m.flm", b"a folder", lib="transformers"))

    assert model.metadata["framework"] == "Transformers 1"
    with pytest.raises(UnsupportedFramework, match="models of Transformers are not supported"):
        model.load()


def test_packaged_versions_are_listed(iris_file):
    told = load(iris_file).metadata["versions"]

    assert [each["package"] for each in told] == ["python", "scikit-learn", "numpy"]
    assert not any(each["drifted"] for each in told)


def test_flama_file_has_framework_version():
    told = load(FOLDER / OF_ANOTHER_VERSION).metadata["versions"]

    assert [(each["package"], each["packaged"], each["drifted"]) for each in told] == [
        ("scikit-learn", "1.5.2", True)
    ]


def test_version_mismatch_warns_or_raises(caplog):
    load(FOLDER / OF_ANOTHER_VERSION)

    assert "packaged with scikit-learn 1.5.2, installed: 1." in caplog.text
    with pytest.raises(VersionMismatch, match=r"scikit-learn 1.5.2 \(now 1."):
        load(FOLDER / OF_ANOTHER_VERSION, version_mismatch="error")


def test_info_omits_network_weights():
    info = load(FOLDER / "2.2.2-torchxor-zstd-p2.flm", trust="all").metadata["info"]

    assert set(info) == {"modules"}


def test_other_hash_is_rejected(iris_file):
    found = hashlib.sha256(iris_file.read_bytes()).hexdigest()

    assert load(iris_file, sha256=found.upper()).meta.id == "iris"
    with pytest.raises(WrongHash, match=f"expected a file with sha256 9f86d0, got {found}"):
        load(iris_file, sha256="9f86d0")


@pytest.mark.parametrize("name", ["2.2.2-xor-zstd-p2.flm", "1.11.7-xor-standard.flm"])
def test_too_large_file_leaves_no_artifacts(temporary, name):
    with pytest.raises(TooLarge, match="the limit of 26,000 bytes"):
        load(FOLDER / name, limit_bytes=26_000)

    assert list(temporary.iterdir()) == []


def test_damaged_file_leaves_no_artifacts(temporary, tmp_path):
    layout = bytearray(content_of(WITH_ARTIFACTS))
    layout[1040] ^= 0xFF  # within the last artifact
    (tmp_path / "damaged.flm").write_bytes(layout)

    with pytest.raises(CorruptSection, match="not a zstd stream"):
        load(tmp_path / "damaged.flm")
    assert list(temporary.iterdir()) == []


def test_empty_legacy_model_is_rejected(tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:bz2") as tar:
        tar.addfile(tarfile.TarInfo("model"))
    (tmp_path / "old.flm").write_bytes(stream.getvalue())

    with pytest.raises(CorruptSection, match="the model section is empty"):
        load(tmp_path / "old.flm")


def test_inspect_builds_and_unpacks_nothing(temporary):
    found = inspect(FOLDER / WITH_ARTIFACTS)

    assert (found.container, found.compression, found.size_bytes) == ("protocol 2", "zstd", 17325)
    assert found.sha256 == BY_NAME[WITH_ARTIFACTS]["sha256"]
    assert found.artifacts == {"foo.json": 49, "bar.csv": 41, "empty.txt": 9, "blob.bin": 275}
    assert list(temporary.iterdir()) == []


@each_sample
def test_every_sample_can_be_inspected(sample):
    found = inspect(FOLDER / sample["file"])

    assert but_info(found.meta) == but_info(decode(sample["meta"]))
    assert list(found.artifacts) == list(sample["artifacts"])


def test_inspect_does_not_expand_the_model():
    with pytest.raises(TooLarge):
        load(FOLDER / WITH_ARTIFACTS, limit_bytes=2000)
    assert inspect(FOLDER / WITH_ARTIFACTS, limit_bytes=2000).meta.model.obj == "MLPClassifier"


def test_inspect_stops_at_the_limit(tmp_path):
    document = json.dumps({"model": "A" * 1_000_000, "meta": {}}).encode()
    (tmp_path / "bomb.flm").write_bytes(zlib.compress(document))

    with pytest.raises(TooLarge):
        inspect(tmp_path / "bomb.flm", limit_bytes=100_000)


class Hostile:
    def __reduce__(self):
        return exec, ("raise AssertionError('the file ran its code')",)


def test_load_runs_no_pickled_code(tmp_path):
    path = holding(tmp_path / "hostile.flm", pickle.dumps(Hostile()))

    assert inspect(path).meta.id == "m"
    model = load(path, trust="all")

    with pytest.raises(BrokenModel, match=r"AssertionError.*the file ran its code"):
        model.load()


def test_pickle_without_model_is_rejected(tmp_path):
    path = holding(tmp_path / "other.flm", pickle.dumps({"a": 1}))

    with pytest.raises(UnsupportedFramework, match="got an object of type dict"):
        load(path).load()


def test_concurrent_threads_build_one_model(iris_file):
    model, start = load(iris_file), Barrier(8)

    def ask(_):
        start.wait()
        return model.model

    with ThreadPoolExecutor(8) as pool:
        models = set(map(id, pool.map(ask, range(8))))

    assert models == {id(model.model)}


def test_unloaded_model_is_built_again(iris_file):
    model = load(iris_file)
    built = weakref.ref(model.model)

    model.unload()
    gc.collect()

    assert built() is None
    model.load()
    assert model.predict(IRIS_ROW)["prediction"] == "setosa"


def test_pinned_file_stays_pinned_after_unload(iris_file):
    model = load(iris_file, sha256=hashlib.sha256(iris_file.read_bytes()).hexdigest())
    model.unload()

    dump(LinearRegression().fit([[0], [1]], [0, 1]), iris_file)

    with pytest.raises(WrongHash):
        model.load()


def test_replaced_file_is_read_after_unload(iris_file):
    model = load(iris_file)
    model.unload()

    rows = pd.DataFrame({"x0": [float(each) for each in range(20)]})
    extra = {"version": "2"}
    dump(LinearRegression().fit(rows, rows.x0), iris_file, sample=rows, extra=extra)

    assert model.predict({"x0": 1}) == {"prediction": pytest.approx(1)}
    assert model.meta.model.obj == "LinearRegression"
    assert model.sha256 == hashlib.sha256(iris_file.read_bytes()).hexdigest()
    assert model.state.package.size_bytes == iris_file.stat().st_size
    assert (model.version, model.examples[0].keys()) == ("2", {"x0"})
    assert model.profile.rows == 20


def test_artifacts_are_removed_with_model(temporary):
    model = load(FOLDER / WITH_ARTIFACTS)
    assert [path.exists() for path in model.artifacts.values()] == [True] * 4

    del model
    gc.collect()

    assert list(temporary.iterdir()) == []


def test_unload_removes_artifacts_until_load(temporary):
    model = load(FOLDER / WITH_ARTIFACTS)

    model.unload()
    assert (model.artifacts, list(temporary.iterdir())) == ({}, [])

    model.load()
    assert model.artifacts["bar.csv"].exists()


def test_artifacts_are_removed_at_exit():
    code = f"import mlmodel; m = mlmodel.load({str(FOLDER / WITH_ARTIFACTS)!r}); print(m.artifacts)"

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    (path,) = {part for part in ran.stdout.split("'") if part.endswith("foo.json")} - {"foo.json"}
    assert tempfile.gettempdir() in path
    assert not Path(path).exists()


def test_fork_keeps_parent_artifacts(temporary):
    model = load(FOLDER / WITH_ARTIFACTS)

    worker = multiprocessing.get_context("fork").Process(target=model.unload)
    worker.start()
    worker.join()

    assert worker.exitcode == 0
    assert [path.exists() for path in model.artifacts.values()] == [True] * 4


def test_file_name_becomes_model_name(tmp_path):
    path = tmp_path / "_Crédit risk (v2).flm"

    model = described(path)

    assert model.qualified_name == "Cr-dit-risk-v2"
    assert (model.display_name, model.description, model.version) == ("", "", "")


def test_extra_describes_the_model(tmp_path):
    model = described(
        tmp_path / "m.flm",
        qualified_name="iris",
        display_name="Iris",
        description="Tells irises apart.",
        version=2,
        examples=[IRIS_ROW],
    )

    assert (model.qualified_name, model.display_name, model.version) == ("iris", "Iris", "2")
    assert (model.description, model.examples) == ("Tells irises apart.", [IRIS_ROW])


def test_flama_description_members_are_read():
    model = load(FOLDER / WITH_ARTIFACTS)

    assert (model.description, model.version) == ("This is a test model", "1.0.0")


def test_metadata_is_json():
    told = load(FOLDER / WITH_ARTIFACTS).metadata

    said = BY_NAME[WITH_ARTIFACTS]["meta"]
    assert (told["id"], told["extra"]) == (said["id"], said["extra"])
    assert told["framework"] == "scikit-learn 1.9.1"
    assert told["metrics"] == said["model"]["metrics"]
    assert told["artifacts"][0] == {"name": "foo.json", "size_bytes": 40}


def test_qualified_name_argument_wins(tmp_path):
    described(tmp_path / "m.flm", qualified_name="iris")

    assert load(tmp_path / "m.flm", qualified_name="flowers").qualified_name == "flowers"
    with pytest.raises(InvalidModel, match="qualified_name must be 1 to 100 letters"):
        load(tmp_path / "m.flm", qualified_name="a/b")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"qualified_name": "a b"}, "extra.qualified_name must be 1 to 100 letters"),
        ({"input_schema": []}, r"extra.input_schema must be an object, got \[\]"),
        ({"output_schema": "any"}, "extra.output_schema must be an object, got 'any'"),
        ({"examples": {"x0": 1}}, "extra.examples must be a list, got {'x0': 1}"),
    ],
    ids=["name", "input", "output", "examples"],
)
def test_invalid_extra_member_is_named(tmp_path, extra, message):
    with pytest.raises(BadMetadata, match=message):
        described(tmp_path / "m.flm", **extra)


def test_missing_schemas_are_inferred(iris_file):
    model = load(iris_file)

    assert model.input_schema["required"] == ["x0", "x1", "x2", "x3"]
    assert model.output_schema["properties"]["prediction"]["enum"][0] == "setosa"


def test_declared_schemas_build_no_model(tmp_path):
    meta = Meta(
        "m",
        "",
        FrameworkMetadata("ml", "sklearn", "1"),
        ModelMetadata("Ridge"),
        extra={"input_schema": {"type": "object"}, "output_schema": {}},
    )
    path = tmp_path / "m.flm"
    path.write_bytes(write(meta, b"no pickle", {}, Codec.ZSTD, 2))

    assert (load(path).input_schema, load(path).output_schema) == ({"type": "object"}, {})
    assert load(path, input_schema={}).input_schema == {}


def test_model_without_sample_has_no_notes(iris_file):
    assert load(iris_file).notes == ()


def test_unnamed_columns_follow_the_schema(iris_file):
    names = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    schema = {"type": "object", "properties": {name: {"type": "number"} for name in names}}

    model = load(iris_file, input_schema=schema)

    row = dict(zip(reversed(names), reversed(IRIS_ROW.values()), strict=True))
    assert model.predict(row) == load(iris_file).predict(IRIS_ROW)


def test_schema_without_properties_is_accepted(iris_file):
    assert load(iris_file, input_schema={"properties": 5}).predict(IRIS_ROW)


def test_schema_of_other_columns_is_rejected(iris_file):
    schema = {"type": "object", "properties": {"a": {"type": "number"}}}

    with pytest.raises(InvalidModel, match="has 1 members, 'a', but the model was fitted on 4"):
        load(iris_file, input_schema=schema).load()


@pytest.mark.parametrize(
    ("file", "survives"),
    [
        ("2.2.2-iris-lzma-p2.flm", True),
        ("2.2.2-torchxor-zstd-p2.flm", False),
        ("2.2.2-kerasxor-zstd-p2.flm", False),
    ],
)
def test_networks_do_not_survive_a_fork(file, survives):
    path = DATA / "flm" / file

    assert load(path, trust="all").survives_fork is survives


def test_many_rows_are_predicted_in_slices(iris_file, monkeypatch):
    monkeypatch.setattr(packaged, "SLICE_ROWS", 3)
    dump(LinearRegression().fit([[0], [1]], [0, 1]), iris_file)
    model = load(iris_file)

    answers = model.predict_rows([{"x0": value} for value in range(8)])

    assert [each["prediction"] for each in answers] == pytest.approx(range(8))


def test_violation_has_index_among_all_rows(iris_file, monkeypatch):
    monkeypatch.setattr(packaged, "SLICE_ROWS", 3)
    dump(LinearRegression().fit([[0], [1]], [0, 1]), iris_file)
    model = load(iris_file)

    with pytest.raises(InvalidInput) as caught:
        model.predict_rows([{"x0": None if value == 5 else value} for value in range(8)])

    assert [each.row for each in caught.value.violations] == [5]

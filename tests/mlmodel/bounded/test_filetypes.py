import gzip
import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest

from mlmodel.bounded import filetypes
from mlmodel.bounded.filetypes import Kind
from mlmodel.errors import BadHeader, InvalidFile
from tests.flm_files import FOLDER


def zipped(*names):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, "{}")
    return stream.getvalue()


def tarred(name):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return stream.getvalue()


#: Compressed twice, as files that expand to themselves are without end.
TWICE = gzip.compress(gzip.compress(pickle.dumps("model")))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.flm")), ids=lambda path: path.name)
def test_packages_of_all_releases_are_recognized(path):
    assert filetypes.recognize(path.read_bytes()) is Kind.PACKAGE


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"learner":{"attributes"', Kind.XGBOOST),
        (b"{L\0\0\0\0\0\0\0\x07learner{L", Kind.XGBOOST),
        (b"tree\nversion=v4\n", Kind.LIGHTGBM),
        (gzip.compress(b"tree\nversion=v4\n"), Kind.LIGHTGBM),
        (b"CBM1\x18\x1b", Kind.CATBOOST),
        (zipped("schema.json"), Kind.SKOPS),
        (zipped("metadata.json", "config.json", "model.weights.h5"), Kind.KERAS),
        (b"\x08\x0a\x12\x07skl2onnx", Kind.ONNX),
        (b"ccopy_reg\n_reconstructor\np0\n.", Kind.PICKLE),
    ],
    ids=lambda value: str(value) if isinstance(value, Kind) else "",
)
def test_model_file_is_recognized(content, kind):
    assert filetypes.recognize(content) is kind


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "^the file is empty$"),
        (b"age,income\n1,2\n", "text that begins with 'age,income', not a model; model files are"),
        (b"cats\ndogs\n", "text that begins with 'cats'"),
        (b"x\x9c0,x1\n", "unknown first bytes '78 9c 30 2c'"),
        (b"\x89HDF\r\n\x1a\n\0", r"HDF5 file \(.h5\).*save it again as .keras"),
        (b"PAR1\x15", "Parquet file; it contains data, not a model"),
        (
            gzip.compress(b"X\n\0\0\0\3"),
            "compressed; its content: it is an R file: export the model",
        ),
        (b"RDX3\nX\n", "it is an R file"),
        (zipped("archive/data.pkl", "archive/version"), r"PyTorch.*mlmodel.dump\(module"),
        (pickle.dumps(0x1950A86A20F9469CFC6C, 2), "it is a PyTorch file"),
        (zipped("xl/workbook.xml"), "spreadsheet"),
        (zipped("a.npy", "b.npy"), "numpy arrays"),
        (zipped("model/model.pkl"), r"zip archive.*\(model/model.pkl\): unpack it and name"),
        (zipped("a")[:-9], "zip archive that is cut or damaged"),
        (tarred("xgboost-model"), "tar archive that begins with 'xgboost-model': unpack it"),
        (b'<?xml version="1.0"?>\n<PMML version="4.4">', "PMML, which Modelhost does not serve"),
        (b"<!DOCTYPE html><html>", "web page, not a model: download"),
        (b"version https://git-lfs.github.com/spec/v1\n", "run git lfs pull"),
        (b'{"a": 1}', "JSON, but not an XGBoost model"),
        (b'{"oblivious_trees": []}', "save_model"),
        (b'{"name": "tree", "tree_info": []}', "LightGBM's dump_model"),
        (b"\x08\x01\x12\x04", "TensorFlow SavedModel"),
        (TWICE, "compressed; its content: unknown first bytes '1f 8b"),
        (b"\x04\x22\x4d\x18", "lz4 is not supported"),
        (b"binf\0", "old binary format"),
        (b'\x0b\0\0\0\0\0\0\0{"a":{}}', "safetensors"),
    ],
)
def test_other_file_is_rejected_by_kind(content, message):
    with pytest.raises(BadHeader, match=message):
        filetypes.recognize(content)


def test_mlflow_folder_is_accepted(tmp_path):
    (tmp_path / "MLmodel").touch()

    filetypes.check_folder(tmp_path)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("saved_model.pb", "TensorFlow SavedModel"),
        ("notes.md", "is a folder without the file 'MLmodel' of MLflow"),
    ],
)
def test_folder_is_rejected_with_suggestion(tmp_path, file, message):
    (tmp_path / file).touch()

    with pytest.raises(InvalidFile, match=message):
        filetypes.check_folder(tmp_path)


@pytest.mark.parametrize("folder", [".", "../other/a", "b"])
def test_folder_is_rejected_with_existing_file(tmp_path, monkeypatch, folder):
    (tmp_path / "other/a").mkdir(parents=True)
    (tmp_path / "here/b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    path = Path(folder, "forest.joblib")
    path.touch()

    with pytest.raises(InvalidFile) as raised:
        filetypes.check_folder(Path(folder).absolute())

    assert str(raised.value) == (
        f"{os.path.relpath(folder)!r} is a folder: name the model's file in it, such as "
        f"{os.path.relpath(path)}"
    )


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.pkl", "a"),
        ("a.pkl.gz", "a"),
        ("a.gz", "a"),
        ("a.joblib.z", "a"),
        ("credit-1.2.flm", "credit-1.2"),
        ("credit-1.2.gz", "credit-1.2"),
        ("a.PKL", "a"),
        ("a", "a"),
    ],
)
def test_stem_has_no_suffixes(name, stem):
    assert filetypes.stem(name) == stem

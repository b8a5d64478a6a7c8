"""Folders that MLflow wrote, see tests/data/mlflow/write.py."""

import json
import os
import pickle
import shutil
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

import mlmodel
from mlmodel.errors import InvalidFile, Untrusted, WrongHash
from mlmodel.files import source
from tests import DATA

FOLDERS = DATA / "mlflow"
PREDICTIONS = json.loads((FOLDERS / "predictions.json").read_text())


@pytest.fixture
def saved(tmp_path):
    return shutil.copytree(FOLDERS / "credit-pickle", tmp_path / "saved")


def people(count=60):
    """The rows for which MLflow predicted, as in write.py."""
    places = np.arange(count)
    table = pd.DataFrame(
        {
            "age": 20 + places % 45,
            "income": np.where(places % 7 == 3, np.nan, 1500.5 + 37.0 * places),
            "rate": (0.1 + places / 7).astype("float32"),
            "job": np.array(["clerk", "cook", "nurse"])[places % 3],
            "is_member": places % 2 == 0,
        }
    )
    return table.astype(object).where(table.notna(), None)


def rows_of(name, model):
    names = list(model.input_schema["properties"])
    if name.startswith("credit"):
        return people()[names].to_dict("records")
    values = load_iris().data
    return [dict(zip(names, row, strict=True)) for row in values.tolist()]


@pytest.mark.parametrize("name", PREDICTIONS)
def test_folder_predicts_as_in_mlflow(name):
    pytest.importorskip("onnxruntime" if "onnx" in name else "sklearn")
    model = mlmodel.load(FOLDERS / name)

    model.load()

    found = model.predict_rows(rows_of(name, model))
    expected = PREDICTIONS[name]
    if name in ("iris-xgboost-raw", "iris-lightgbm-raw"):  # MLflow returns probabilities
        found = [list(each["probabilities"].values()) for each in found]
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    else:
        assert [each["prediction"] for each in found] == expected


def test_signature_describes_the_row(saved):
    schema = mlmodel.load(saved).input_schema

    assert schema["properties"]["age"]["type"] == ["integer", "null"]
    assert schema["properties"]["job"] == {"enum": ["clerk", "cook", "nurse"]}
    assert schema["required"] == ["age", "rate", "job", "is_member"]
    assert [row["age"] for row in schema["examples"]] == [20, 21]


def test_metadata_has_the_facts_of_mlflow(saved):
    facts = mlmodel.load(saved).metadata

    assert facts["extra"]["mlflow"]["flavor"] == "sklearn"
    assert facts["extra"]["mlflow"]["metadata"] == {"team": "risk"}
    assert facts["sha256"] == source.sha256_of(saved)


def test_pinned_folder_is_compared(saved):
    digest = source.sha256_of(saved)
    assert mlmodel.load(saved, sha256=digest.upper()).model

    (saved / "requirements.txt").write_text("other")

    with pytest.raises(WrongHash, match=digest):
        mlmodel.load(saved, sha256=digest)


class Harmful:
    def __reduce__(self):
        return os.system, ("touch /tmp/harmful",)


def test_harmful_pickle_is_rejected(saved):
    (saved / "model.pkl").write_bytes(pickle.dumps(Harmful()))

    with pytest.raises(Untrusted, match=r"posix.system|os.system"):
        mlmodel.load(saved)


def test_folder_cannot_grant_trust(saved):
    (saved / "model.pkl").write_bytes(pickle.dumps(Harmful()))
    text = (saved / "MLmodel").read_text()
    (saved / "MLmodel").write_text(
        text.replace("skops_trusted_types: null", "skops_trusted_types: [posix.system]")
    )

    with pytest.raises(Untrusted):
        mlmodel.load(saved)


@pytest.mark.parametrize("name", ["../outside.pkl", "/etc/passwd", "missing.pkl"])
def test_model_outside_the_folder_is_rejected(saved, name):
    shutil.copy(saved / "model.pkl", saved.parent / "outside.pkl")
    text = (saved / "MLmodel").read_text()
    (saved / "MLmodel").write_text(
        text.replace("pickled_model: model.pkl", f"pickled_model: {name}")
    )

    with pytest.raises(InvalidFile, match="which the folder lacks"):
        mlmodel.load(saved)


def test_example_outside_the_folder_is_rejected(saved):
    text = (saved / "MLmodel").read_text()
    (saved / "MLmodel").write_text(text.replace("input_example.json", "../MLmodel"))

    with pytest.raises(InvalidFile, match="which the folder lacks"):
        mlmodel.load(saved)


def test_linked_model_is_rejected(saved):
    (saved / "model.pkl").unlink()
    (saved / "model.pkl").symlink_to(FOLDERS / "credit-pickle" / "model.pkl")

    with pytest.raises(InvalidFile, match="symbolic link"):
        mlmodel.load(saved)


def test_link_to_the_folder_loads(saved, tmp_path):
    (tmp_path / "current").symlink_to(saved)

    assert mlmodel.load(tmp_path / "current").qualified_name == "current"


def test_own_code_needs_trust():
    with pytest.raises(Untrusted, match=r"python_function of MLflow, .*trust: all.*--trust all"):
        mlmodel.load(FOLDERS / "own-code")


def test_own_code_predicts_as_in_mlflow():
    pytest.importorskip("mlflow")
    model = mlmodel.load(FOLDERS / "own-code", sha256=source.sha256_of(FOLDERS / "own-code"))

    model.load()

    assert model.predict_rows([{"number": 1.5}, {"number": 2}]) == [
        {"prediction": 3.0},
        {"prediction": 4.0},
    ]


def test_folder_is_hosted(make_app, saved):
    client = make_app(f"models: [{{file: {saved}, name: credit}}]").test_client()

    predicted = client.post("/api/models/credit/predict", json=people(1).to_dict("records")[0])

    assert predicted.json["prediction"] == "no"
    assert b"risk" in client.get("/models/credit/metadata").data


def test_folder_is_isolated(make_app, saved):
    client = make_app(f"models: [{{file: {saved}, isolate: true}}]").test_client()

    predicted = client.post("/api/models/saved/predict", json=people(1).to_dict("records")[0])

    assert predicted.json["prediction"] == "no"


def test_commands_accept_folder(run_command, saved, tmp_path):
    run = partial(run_command, "models", models="models: []")

    checked = run("check", saved, "--json")
    shown = run("inspect", saved)
    added = run("add", saved, "--json")
    packaged = run("package", saved, "--out", tmp_path / "a.flm")

    assert json.loads(checked.stdout)["models"][0]["served"]
    assert "income: double (optional)" in shown.stdout
    assert json.loads(added.stdout)["entry"]["sha256"] == source.sha256_of(saved)
    assert packaged.exit_code == 0
    assert mlmodel.load(tmp_path / "a.flm").input_schema == mlmodel.load(saved).input_schema

import pickle

import numpy as np
import pandas as pd
import pytest

from mlmodel import dump, load
from mlmodel.errors import BrokenModel, MissingFramework
from mlmodel.frameworks.sklearn import boosters

FRAME = pd.DataFrame(
    {
        "age": np.arange(60.0),
        "rate": np.arange(60.0) % 7,
        "town": pd.Categorical(["Bonn", "Oslo", "Rome", "Bonn"] * 15),
    }
)
IS_HIGH = (FRAME["age"] % 9 > 4).astype(int)
CLASS = (FRAME["age"] % 3).astype(int)
ROWS = FRAME.astype(object).to_dict("records")

#: By objective: the parameters of XGBoost, those of LightGBM, and the target.
OBJECTIVES = {
    "numbers": ({}, {}, FRAME["age"] ** 2),
    "probability": ({"objective": "binary:logistic"}, {"objective": "binary"}, IS_HIGH),
    "shares": (
        {"objective": "multi:softprob", "num_class": 3},
        {"objective": "multiclass", "num_class": 3},
        CLASS,
    ),
}


def xgboost_booster(objective, frame=FRAME):
    xgboost = pytest.importorskip("xgboost")
    parameters, _, target = OBJECTIVES[objective]
    data = xgboost.DMatrix(frame, target, enable_categorical=True)
    booster = xgboost.train({"max_depth": 3, "nthread": 1, **parameters}, data, 5)
    return booster, booster.predict(data)


def lightgbm_booster(objective, frame=FRAME):
    lightgbm = pytest.importorskip("lightgbm")
    _, parameters, target = OBJECTIVES[objective]
    parameters = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 3, **parameters}
    booster = lightgbm.train(parameters, lightgbm.Dataset(frame, target), 5)
    return booster, booster.predict(frame)


def pickled(booster, path):
    path.write_bytes(pickle.dumps(booster))
    return load(path)


def packaged(booster, path):
    dump(booster, path)
    return load(path)


def saved(booster, path):
    booster.save_model(path.with_suffix({"xgboost": ".ubj"}.get(library_of(booster), ".txt")))
    return load(path.with_suffix({"xgboost": ".ubj"}.get(library_of(booster), ".txt")))


def library_of(booster):
    return type(booster).__module__.partition(".")[0]


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("written", [pickled, packaged, saved])
@pytest.mark.parametrize("trained", [xgboost_booster, lightgbm_booster])
def test_raw_booster_predictions_are_unchanged(tmp_path, trained, written, objective):
    booster, predicted = trained(objective)

    model = written(booster, tmp_path / "model.bin")
    answers = model.predict_rows(ROWS)

    assert list(model.input_schema["properties"]) == ["age", "rate", "town"]
    assert model.input_schema["properties"]["town"]["examples"][:2] == ["Bonn", "Oslo"]
    if objective == "shares":
        shares = [list(each["probabilities"].values()) for each in answers]
        assert shares == predicted.tolist()
        assert [each["prediction"] for each in answers] == predicted.argmax(axis=1).tolist()
    else:
        assert [each["prediction"] for each in answers] == predicted.tolist()


@pytest.mark.parametrize("trained", [xgboost_booster, lightgbm_booster])
def test_booster_fitted_on_array_is_unnamed(tmp_path, trained):
    array = FRAME[["age", "rate"]].to_numpy()
    booster, predicted = trained("numbers", array)

    model = pickled(booster, tmp_path / "model")

    answers = model.predict_rows([{"x0": age, "x1": rate} for age, rate in array])
    assert [each["prediction"] for each in answers] == predicted.tolist()


def test_raw_booster_uses_all_trees(tmp_path):
    xgboost = pytest.importorskip("xgboost")
    data = xgboost.DMatrix(FRAME[["age"]], IS_HIGH)
    booster = xgboost.train(
        {"nthread": 1},
        data,
        20,
        evals=[(data, "data")],
        early_stopping_rounds=3,
        verbose_eval=False,
    )
    booster.set_attr(best_iteration="1")

    answer = pickled(booster, tmp_path / "model").predict({"age": 7.0})

    assert answer["prediction"] == booster.predict(data)[7]


@pytest.mark.parametrize("ending", ["json", "ubj"])
def test_saved_xgboost_classifier_returns_labels(tmp_path, ending):
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(FRAME[["age", "rate"]], CLASS)
    model.save_model(tmp_path / f"model.{ending}")

    found = load(tmp_path / f"model.{ending}")
    answers = found.predict_rows([{"age": row["age"], "rate": row["rate"]} for row in ROWS])

    assert found.metadata["framework"] == f"XGBoost {xgboost.__version__}"
    assert [each["prediction"] for each in answers] == model.predict(
        FRAME[["age", "rate"]]
    ).tolist()


@pytest.mark.parametrize("kind", ["CatBoostClassifier", "CatBoostRegressor"])
def test_saved_catboost_model_predicts(tmp_path, kind):
    catboost = pytest.importorskip("catboost")
    model = getattr(catboost, kind)(
        iterations=4, cat_features=["town"], verbose=0, allow_writing_files=False
    ).fit(FRAME, IS_HIGH)
    model.save_model(tmp_path / "model.cbm")

    answers = load(tmp_path / "model.cbm").predict_rows(ROWS)

    assert [each["prediction"] for each in answers] == model.predict(FRAME).tolist()


@pytest.mark.parametrize("library", ["xgboost", "lightgbm", "catboost"])
def test_a_damaged_file_is_broken(tmp_path, library):
    pytest.importorskip(library)
    content = {
        "xgboost": b'{"learner": {',
        "lightgbm": b"tree\nversion=v4\nnum_class=1\n",
        "catboost": b"CBM1\x18\x1b\0\0",
    }
    (tmp_path / "model").write_bytes(content[library])

    with pytest.raises(BrokenModel, match=r"(XGBoost|LightGBM|CatBoost) [0-9.]+ cannot read the"):
        load(tmp_path / "model").load()


def test_missing_library_error_names_install_command(tmp_path, monkeypatch):
    monkeypatch.setitem(boosters.LIBRARIES, "catboost", ("CatBoost", "cb_absent", "pip install c"))
    (tmp_path / "model.cbm").write_bytes(b"CBM1")

    with pytest.raises(MissingFramework, match="CatBoost is not installed; install it with: pip"):
        load(tmp_path / "model.cbm")

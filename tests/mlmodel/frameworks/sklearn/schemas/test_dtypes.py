"""Columns of every type of pandas, from a sample to JSON and back to the model."""

import datetime
import decimal
import json
import uuid

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from mlmodel import dump, load
from mlmodel.errors import InvalidInput, InvalidModel
from mlmodel.frameworks.sklearn.inference import infer, predictor
from mlmodel.frameworks.sklearn.schemas.dtypes import write
from mlmodel.schema.validator import Schema

COUNT = 6
DAYS = pd.date_range("2024-03-30", periods=COUNT)
HOURS = pd.date_range("2024-03-30 01:00", periods=COUNT, freq="h")


class Recorder(TransformerMixin, BaseEstimator):
    """Takes any column; ``seen`` is the frame that it got last."""

    seen = None

    def fit(self, table, _target=None):
        self.feature_names_in_ = np.asarray(table.columns, dtype=object)
        self.n_features_in_ = table.shape[1]
        return self

    def transform(self, table):
        Recorder.seen = table
        return np.ones((len(table), 1))


def objects(*values):
    return pd.Series(values * (COUNT // len(values)), dtype=object)


COLUMNS = {
    "int8": np.arange(COUNT, dtype="int8"),
    "int64 beyond doubles": np.array([2**60 + 1] * COUNT),
    "uint64 beyond int64": np.array([2**63 + 5] * COUNT, dtype="uint64"),
    "float16": np.arange(COUNT, dtype="float16") / 3,
    "float32": np.arange(COUNT, dtype="float32") / 3,
    "Int64": pd.array([1, None, 3, 4, 5, 6], dtype="Int64"),
    "Float32": pd.array([1.5, None, 3, 4, 5, 6], dtype="Float32"),
    "boolean": pd.array([True, None] * 3, dtype="boolean"),
    "booleans with None": objects(True, False, None),
    "booleans with NaN": objects(True, False, np.nan),
    "texts": ["a", None] * 3,
    "texts with NA": pd.array(["a", None] * 3, dtype="string"),
    "objects with None": objects("a", None),
    "objects with NaN": objects("a", np.nan),
    "objects with NA": objects("a", pd.NA),
    "mixed": objects(1, "a", 2.5, None, True, "b"),
    "intervals": pd.arrays.IntervalArray.from_breaks(range(COUNT + 1)),
    "intervals of times": pd.arrays.IntervalArray.from_breaks(pd.date_range("2024", periods=7)),
    "bands": pd.cut(pd.Series([1.0, 5, 9, 2, 7, 8]), 3),
    "intervals as objects": objects(pd.Interval(0, 1), pd.Interval(1, 2)),
    "months": pd.period_range("2024-01", periods=COUNT, freq="M"),
    "weeks": pd.period_range("2024-01", periods=COUNT, freq="W"),
    "months as objects": objects(pd.Period("2024-01", freq="M")),
    "durations": pd.to_timedelta(np.arange(COUNT) * 61.5, unit="s"),
    "negative durations": pd.to_timedelta(np.arange(COUNT) - 9.5, unit="h"),
    "durations of Python": objects(datetime.timedelta(seconds=61.5)),
    "decimals": objects(decimal.Decimal("1.10"), decimal.Decimal("2.5")),
    "UUIDs": objects(uuid.UUID(int=5)),
    "times of day": objects(datetime.time(10, 30)),
    "days": objects(datetime.date(2024, 1, 2)),
    "days of pyarrow": pd.array(DAYS.date, dtype="date32[day][pyarrow]"),
    "midnights": DAYS,
    "local times": HOURS.astype("datetime64[ns]"),
    "local times in seconds": HOURS.astype("datetime64[s]"),
    "local times of Python": objects(datetime.datetime(2024, 1, 2, 3)),
    "zoned times": HOURS.tz_localize("Europe/Berlin", nonexistent="shift_forward"),
    "ordered": pd.Categorical(["lo", "hi", "mid"] * 2, ["lo", "mid", "hi"], ordered=True),
    "categories of numbers": pd.Categorical([1, 2] * 3, [3, 2, 1]),
    "categories of quarters": pd.Categorical(pd.period_range("2024", periods=6, freq="Q")),
    "categories of days": pd.Categorical(DAYS),
    "sparse": pd.arrays.SparseArray([0.0, 0, 1, 0, 0, 2.5], fill_value=0.0),
}


def recorded(values):
    """Return a table with this column, and a model that was fitted on it."""
    table = pd.DataFrame({"x": pd.Series(values), "z": 1.0})
    return table, make_pipeline(Recorder(), LinearRegression()).fit(table, range(COUNT))


def rows_of(table):
    cells = [None if pd.isna(value) else write(value) for value in table["x"]]
    return json.loads(
        json.dumps([{"x": cell, "z": z} for cell, z in zip(cells, table["z"], strict=True)])
    )


def is_same(one, other):
    if pd.isna(one):
        return pd.isna(other) and type(one) is type(other)
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("name", COLUMNS)
def test_column_has_dtype_of_sample(name):
    table, model = recorded(COLUMNS[name])
    schema = infer(model, table).input
    rows = rows_of(table)
    judge = Schema(schema)

    assert [each for row in rows for each in judge.violations(row)] == []
    predictor(model, schema["properties"])(judge.convert(rows))
    seen = Recorder.seen["x"]
    assert seen.dtype == table["x"].dtype
    assert all(map(is_same, seen, table["x"]))


@pytest.mark.parametrize("name", COLUMNS)
def test_single_row_column_has_dtype(name):
    table, model = recorded(COLUMNS[name])
    schema = infer(model, table).input
    predict = predictor(model, schema["properties"])

    for row, value in zip(Schema(schema).convert(rows_of(table)), table["x"], strict=True):
        predict([row])
        is_counted = pd.api.types.is_bool_dtype(table["x"].dtype) or not pd.isna(value)
        assert Recorder.seen["x"].dtype == table["x"].dtype or not is_counted
        assert is_same(next(iter(Recorder.seen["x"])), value)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(COUNT) * 1j,
        objects(decimal.Decimal("1.12345678901234567890123")),
        pd.Categorical([b"a", b"b"] * 3),
    ],
    ids=["complex", "long decimals", "categories of bytes"],
)
def test_column_changed_by_json_is_rejected(values):
    table, model = recorded(values)

    with pytest.raises(InvalidModel, match=r"column 'x' has the type .* JSON"):
        infer(model, table)


def test_day_outside_the_calendar_is_rejected():
    table, model = one_hot(pd.array(DAYS.date, dtype="date32[day][pyarrow]"))
    predict = predictor(model, infer(model, table).input["properties"])

    with pytest.raises(InvalidInput, match="is not accepted by this model, got"):
        predict([{"x": "0000-01-01", "z": 1.0}])


@pytest.mark.parametrize("text", ["(0, 99]", "a band"])
def test_interval_outside_categories_is_rejected(text):
    table, model = recorded(pd.cut(pd.Series([5, 15, 25] * 2), [0, 10, 20, 30]))
    predict = predictor(model, infer(model, table).input["properties"])

    with pytest.raises(InvalidInput, match=r"must be one of \(0, 10\], .*, got") as caught:
        predict([{"x": "(10, 20]", "z": 1.0}, {"x": text, "z": 1.0}])

    assert [(each.row, each.pointer) for each in caught.value.violations] == [(1, "/x")]


def test_bands_without_sample_are_intervals():
    bands = pd.cut(pd.Series([1.0, 5, 9, 2, 7, 8]), 3)
    table = pd.DataFrame({"band": bands})
    model = make_pipeline(OneHotEncoder(), RandomForestRegressor(3, random_state=0))
    model.fit(table, range(COUNT))

    schema = infer(model).input
    rows = [{"band": str(band)} for band in bands]

    assert schema["properties"]["band"]["examples"] == list(map(str, bands.cat.categories))
    answers = predictor(model, schema["properties"])(rows)
    assert [each["prediction"] for each in answers] == model.predict(table).tolist()


GRADES = pd.DataFrame({"grade": pd.Series(["good", "bad", None] * 10, dtype=object)})
POINTS = [1.0, 5.0, 100.0] * 10


@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    ],
    ids=["one-hot", "ordinal"],
)
@pytest.mark.parametrize("sample", [None, GRADES], ids=["object", "sample"])
def test_none_category_ignores_batch(encoder, sample):
    model = make_pipeline(encoder, RandomForestRegressor(9, random_state=0)).fit(GRADES, POINTS)
    predict = predictor(model, infer(model, sample).input["properties"])
    rows = [{"grade": grade} for grade in ("good", None, "bad")]

    together = predict(rows)

    assert together == [predict([row])[0] for row in rows]
    assert together[1]["prediction"] == model.predict(GRADES.iloc[[2]])[0]


def test_none_is_imputed():
    impute = SimpleImputer(missing_values=None, strategy="constant", fill_value="none")
    model = make_pipeline(impute, OneHotEncoder(), RandomForestRegressor(9, random_state=0))
    model.fit(GRADES, POINTS)
    schema = infer(model, GRADES).input

    answers = predictor(model, schema["properties"])(GRADES.to_dict("records"))

    assert Schema(schema).violations({"grade": None}) == []
    assert [each["prediction"] for each in answers] == model.predict(GRADES).tolist()


def test_ambiguous_missing_values_are_rejected():
    table = pd.DataFrame({"grade": pd.Series(["a", None, np.nan] * 10, dtype=object)})
    model = make_pipeline(OneHotEncoder(), LinearRegression()).fit(table, POINTS)

    found = infer(model, table)

    assert Schema(found.input).violations({"grade": None})
    assert "both NaN and None as missing values" in found.notes[0]


def whole_numbers():
    table = pd.DataFrame({"income": np.arange(80) * 37, "children": np.arange(80) % 5})
    model = HistGradientBoostingRegressor(max_iter=9).fit(table, table["income"])
    return table, model


@pytest.mark.parametrize("value", [None, 4200.5, 4200, 4200.0])
def test_integer_column_accepts_null_and_fractions(value):
    table, model = whole_numbers()
    schema = infer(model, table).input
    row = {"income": value, "children": 2}

    assert Schema(schema).violations(row) == []
    answer = predictor(model, schema["properties"])(Schema(schema).convert([row]))
    expected = model.predict(
        pd.DataFrame({"income": [np.nan if value is None else value], "children": 2})
    )
    assert answer[0]["prediction"] == expected[0]


def test_integer_row_keeps_dtype_beside_fraction():
    table, model = recorded(np.arange(COUNT))
    predict = predictor(model, infer(model, table).input["properties"])

    predict([{"x": 0.5, "z": 1.0}, {"x": 4, "z": 1.0}])

    assert Recorder.seen["x"].tolist() == [4]
    assert Recorder.seen["x"].dtype == np.int64


def test_violation_names_row_in_mixed_batch():
    table, model = recorded(DAYS)
    table = table.assign(n=range(COUNT))
    model = make_pipeline(Recorder(), LinearRegression()).fit(table, range(COUNT))
    predict = predictor(model, infer(model, table).input["properties"])
    rows = [{"x": "2024-01-01", "n": n, "z": 1.0} for n in (1, 1.5, 2)]
    rows[2]["x"] = "not a day"

    with pytest.raises(InvalidInput) as caught:
        predict(rows)

    assert [(each.row, each.pointer) for each in caught.value.violations] == [(2, "/x")]


def one_hot(values):
    """Return a table with this column and numbers, and a model that encodes it."""
    table = pd.DataFrame({"x": values, "z": np.arange(len(values), dtype=float)})
    encode = make_column_transformer((OneHotEncoder(), ["x"]), remainder="passthrough")
    model = make_pipeline(encode, RandomForestRegressor(9, random_state=0))
    return table, model.fit(table, table["z"])


@pytest.mark.parametrize(
    "values",
    [
        pd.cut(pd.Series([5, 15, 25] * 9), [0, 10, 20, 30]).where(np.arange(27) > 3),
        pd.array([True, False, True] * 9, dtype="boolean"),
    ],
    ids=["bands with missing ones", "booleans of pandas"],
)
def test_encoded_column_has_dtype_of_sample(values):
    table, model = one_hot(values)
    schema = Schema(infer(model, table).input)
    rows = rows_of(table)

    assert [each for row in rows for each in schema.violations(row)] == []
    answers = predictor(model, schema.document["properties"])(rows)
    assert [each["prediction"] for each in answers] == model.predict(table).tolist()


LEVELS = pd.DataFrame({"c": list("abcd") * 15, "z": np.arange(60.0)})
VALUES = LEVELS["c"].map({"a": 1.0, "b": 9.0, "c": 20.0, "d": 30.0})


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(
            make_column_transformer((OneHotEncoder(), ["c"]), remainder="passthrough"),
            LinearRegression(),
        ),
        HistGradientBoostingRegressor(max_iter=9, categorical_features="from_dtype"),
    ],
    ids=["one-hot", "boosting"],
)
def test_categories_missing_in_sample_are_kept(model):
    table = LEVELS.astype({"c": "category"})
    model.fit(table, VALUES)
    few = LEVELS[LEVELS["c"].isin(["a", "b"])].astype({"c": "category"})

    predict = predictor(model, infer(model, few).input["properties"])

    answers = predict(LEVELS.to_dict("records"))
    assert [each["prediction"] for each in answers] == model.predict(table).tolist()


def test_new_category_is_not_missing():
    table = LEVELS.astype({"c": "category"})
    table["c"] = table["c"].where(table["z"] > 7)
    encode = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["c"]))
    model = make_pipeline(encode, LinearRegression()).fit(table, VALUES.where(table["z"] > 7, 99.0))
    predict = predictor(model, infer(model, table).input["properties"])

    new, missing, known = predict(
        [{"c": "new", "z": 1.0}, {"c": None, "z": 1.0}, {"c": "a", "z": 1.0}]
    )

    asked = pd.DataFrame({"c": pd.Categorical(["new", None, "a"]), "z": 1.0})
    expected = model.predict(asked)
    assert expected[0] != expected[1]
    assert [each["prediction"] for each in (new, missing, known)] == pytest.approx(expected)


def test_incomplete_ordered_categories_are_rejected():
    model = OrdinalEncoder(categories=[["lo", "mid", "hi"]]).fit(pd.DataFrame({"c": ["lo", "hi"]}))
    sample = pd.DataFrame({"c": pd.Categorical(["lo", "hi"], ["lo", "hi"], ordered=True)})

    with pytest.raises(InvalidModel, match="expected lo, hi, mid, in order"):
        infer(model, sample)


@pytest.mark.parametrize("is_ordered", [False, True])
def test_lightgbm_receives_categories_of_columns(is_ordered):
    lightgbm = pytest.importorskip("lightgbm")
    table = LEVELS.assign(
        k=pd.Categorical(["only"] * 60),
        c=pd.Categorical(LEVELS["c"], list("dcba"), ordered=is_ordered),
    )[["k", "c", "z"]]
    model = lightgbm.LGBMRegressor(n_estimators=9, min_child_samples=2, verbose=-1, n_jobs=1)
    model.fit(table, VALUES)

    predict = predictor(model, infer(model, table).input["properties"])

    rows = table.astype(object).to_dict("records")
    assert [each["prediction"] for each in predict(rows)] == model.predict(table).tolist()


def large_integers():
    ids = np.array([[2**60 + at % 5, at] for at in range(20)])
    encode = make_column_transformer((OneHotEncoder(), [0]), remainder="passthrough")
    rows = [{"x0": int(one), "x1": int(other)} for one, other in ids]
    return ids, rows, make_pipeline(encode, LinearRegression()).fit(ids, ids[:, 1] ** 2)


def test_large_integers_in_array_are_exact():
    ids, rows, model = large_integers()
    schema = infer(model, ids).input

    answers = predictor(model, schema["properties"])(Schema(schema).convert(rows))

    assert [each["prediction"] for each in answers] == model.predict(ids).tolist()


@pytest.mark.filterwarnings("ignore:X has feature names")
def test_large_integers_beside_floats_are_exact():
    ids, rows, model = large_integers()
    schema = infer(model).input

    answers = predictor(model, schema["properties"])(Schema(schema).convert(rows))

    assert [each["prediction"] for each in answers] == pytest.approx(model.predict(ids))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_array_of_short_floats_stays_one(dtype):
    table = np.random.default_rng(3).normal(size=(20, 3)).astype(dtype)
    model = LinearRegression().fit(table, table[:, 0])

    predict = predictor(model, infer(model, table).input["properties"])

    rows = [dict(zip(("x0", "x1", "x2"), map(float, row), strict=True)) for row in table]
    assert [each["prediction"] for each in predict(rows)] == model.predict(table).tolist()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("durations", "5", "must be a duration such as P1DT12H"),
        ("durations", "abc", "must be a duration such as P1DT12H"),
        ("durations of Python", "5", "must be a duration"),
        ("months", "2024", "must be a period such as 2024-01, got '2024'"),
    ],
)
def test_duration_without_unit_is_rejected(name, text, words):
    table, model = recorded(COLUMNS[name])
    predict = predictor(model, infer(model, table).input["properties"])

    with pytest.raises(InvalidInput, match=words):
        predict([{"x": text, "z": 1.0}])


@pytest.mark.parametrize(
    "text", ["P0DT0H1M1.5S", "0 days 00:01:01.500000", "00:01:01.5", "PT61.5S"]
)
def test_python_and_pandas_durations_match(text):
    table, model = recorded(COLUMNS["durations"])

    predictor(model, infer(model, table).input["properties"])([{"x": text, "z": 1.0}])

    assert Recorder.seen["x"].iloc[0] == pd.Timedelta(seconds=61.5)


def test_dropped_column_may_have_any_dtype():
    table = pd.DataFrame({"x": np.arange(4.0), "z": np.arange(4) * 1j})
    model = make_pipeline(make_column_transformer(("passthrough", ["x"])), LinearRegression())

    found = infer(model.fit(table, [1, 2, 3, 4]), table)

    assert list(found.input["properties"]) == ["x"]


@pytest.mark.parametrize(
    "values",
    [
        pd.cut(pd.Series(DAYS), 3),
        pd.cut(pd.Series(pd.to_timedelta(range(COUNT), unit="h")), 3),
        pd.Series(pd.period_range("2024-01", periods=COUNT, freq="M")),
        pd.Series(pd.period_range("2024-01", periods=COUNT, freq="W")),
        pd.Series(pd.period_range("2024-01-01", periods=COUNT, freq="D")),
    ],
    ids=["bands of days", "bands of durations", "months", "weeks", "days"],
)
def test_file_with_categories_needs_no_trust(tmp_path, values):
    table, model = one_hot(values)
    dump(model, tmp_path / "m.flm", sample=table)

    answers = load(tmp_path / "m.flm").predict_rows(rows_of(table))

    assert [each["prediction"] for each in answers] == model.predict(table).tolist()

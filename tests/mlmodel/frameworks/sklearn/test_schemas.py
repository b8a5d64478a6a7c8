"""Schemas inferred from a fitted object and from a sample."""

import datetime
import decimal
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.compose import (
    ColumnTransformer,
    TransformedTargetRegressor,
    make_column_transformer,
)
from sklearn.ensemble import (
    HistGradientBoostingRegressor,
    StackingRegressor,
    VotingRegressor,
)
from sklearn.feature_selection import SelectKBest, r_regression
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import LinearSVC, OneClassSVM
from sklearn.tree import DecisionTreeRegressor

from mlmodel.errors import InvalidModel
from mlmodel.frameworks.sklearn import adapter
from mlmodel.frameworks.sklearn.inference import infer, predictor
from mlmodel.frameworks.sklearn.schemas.column import Column
from mlmodel.frameworks.sklearn.schemas.sample import to_sample
from mlmodel.schema.validator import Schema

TARGET = [1.5, 2.5, 3.5, 4.0]
LARGEST = float(np.finfo(float).max)
POINTS = np.array([[0, 5], [2, 5], [4, 6], [10, 5]], dtype=float)
NAMED = pd.DataFrame(POINTS, columns=["width", "height"])


class Anything(TransformerMixin, BaseEstimator):
    """An unknown estimator that accepts anything. ``seen`` is its last input."""

    seen = None

    def fit(self, table, _target=None):
        self.feature_names_in_ = np.array(list(table.columns), dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        return self

    def transform(self, table):
        Anything.seen = table
        return np.ones((len(table), 1))


class Whole(Anything):
    """A stranger that takes nothing missing."""

    def transform(self, table):
        if table.isna().any(axis=None):
            raise ValueError("something is missing")
        return super().transform(table)


class Lengths(TransformerMixin, BaseEstimator):
    """A stranger that takes texts alone."""

    fit = Anything.fit

    def transform(self, table):
        return table.map(len).to_numpy()


def frame(**columns):
    return pd.DataFrame(columns)


def inferred(transformer, table, sample=None):
    """Return the schemas of a regressor behind a transformer."""
    return infer(make_pipeline(transformer, Ridge()).fit(table, TARGET), sample)


def column(transformer, values, sample=None):
    """Return the schema of the only column of this model."""
    table = frame(x=values)
    shown = None if sample is None else frame(x=sample)
    return inferred(transformer, table, shown).input["properties"]["x"]


def from_sample(values, **more):
    """Return the schema that a sample gives a column that is otherwise unknown."""
    return column(Whole(), pd.Series(values, **more), pd.Series(values, **more))


@pytest.mark.parametrize(
    ("transformer", "says"),
    [
        (StandardScaler(), {"examples": [4.0]}),
        (MinMaxScaler(), {"examples": [5.0], "x-range": [0.0, 10.0]}),
        (QuantileTransformer(n_quantiles=4), {"examples": [4.0], "x-range": [0.0, 10.0]}),
        (KBinsDiscretizer(2, strategy="uniform"), {"examples": [5.0], "x-range": [0.0, 10.0]}),
        (DecisionTreeRegressor(max_depth=1), {"examples": [3.0]}),
        (HistGradientBoostingRegressor(), {"examples": [3.0]}),
        (KMeans(1), {"examples": [4.0]}),
    ],
    ids=lambda each: type(each).__name__,
)
def test_fitted_attributes_give_examples_and_ranges(transformer, says):
    model = transformer.fit(POINTS, TARGET)

    schema = infer(model).input["properties"]["x0"]
    assert {word: schema[word] for word in ("examples", "x-range") if word in schema} == says


def test_exact_imputer_statistic_is_default():
    exact = column(SimpleImputer(strategy="median"), [1, None, 3, 4])
    endless = column(SimpleImputer(), [1, None, 1, 2])

    assert exact == {"type": ["number", "null"], "default": 3.0, "examples": [3.0]}
    assert endless == {"type": ["number", "null"], "examples": [1.333]}


WORDS = ["a", "b", "a", "b"]
LIST = {"enum": ["a", "b"]}
OPEN = {"type": ["string", "null"], "examples": ["a", "b"]}


@pytest.mark.parametrize(
    ("encoder", "schema"),
    [
        (OneHotEncoder(), LIST),
        (OrdinalEncoder(), LIST),
        (
            OneHotEncoder(handle_unknown="ignore"),
            OPEN,
        ),
        (
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
            OPEN,
        ),
        (
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan),
            LIST,
        ),
        (TargetEncoder(cv=2), OPEN),
    ],
    ids=["one-hot", "ordinal", "ignore", "encoded", "encoded as missing", "target"],
)
def test_encoder_categories_become_choices(encoder, schema):
    assert column(encoder, WORDS) == schema


@pytest.mark.parametrize(
    ("values", "schema"),
    [
        ([3, 1, 1, 3], {"enum": [1, 3]}),
        ([True, False, True, True], {"enum": [False, True]}),
        ([0.5, 1.5, 0.5, 0.5], {"enum": [0.5, 1.5]}),
        (["a", np.nan, "b", "a"], {"anyOf": [LIST, {"type": "null"}]}),
        (
            np.array(["a", None, "b", "a"], dtype=object),
            {"anyOf": [LIST, {"type": "null"}]},
        ),
    ],
    ids=["whole numbers", "booleans", "numbers", "NaN", "None"],
)
def test_choices_have_type_of_categories(values, schema):
    assert column(OneHotEncoder(), values) == schema


def test_open_numeric_choices_accept_fractions():
    ignoring = OneHotEncoder(handle_unknown="ignore")

    assert column(ignoring, [3, 1, 1, 3]) == {
        "type": ["number", "null"],
        "examples": [1, 3],
        "x-dtype": "int64",
    }


def test_sample_makes_open_choices_integers():
    table = frame(x=[3, 1, 1, 3])
    found = inferred(OneHotEncoder(handle_unknown="ignore"), table, table)

    assert found.input["properties"]["x"]["type"] == ["integer", "null"]


def test_many_columns_are_probed_separately():
    """Every second one accepts new categories, so a call with several of them fails."""
    count = 10
    table = pd.DataFrame(np.array([["a"] * count, ["b"] * count]), columns=map(str, range(count)))
    ignoring = OneHotEncoder(handle_unknown="ignore")
    places = range(count)
    encode = ColumnTransformer(
        [(str(at), (ignoring, OneHotEncoder())[at % 2], [str(at)]) for at in places]
    )

    properties = infer(encode.fit(table)).input["properties"]

    assert [at for at in places if "enum" in properties[str(at)]] == list(places)[1::2]


def test_unprobed_columns_make_lenient_schema(monkeypatch):
    monkeypatch.setattr("mlmodel.frameworks.sklearn.schemas.probe.MOST_CALLS", 1)
    table = frame(a=list("abab"), b=list("abab"), c=list("abab"))

    found = infer(OneHotEncoder().fit(table))

    assert Schema(found.input).violations({"a": "z", "b": "z", "c": "z"}) == []
    assert "new values in 'a', 'b', 'c'" in found.notes[0]


def test_none_category_makes_column_nullable():
    table = frame(x=np.array(["a", None, "b", "a"], dtype=object)).astype(object)
    table["x"] = table["x"].where(table["x"].notna(), None)

    found = infer(OneHotEncoder().fit(table)).input["properties"]["x"]

    assert found == {
        "anyOf": [LIST, {"type": "null"}],
        "x-dtype": "object",
        "x-missing": "None",
    }


def test_nullable_column_is_optional():
    found = inferred(SimpleImputer(), NAMED).input

    assert found["required"] == []
    assert Schema(found).violations({"width": None}) == []


def test_column_rejecting_null_is_required():
    found = infer(LinearRegression().fit(NAMED, TARGET)).input

    assert found["required"] == ["width", "height"]
    assert found["properties"]["width"] == {"type": "number"}


def test_unknown_estimator_is_probed_with_null():
    assert inferred(Anything(), NAMED).input["required"] == []


def test_unknown_estimator_is_probed_for_type():
    table = frame(x=["one", "two", "three", "four"])

    assert inferred(Lengths(), table).input["properties"] == {"x": {"type": "string"}}


@pytest.mark.parametrize(
    "transformer",
    [
        ColumnTransformer([("one", StandardScaler(), ["width"])]),
        ColumnTransformer([("one", StandardScaler(), [True, False])]),
        ColumnTransformer([("one", StandardScaler(), slice("width", "width"))]),
        ColumnTransformer([("one", "drop", ["height"])], remainder=StandardScaler()),
        make_pipeline(StandardScaler(), SelectKBest(r_regression, k=1)),
        make_pipeline(SelectKBest(r_regression, k=1), StandardScaler()),
    ],
    ids=["name", "mask", "slice", "drop", "selected later", "selected first"],
)
def test_unread_column_is_ignored(transformer):
    found = inferred(transformer, NAMED).input

    assert list(found["properties"]) == ["width"]
    assert Schema(found).violations({"width": 1, "height": "any"}) == []


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda model: GridSearchCV(model, {"ridge__alpha": [1.0]}, cv=2),
        lambda model: VotingRegressor([("one", model)]),
        lambda model: StackingRegressor([("one", model)], cv=2),
        lambda model: TransformedTargetRegressor(model, func=np.log, inverse_func=np.exp),
    ],
    ids=["search", "votes", "stack", "transformed target"],
)
def test_column_unread_by_steps_is_ignored(wrapped):
    table = frame(age=TARGET, remark=["late", "paid", "lost", "paid"])
    pipeline = make_pipeline(make_column_transformer((StandardScaler(), ["age"])), Ridge())
    model = wrapped(pipeline).fit(table, TARGET)

    found = infer(model)

    assert list(found.input["properties"]) == ["age"]
    assert predictor(model, found.input["properties"])([{"age": 2.5}])


def test_stacking_passthrough_columns_are_required():
    pipeline = make_pipeline(make_column_transformer((StandardScaler(), ["width"])), Ridge())
    stack = StackingRegressor([("one", pipeline)], cv=2, passthrough=True).fit(NAMED, TARGET)

    assert list(infer(stack).input["properties"]) == ["width", "height"]


class Doubled(TransformerMixin, BaseEstimator):
    """An unknown transformer that adds columns without naming them."""

    def fit(self, _table, _target=None):
        return self

    def transform(self, table):
        return np.column_stack([-(np.asarray(table) ** 2), np.asarray(table)])


def test_uncountable_columns_are_all_required():
    encode = make_column_transformer(
        (Doubled(), ["width"]), (StandardScaler(), ["height"]), verbose_feature_names_out=False
    )
    target = NAMED["width"]
    model = make_pipeline(encode, SelectKBest(r_regression, k=1), Ridge()).fit(NAMED, target)

    assert list(infer(model).input["properties"]) == ["width", "height"]


def test_special_characters_in_names_are_escaped():
    table = frame(**{"a": TARGET, "b.c|d e": TARGET})
    schema = Schema(inferred(make_column_transformer((StandardScaler(), ["a"])), table).input)

    assert schema.violations({"a": 1, "b.c|d e": 1}) == []
    assert [each.pointer for each in schema.violations({"a": 1, "b.cxd e": 1})] == ["/b.cxd e"]


@pytest.mark.parametrize(
    ("values", "schema"),
    [
        ([1, 2, 3, 9], {"type": "number", "examples": [3], "x-range": [1, 9], "x-dtype": "int64"}),
        ([1.5, 2, 3, 9], {"type": "number", "examples": [2.5], "x-range": [1.5, 9.0]}),
        ([LARGEST, 0.0, 1.0, 2.0], {"type": "number", "x-range": [0.0, LARGEST]}),
        ([True, False, True, True], {"type": "boolean"}),
        (["b", "a", "b", "a"], {"type": "string", "examples": ["a", "b"]}),
        (["one", "two", "three", "four"], {"type": "string", "examples": ["one"]}),
        (
            [datetime.date(2024, 1, day) for day in (1, 2, 3, 4)],
            {
                "type": "string",
                "format": "date",
                "examples": ["2024-01-03"],
                "x-dtype": "object[date]",
            },
        ),
        ([1, "a", True, 2], {"type": ["number", "string", "boolean"], "x-dtype": "object"}),
    ],
    ids=[
        "whole numbers",
        "numbers",
        "largest number",
        "booleans",
        "words",
        "texts",
        "days",
        "mixed",
    ],
)
def test_sample_gives_column_types(values, schema):
    found = from_sample(values)

    assert {**found, **schema} == found


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        ("Int64", "integer"),
        ("boolean", "boolean"),
        ("float32", "number"),
        ("uint8", "number"),
        ("category", "integer"),
        ("datetime64[s]", "string"),
        ("datetime64[ns, Europe/Oslo]", "string"),
    ],
)
def test_model_receives_dtypes_of_sample(dtype, kind):
    table = frame(x=pd.Series([0, 1, 0, 1]).astype(dtype))

    found = inferred(Anything(), table, table)

    assert found.input["properties"]["x"]["x-dtype"].startswith(dtype[:6])
    assert str(Anything.seen["x"].dtype) == str(table["x"].dtype)
    assert kind in str(found.input["properties"]["x"])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32"])
def test_narrow_sample_dtype_sets_no_limit(dtype):
    table = frame(x=pd.Series([0, 1, 0, 1]).astype(dtype))
    model = make_pipeline(SimpleImputer(), LinearRegression()).fit(table, TARGET)

    properties = infer(model, table).input["properties"]
    predict = predictor(model, properties)

    assert properties["x"]["type"] == ["number", "null"]
    assert len(predict([{"x": 2**40}, {"x": -1}, {"x": None}])) == 3


def test_examples_have_type_of_sample():
    table = frame(member=[True, False, False, True])
    model = DecisionTreeRegressor().fit(table, TARGET)

    member = infer(model, table).input["properties"]["member"]
    assert member == {"type": ["boolean", "null"], "x-seen-missing": False}


def test_categories_absent_from_sample_remain_choices():
    dtype = pd.CategoricalDtype(["low", "mid", "top"])

    found = from_sample(["low", "mid", "low", "mid"], dtype=dtype)

    assert found["examples"] == ["low", "mid", "top"]


@pytest.mark.parametrize(
    "sample",
    [
        NAMED,
        POINTS,
        POINTS.tolist(),
        [tuple(row) for row in POINTS],
        NAMED.to_dict(orient="records"),
    ],
    ids=["frame", "array", "lists", "tuples", "objects"],
)
def test_a_sample_comes_in_any_shape(sample):
    found = infer(LinearRegression().fit(NAMED, TARGET), sample)

    assert found.examples == tuple(NAMED.head(3).to_dict(orient="records"))
    assert found.input["properties"]["width"]["x-range"] == [0.0, 10.0]


def test_series_is_single_column_sample():
    model = LinearRegression().fit(NAMED[["width"]], TARGET)

    assert infer(model, NAMED["width"]).examples[0] == {"width": 0.0}


def test_sample_names_unnamed_columns():
    model = LinearRegression().fit(POINTS, TARGET)

    assert list(infer(model, NAMED).input["properties"]) == ["width", "height"]
    assert list(infer(model, POINTS).input["properties"]) == ["x0", "x1"]


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (5, "must be a data frame, an array, a series or a list of rows, got int"),
        ([], "the sample has no rows"),
        ([[1]], "was fitted on 2 columns, the sample has 1"),
        ([{"width": 1}, [2]], "mixes objects with other rows"),
        (np.zeros((2, 2, 2)), "one or two dimensions, got 3"),
        (frame(width=[1]), "has no column 'height', which the model was fitted on"),
        (pd.DataFrame([[1, 2]], columns=["width", "width"]), "two columns of the same name"),
    ],
    ids=["number", "nothing", "count", "mixed", "cube", "name", "twice"],
)
def test_invalid_sample_is_rejected(sample, message):
    with pytest.raises(InvalidModel, match=message):
        infer(LinearRegression().fit(NAMED, TARGET), sample)


@pytest.mark.parametrize(
    ("transformer", "values", "sample", "note"),
    [
        (OneHotEncoder(), WORDS, ["a", "z", "a", "b"], 'x has "z" in the sample, which the model'),
        (StandardScaler(), TARGET, [1.0, None, 2.0, 3.0], "x is missing in 1 of 4 rows"),
        (
            StandardScaler(),
            TARGET,
            WORDS,
            "x is string in the sample, but the model expects number",
        ),
        (
            MinMaxScaler(),
            TARGET,
            [9.0] * 3 + [0.0],
            "from 0 to 9 in the sample, but ranged from 1.5 to 4",
        ),
    ],
    ids=["choices", "missing", "type", "range"],
)
def test_disagreement_with_sample_is_noted(transformer, values, sample, note):
    found = inferred(transformer, frame(x=values), frame(x=sample))

    assert [note in each for each in found.notes[:1]] == [True]


def test_unknown_sample_column_is_noted():
    model = LinearRegression().fit(NAMED, TARGET)

    assert infer(model, NAMED.assign(price=1)).notes == (
        "the sample has columns that the model was not fitted on: 'price'",
    )


def test_examples_are_complete_accepted_rows():
    table = frame(x=["a", "b", "a", "b"], y=[1.0, 2.0, 3.0, 4.0])
    sample = frame(x=["a", None, "z", "b"], y=[None, 2.0, 3.0, 4.0])
    encode = make_column_transformer((OneHotEncoder(), ["x"]), remainder=SimpleImputer())

    found = inferred(encode, table, sample)

    assert found.examples == ({"x": "b", "y": 4.0}, {"x": "a", "y": None})


def test_opaque_model_needs_sample():
    class Mute:
        def predict(self, inputs):
            return np.ones(len(inputs))

    found = infer(Mute())

    assert found.input is None
    assert found.notes == ("the columns of the model are unknown: package it with a sample",)


def test_example_is_predicted_without_required_members():
    found = inferred(SimpleImputer(strategy="median"), NAMED).input

    assert Schema(found).example() == {"width": 3.0, "height": 5.0}


@pytest.mark.parametrize(
    ("model", "members"),
    [
        (
            GaussianNB().fit(POINTS, [0, 0, 1, 1]),
            {"prediction": {"type": "integer", "enum": [0, 1]}},
        ),
        (
            LogisticRegression().fit(POINTS, [True, False, True, True]),
            {"prediction": {"type": "boolean", "enum": [False, True]}},
        ),
        (
            LinearSVC().fit(POINTS, list("aabb")),
            {
                "prediction": {"type": "string", "enum": ["a", "b"]},
                "scores": {
                    "type": "object",
                    "properties": {"b": {"type": "number"}},
                    "required": ["b"],
                    "description": "Above 0 it is b, below it is a.",
                },
            },
        ),
        (LinearRegression().fit(POINTS, TARGET), {"prediction": {"type": "number"}}),
        (KMeans(1).fit(POINTS), {"prediction": {"type": "integer", "title": "Cluster"}}),
        (
            OneClassSVM().fit(POINTS),
            {"is_outlier": {"type": "boolean", "title": "Outlier"}},
        ),
    ],
    ids=["integers", "booleans", "scores", "number", "cluster", "outlier"],
)
def test_output_schema_describes_predictions(model, members):
    promised = infer(model).output["properties"]

    assert {name: promised[name] for name in members} == members


def test_given_output_names_reach_schema():
    model = LinearRegression().fit(POINTS, POINTS)

    named = infer(model, outputs=["price", "days"]).output["properties"]["prediction"]

    assert named["required"] == ["price", "days"]
    with pytest.raises(InvalidModel, match="has 2 outputs, but 1 names for them"):
        infer(model, outputs=["price"])


def test_wide_sparse_sample_is_thinned():
    wide = sparse.eye(2000, 20_000, format="csr")

    tracemalloc.start()
    found = to_sample(wide)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found.table.shape == (250, 20_000)
    assert peak_bytes < 100e6


@pytest.mark.parametrize(
    ("sample", "count"),
    [
        (np.zeros((300, 20_000)), 150),
        (pd.DataFrame(np.zeros((300, 20_000))), 150),
        ([[0.0] * 20_000] * 300, 150),
        (np.zeros(150_000), 75_000),
    ],
    ids=["array", "frame", "lists", "one column"],
)
def test_large_sample_is_thinned_evenly(sample, count):
    assert len(to_sample(sample).table) == count


def test_wide_sample_yields_few_rows():
    found = to_sample(np.zeros((40, 20_000)))
    columns = [Column(name) for name in found.table]

    assert len(list(found.rows(columns))) == 6


def test_example_values_are_exact():
    table = pd.DataFrame({"x": [2**53 + 1, 3], "y": [0.5, 1.5]})

    assert next(iter(to_sample(table).rows([Column("x", "integer"), Column("y")]))) == {
        "x": 9007199254740993,
        "y": 0.5,
    }


@pytest.mark.parametrize(
    ("values", "example", "dtype"),
    [
        ([pd.Timedelta("1D")] * 4, "P1DT0H0M0S", "timedelta64[us]"),
        (pd.period_range("2024-01", periods=4, freq="M"), "2024-01", "period[M]"),
        ([decimal.Decimal("1.5")] * 4, 1.5, "object"),
        ([datetime.time(10, 30)] * 4, "10:30:00", "object"),
    ],
    ids=["durations", "periods", "decimals", "times"],
)
def test_non_json_values_survive_round_trip(values, example, dtype):
    table = frame(x=values)

    found = inferred(Anything(), table, table)

    assert found.examples[0] == {"x": example}
    assert str(Anything.seen["x"].dtype).replace("[ns]", "[us]") == dtype


@pytest.mark.parametrize(
    ("value", "kind"),
    [([1, 2], "list"), ({"a": 1}, "dict"), (b"a", "bytes"), (float("inf"), "infinity")],
    ids=["list", "object", "bytes", "infinity"],
)
def test_rows_without_json_are_noted(value, kind):
    table = pd.DataFrame({"x": pd.Series([0.5, value, 1.5]), "y": [1.0, 2.0, 3.0]})
    model = make_pipeline(Anything(), LinearRegression()).fit(table, TARGET[:3])

    found = adapter.schemas(model, table)

    assert [row["y"] for row in found.examples] == [1.0, 3.0]
    assert (
        f"x has values that cannot be shown as JSON, of type {kind}: such rows" in found.notes[-1]
    )


def test_sample_without_json_has_no_examples():
    table = pd.DataFrame({"x": [[1], [2], [3]]})
    model = make_pipeline(Anything(), LinearRegression()).fit(table, TARGET[:3])

    assert adapter.schemas(model, table).examples == ()


def test_guess_note_contains_model_error():
    class Picky(Anything):
        def transform(self, table):
            raise KeyError("no column 'age'")

    model = make_pipeline(Anything(), LinearRegression()).fit(NAMED, TARGET)
    model.steps[0] = ("picky", Picky().fit(NAMED))

    for found in (infer(model), infer(model, NAMED)):
        assert "(KeyError: \"no column 'age'\"): its schemas may be wrong" in found.notes[-1]


def test_lightgbm_names_accept_blanks():
    lightgbm = pytest.importorskip("lightgbm")
    table = pd.DataFrame(
        np.random.default_rng(3).normal(size=(60, 2)), columns=["mass kg", "a_b (cm)"]
    )
    model = lightgbm.LGBMRegressor(n_estimators=5, verbose=-1, n_jobs=1).fit(
        table, table["mass kg"]
    )

    schema = infer(model).input
    rows = table.head(3).to_dict("records")

    assert [each for row in rows for each in Schema(schema).violations(row)] == []
    answers = predictor(model, schema["properties"])(rows)
    assert [each["prediction"] for each in answers] == model.predict(table.head(3)).tolist()
    assert Schema(schema).violations({"mass-kg": 1})

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    LabelEncoder,
    OneHotEncoder,
    StandardScaler,
)

from mlmodel import dump, load
from mlmodel.errors import (
    BadArtifact,
    BadMetadata,
    InvalidModel,
    InvalidSchema,
    UnknownCompression,
    UnknownProtocol,
    UnsupportedFramework,
)
from mlmodel.reference.distributions import Choices, Opaque
from tests.flm_files import CODECS, FOLDER, IRIS_ROW, WHEN, iris_classifier

NUMBERS = {"a": {"type": "number"}, "b": {"type": "number"}}


@pytest.fixture
def iris_file(tmp_path):
    path = tmp_path / "iris.flm"
    dump(iris_classifier(), path, model_id="iris", timestamp=WHEN)
    return path


@pytest.mark.parametrize("protocol", [1, 2], ids=["protocol 1", "protocol 2"])
@pytest.mark.parametrize("compression", CODECS)
def test_dumped_model_loads_again(tmp_path, compression, protocol):
    source = tmp_path / "labels.csv"
    source.write_text("setosa\n")
    path = tmp_path / "iris.flm"

    dump(iris_classifier(), path, compression, artifacts={"labels": source}, protocol=protocol)

    model = load(path)
    assert model.predict(IRIS_ROW)["prediction"] == "setosa"
    assert model.artifacts["labels"].read_text() == "setosa\n"


def test_metadata_round_trips(tmp_path):
    path = tmp_path / "iris.flm"

    dump(
        iris_classifier(),
        path,
        model_id="iris",
        timestamp=WHEN,
        params={"C": np.float64(1)},
        metrics={"confusion": np.eye(2, dtype=int)},
        extra={"tags": ("flowers",)},
    )

    meta = load(path).meta
    assert (meta.id, meta.timestamp) == ("iris", "2026-01-31T14:30:00+00:00")
    assert (meta.model.params, meta.model.metrics) == ({"C": 1.0}, {"confusion": [[1, 0], [0, 1]]})
    assert (meta.extra["tags"], meta.capabilities) == (["flowers"], {"kind": "ml"})
    assert meta.model.info["max_iter"] == 1000


def test_equal_arguments_write_equal_bytes(tmp_path, iris_file):
    dump(iris_classifier(), tmp_path / "again.flm", model_id="iris", timestamp=WHEN)

    assert (tmp_path / "again.flm").read_bytes() == iris_file.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"compression": "gzip"}, UnknownCompression, "one of bz2, lzma, zlib, zstd"),
        ({"protocol": 3}, UnknownProtocol, "must be 1 or 2, got 3"),
        ({"metrics": {"auc": float("nan")}}, BadMetadata, "metrics.auc must be JSON, got nan"),
        ({"params": {"model": object}}, BadMetadata, "params.model must be JSON"),
        ({"extra": [1]}, BadMetadata, r"extra must be an object, got \[1\]"),
        ({"artifacts": {"../x": FOLDER / "manifest.json"}}, BadArtifact, "a plain ASCII file"),
        ({"artifacts": {"x": FOLDER / "missing"}}, FileNotFoundError, "missing"),
    ],
    ids=["codec", "protocol", "metrics", "params", "extra", "name", "no such file"],
)
def test_failed_dump_keeps_existing_file(iris_file, arguments, error, message):
    before = iris_file.read_bytes()

    with pytest.raises(error, match=message):
        dump(iris_classifier(), iris_file, **arguments)

    assert iris_file.read_bytes() == before
    assert list(iris_file.parent.iterdir()) == [iris_file]


def test_unsupported_object_is_rejected(tmp_path):
    with pytest.raises(UnsupportedFramework, match=r"got .* dict; .* save the estimator alone"):
        dump({"model": Ridge()}, tmp_path / "model.flm")


def people():
    table = pd.DataFrame({"age": [22, 39, 58, 61], "sex": ["f", "m", "f", "m"]})
    encode = make_column_transformer((OneHotEncoder(), ["sex"]), remainder=StandardScaler())
    return make_pipeline(encode, LinearRegression()).fit(table, [1, 2, 3, 4]), table


def test_sample_provides_schemas_and_examples(tmp_path):
    model, table = people()

    dump(model, tmp_path / "m.flm", sample=table)

    found = load(tmp_path / "m.flm")
    assert found.meta.extra["input_schema"] == found.input_schema
    assert found.input_schema["properties"]["age"]["x-range"] == [22, 61]
    assert found.examples == table.head(3).to_dict(orient="records")
    assert found.predict(found.examples[0]) == {"prediction": pytest.approx(1, abs=0.5)}


def test_hint_has_the_range_of_cautions(tmp_path):
    table = pd.DataFrame({"age": np.arange(190, 790), "size": np.linspace(0.123, 7.31, 600)})

    dump(LinearRegression().fit(table, table["age"]), tmp_path / "m.flm", sample=table)

    found = load(tmp_path / "m.flm")
    for name, field in found.profile.fields.items():
        usual = found.input_schema["properties"][name]["x-range"]
        assert usual == [field.edges[0], field.edges[-1]] != [table[name].min(), table[name].max()]


def test_sample_notes_are_logged_and_stored(tmp_path, caplog):
    model, table = people()

    dump(model, tmp_path / "m.flm", sample=table.assign(pay=1), reference=False)

    note = "the sample has columns that the model was not fitted on: 'pay'"
    assert load(tmp_path / "m.flm").notes == [note]
    assert note in caplog.text


def test_extra_overrides_the_sample(tmp_path):
    model, table = people()

    dump(model, tmp_path / "m.flm", sample=table, extra={"examples": [], "version": "2"})

    found = load(tmp_path / "m.flm")
    assert (found.examples, found.version) == ((), "2")
    assert found.input_schema["properties"]["age"]["x-range"] == [22, 61]


def test_outputs_are_named(tmp_path):
    target = pd.DataFrame({"price": [1.0, 2.0], "days": [3.0, 5.0]})
    model = LinearRegression().fit([[0], [1]], target)

    dump(model, tmp_path / "m.flm", outputs=target.columns)

    answer = load(tmp_path / "m.flm").predict({"x0": 1})
    assert answer == {"prediction": {"price": pytest.approx(2), "days": pytest.approx(5)}}


def test_sample_of_other_columns_is_rejected(iris_file):
    before = iris_file.read_bytes()

    with pytest.raises(InvalidModel, match="was fitted on 4 columns, the sample has 2"):
        dump(iris_classifier(), iris_file, sample=[[1, 2]])

    assert iris_file.read_bytes() == before


@pytest.mark.parametrize(
    "model",
    [Ridge(), make_pipeline(StandardScaler(), Ridge())],
    ids=["estimator", "pipeline"],
)
def test_unfitted_estimator_is_rejected(tmp_path, model):
    with pytest.raises(InvalidModel, match="Ridge is not fitted: call fit first"):
        dump(model, tmp_path / "m.flm", sample=[[1.0]])


def test_stateless_transformer_is_dumped(tmp_path):
    dump(FunctionTransformer(np.log1p), tmp_path / "m.flm", sample=[[1.0], [2.0]])

    assert load(tmp_path / "m.flm").predict({"x0": 0}) == {"prediction": 0.0}


@pytest.mark.parametrize(
    ("schema", "error", "message"),
    [
        ({"type": "thing"}, InvalidSchema, "thing"),
        ({"properties": NUMBERS}, InvalidModel, "2 members, 'a', 'b', but .* on 4 columns, 'x0'"),
    ],
    ids=["no schema", "other columns"],
)
def test_schema_of_other_columns_is_rejected(tmp_path, schema, error, message):
    with pytest.raises(error, match=message):
        dump(iris_classifier(), tmp_path / "m.flm", extra={"input_schema": schema})

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("member", "dtype"),
    [
        ({"type": "number"}, "float33"),
        ({"type": "string", "format": "date"}, "datetime64[fortnights]"),
        ({"type": "string"}, "period[never]"),
    ],
    ids=["number", "date", "period"],
)
def test_unknown_dtype_is_rejected(tmp_path, member, dtype):
    model = LinearRegression().fit(pd.DataFrame({"x": [1.0, 2.0]}), [1.0, 2.0])
    schema = {"type": "object", "properties": {"x": {**member, "x-dtype": dtype}}}
    dump(model, tmp_path / "m.flm")

    with pytest.raises(InvalidModel, match=f"member 'x' has x-dtype '{re.escape(dtype)}', which"):
        dump(model, tmp_path / "never.flm", extra={"input_schema": schema})
    with pytest.raises(InvalidModel, match=f"member 'x' has x-dtype '{re.escape(dtype)}', which"):
        load(tmp_path / "m.flm", input_schema=schema).load()


def test_known_dtype_is_accepted(tmp_path):
    model = LinearRegression().fit(pd.DataFrame({"x": [1.0, 2.0]}), [1.0, 2.0])
    schema = {"type": "object", "properties": {"x": {"type": "number", "x-dtype": "float32"}}}
    dump(model, tmp_path / "m.flm", extra={"input_schema": schema})

    assert load(tmp_path / "m.flm").predict({"x": 3.0})["prediction"] == pytest.approx(3)


def test_feature_hasher_is_rejected(tmp_path):
    objects = [{"dog": 1}, {"cat": 2}]
    model = make_pipeline(FeatureHasher(8), LinearRegression()).fit(objects, [1.0, 2.0])

    with pytest.raises(InvalidModel, match=r"stores no names.* use a DictVectorizer"):
        dump(model, tmp_path / "m.flm")


def test_hasher_after_transformer_is_dumped(tmp_path):
    model = make_pipeline(
        make_column_transformer(
            (make_pipeline(FunctionTransformer(listed), FeatureHasher(8, input_type="string")), "x")
        ),
        LinearRegression(),
    ).fit(pd.DataFrame({"x": ["dog", "cat"]}), [1.0, 2.0])
    dump(model, tmp_path / "m.flm", sample=pd.DataFrame({"x": ["dog", "cat"]}))

    model = load(tmp_path / "m.flm", trust=("tests.mlmodel.files.test_dump.listed",))
    assert model.predict({"x": "dog"})["prediction"] == pytest.approx(1)


def listed(column):
    return [[value] for value in column]


@pytest.mark.parametrize("name", ["m.pkl", "m.joblib", "m.PICKLE"])
def test_pickle_suffix_is_rejected(tmp_path, name):
    with pytest.raises(InvalidModel, match=r"dump writes .flm files, got .*; name it 'm.flm'"):
        dump(iris_classifier(), tmp_path / name)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(
        InvalidModel, match=r"the folder '.*models' does not exist; create it first"
    ):
        dump(iris_classifier(), tmp_path / "models" / "m.flm")


def test_search_without_refit_is_rejected(tmp_path):
    search = GridSearchCV(Ridge(), {"alpha": [1, 2]}, cv=2, refit=False)
    search.fit([[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 2.0, 3.0])

    with pytest.raises(InvalidModel, match="because of refit=False: fit it with refit=True, or"):
        dump(search, tmp_path / "m.flm")


def test_lambda_is_rejected_with_advice(tmp_path):
    model = make_pipeline(FunctionTransformer(lambda x: x), Ridge()).fit([[0.0], [1.0]], [0, 1])

    with pytest.raises(InvalidModel, match=r"has a lambda, .* define it by name at the top of a"):
        dump(model, tmp_path / "m.flm")


def test_other_library_needs_model_class(tmp_path):
    with pytest.raises(UnsupportedFramework, match="derived from MLModel whose predict calls it"):
        dump(object(), tmp_path / "m.flm")


def test_polars_sample_is_accepted(tmp_path):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(
        {
            "age": [20.0, 30.0, None, 50.0],
            "town": polars.Series(list("abab"), dtype=polars.Categorical),
        }
    )
    table = pd.DataFrame({"age": [20.0, 30, np.nan, 50], "town": pd.Categorical(list("abab"))})
    encoder = make_column_transformer((OneHotEncoder(), ["town"]), remainder=SimpleImputer())
    model = make_pipeline(encoder, Ridge()).fit(table, [1.0, 2.0, 3.0, 4.0])

    dump(model, tmp_path / "polars.flm", sample=frame)
    dump(model, tmp_path / "pandas.flm", sample=table)

    assert load(tmp_path / "polars.flm").input_schema == load(tmp_path / "pandas.flm").input_schema


def test_own_schema_logs_no_notes(tmp_path, caplog):
    model = HistGradientBoostingRegressor(max_iter=2).fit([[0.0]] * 30, [1.0] * 30)
    schema = {
        "type": "object",
        "properties": {"x0": {"type": "number"}},
        "required": ["x0"],
        "additionalProperties": False,
    }

    dump(model, tmp_path / "doubtful.flm")
    told = list(caplog.messages)
    dump(model, tmp_path / "own.flm", extra={"input_schema": schema})

    assert any("accepts empty rows" in message for message in told)
    assert caplog.messages == told


def test_sample_yields_a_profile_of_columns_and_predictions(tmp_path):
    frame = pd.DataFrame({"a": np.arange(100.0), "b": [1.0] * 100})
    model = LinearRegression().fit(frame, frame["a"])

    dump(model, tmp_path / "profiled.flm", sample=frame, y=frame["a"])
    dump(model, tmp_path / "plain.flm", sample=frame, reference=False)

    profile = load(tmp_path / "profiled.flm").profile
    assert (profile.rows, list(profile.fields), list(profile.predictions)) == (
        100,
        ["a", "b"],
        ["prediction"],
    )
    assert profile.target.edges == profile.fields["a"].edges
    assert load(tmp_path / "plain.flm").profile is None


def test_rows_of_any_schema_have_predictions_in_the_profile(tmp_path):
    frame = pd.DataFrame({"a": np.arange(100.0)})
    model = LinearRegression().fit(frame, frame["a"])
    member = {"type": "number", "multipleOf": 0.5}  # the compiled schema lacks this keyword

    dump(
        model,
        tmp_path / "own.flm",
        sample=frame,
        extra={"input_schema": {"type": "object", "properties": {"a": member}}},
    )

    assert sum(load(tmp_path / "own.flm").profile.predictions["prediction"].counts) == 100


def test_repeated_texts_of_a_text_model_are_no_choices(tmp_path):
    texts = ["good day", "bad day"] * 15
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0] * 15)

    dump(model, tmp_path / "texts.flm", sample=texts)

    assert load(tmp_path / "texts.flm").profile.fields == {"text": Opaque(0.0)}


@pytest.mark.parametrize("has_target", [False, True])
def test_sample_of_few_rows_has_a_note(tmp_path, caplog, has_target):
    frame = pd.DataFrame({"a": np.arange(15.0)})
    model = LinearRegression().fit(frame, frame["a"])

    dump(model, tmp_path / "small.flm", sample=frame, y=frame["a"] if has_target else None)

    loaded = load(tmp_path / "small.flm")
    assert loaded.profile is None
    assert "expected a sample of at least 20 rows" in loaded.notes[-1]
    assert loaded.notes[-1] in caplog.messages


def test_true_values_that_a_classifier_does_not_predict_are_rejected(tmp_path):
    frame = pd.DataFrame({"a": np.arange(30.0)})
    model = LogisticRegression().fit(frame, ["no", "yes"] * 15)

    dump(model, tmp_path / "good.flm", sample=frame, y=["yes", None, "no"] * 10)
    with pytest.raises(InvalidModel, match="does not predict: 1, 0; expected only 'no', 'yes'"):
        dump(model, tmp_path / "bad.flm", sample=frame, y=[1, 0] * 15)


@pytest.mark.parametrize("labels", [LabelEncoder().fit(["no", "yes"]), ["no", "yes"]])
@pytest.mark.parametrize(
    "y",
    [
        [0, 1] * 15,
        ["no", "yes"] * 15,
        np.array([[0], [1]] * 15),
        pd.DataFrame({"target": [0.0, 1.0] * 15}),
    ],
    ids=["encoded", "decoded", "array", "frame"],
)
def test_true_values_may_be_encoded(tmp_path, labels, y):
    frame = pd.DataFrame({"a": np.arange(30.0)})
    model = LogisticRegression().fit(frame, [0, 1] * 15)

    dump(model, tmp_path / "encoded.flm", sample=frame, y=y, labels=labels)

    assert load(tmp_path / "encoded.flm").profile.target == Choices({"no": 15, "yes": 15}, 0, 0)


def test_missing_true_values_of_a_frame_are_counted(tmp_path):
    frame = pd.DataFrame({"a": np.arange(30.0), "target": [0, 1, None] * 10})
    model = LogisticRegression().fit(frame[["a"]], [0, 1, 1] * 10)

    dump(model, tmp_path / "m.flm", sample=frame[["a"]], y=frame[["target"]])

    target = load(tmp_path / "m.flm").profile.target
    assert target == Choices({"0": 10, "1": 10}, 0, pytest.approx(1 / 3, abs=1e-6))


def test_true_values_are_not_checked_without_a_profile(tmp_path):
    frame = pd.DataFrame({"a": np.arange(30.0)})
    model = LogisticRegression().fit(frame, ["no", "yes"] * 15)

    dump(model, tmp_path / "m.flm", sample=frame, y=[1, 0] * 15, reference=False)

    assert load(tmp_path / "m.flm").profile is None


def test_profile_and_examples_have_the_names_of_the_schema(tmp_path):
    numbers = np.arange(60.0).reshape(30, 2)
    model = LinearRegression().fit(numbers, numbers[:, 0])
    schema = {"type": "object", "properties": NUMBERS, "required": ["a", "b"]}

    dump(model, tmp_path / "named.flm", sample=numbers, extra={"input_schema": schema})

    loaded = load(tmp_path / "named.flm")
    assert list(loaded.profile.fields) == ["a", "b"]
    assert loaded.profile.predictions
    assert loaded.predict(loaded.examples[0])["prediction"] == pytest.approx(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": [1]}, "y needs the sample"),
        ({"y": [1], "sample": [[1, 2, 3, 4]] * 3}, "the sample has 3 rows, y has 1 values"),
    ],
)
def test_target_without_its_rows_is_rejected(tmp_path, arguments, message):
    with pytest.raises(InvalidModel, match=message):
        dump(iris_classifier(), tmp_path / "iris.flm", **arguments)


def test_wrong_profile_of_the_author_is_rejected(tmp_path):
    with pytest.raises(BadMetadata, match="reference/rows must be an integer"):
        dump(iris_classifier(), tmp_path / "iris.flm", extra={"reference": {"fields": {}}})

"""Compiled models: graphs that agree with their models, and graphs that do not."""

import functools
import gc
import json
import math
import re
import sys
import threading
import warnings

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from markupsafe import escape
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlmodel import InvalidInput, dump, load
from mlmodel.errors import BadArtifact, InvalidModel
from mlmodel.frameworks.sklearn.onnx import conversion as graph
from mlmodel.frameworks.sklearn.onnx import parity, probes, selection
from mlmodel.frameworks.sklearn.onnx import runtime as compiling
from mlmodel.schema.validator import Schema
from tests import ROOT
from tests.estimators import AMOUNT, CASES, PEOPLE, POINTS, SIDE, THREE, built
from tests.flm_files import WHEN
from tests.mlmodel.frameworks.sklearn.test_estimators import EXTREMES, rows_of

#: Cases without a graph, and a word of the reason.
NATIVE = {
    "text alone": "table of columns",
    "hashed text": "table of columns",
    "text in a column": "skl2onnx",
    "objects": "table of columns",
    "own categories": "grade",
    "neighbours fill in": "rows",
    "votes": "skl2onnx",
    "stacked pipelines": "ColumnTransformer",
    "transformed target": "skl2onnx",
    "chained numbers": "skl2onnx",
    "chained labels": "skl2onnx",
    "labels of a network": "ONNX Runtime",
    "columns by function": "ONNX Runtime",
    "scores of pairs": "single precision",
    "scores of three labels": "single precision",
    "search": "single precision",
    "scores of several labels": "ONNX Runtime",
    "mixture": "rows",
    "outliers": "the model",
    "novelty": "the model",
    "one class": "the model",
    "text in the only column": "cannot compute its graph",
    "transformer of text": "table of columns",
    "class of ones own": "skl2onnx",
    "columns of ones own": "table of columns",
    "no relative": "skl2onnx",
    "xgboost": "skl2onnx",
    "xgboost with categories": "grade",
    "lightgbm": "grade",
    "lightgbm of bare columns": "skl2onnx",
    "catboost": "",
    "catboost of whole categories": "",
    "catboost of bare columns": "",
    "imbalanced": "skl2onnx",
}

MIXED = PEOPLE[["age", "income", "city", "job"]]


@pytest.fixture(scope="module", autouse=True)
def few_probes():
    """Compare graphs on fewer rows: on as many as in a server takes seconds for each model."""
    with pytest.MonkeyPatch.context() as patch:
        reduce_probes(patch)
        yield patch


def reduce_probes(patch):
    patch.setattr(probes, "RANDOM", 100)
    patch.setattr(probes, "THRESHOLDS", 100)
    patch.setattr(parity, "JUMPS", 10)


@pytest.fixture
def all_probes(few_probes):
    few_probes.undo()
    yield
    reduce_probes(few_probes)


@pytest.fixture(scope="module")
def loaded(case_file, without_trials):
    """From a case and a runtime to the loaded model."""

    @functools.cache
    def made(name, runtime):
        model = load(case_file(name), trust="all", runtime=runtime)
        model.load()
        return model

    return made


@pytest.fixture
def compiled(tmp_path):
    """A function from an estimator and its data to the model, compiled."""

    def make(estimator, sample, runtime="onnx", **more):
        path = tmp_path / "model.flm"
        dump(estimator, path, sample=sample, **more)
        model = load(path, runtime=runtime)
        model.load()
        return model

    return make


def runtime_of(model):
    return model.metadata["runtime"]


def forest(count=10):
    return RandomForestClassifier(count, random_state=0).fit(POINTS, THREE)


@pytest.mark.parametrize("name", sorted(CASES.keys() - NATIVE.keys()))
def test_compiled_and_native_predictions_are_equal(name, case_file, loaded):
    rows = rows_of(built(name), case_file(name))

    model = loaded(name, "onnx")

    assert runtime_of(model)["compiled"], runtime_of(model)
    assert model.predict_rows(rows) == nearly(loaded(name, "native").predict_rows(rows))
    assert [model.predict(row) for row in rows[:5]] == nearly(model.predict_rows(rows[:5]))


def nearly(answers):
    """Return predictions whose numbers compare equal to six digits."""
    text = json.dumps(answers)
    return json.loads(
        text, parse_float=lambda number: pytest.approx(float(number), rel=1e-6, abs=1e-6)
    )


@pytest.mark.parametrize("name", NATIVE)
def test_uncompiled_model_predicts_and_states_reason(name, case_file, loaded, request):
    if NATIVE[name] == "the model":  # few rows differ
        request.getfixturevalue("all_probes")
    rows = rows_of(built(name), case_file(name))[:3]

    model = loaded(name, "onnx")

    assert not runtime_of(model)["compiled"]
    assert NATIVE[name] in runtime_of(model)["reason"]
    assert model.predict_rows(rows) == loaded(name, "native").predict_rows(rows)


@pytest.mark.parametrize("name", sorted(CASES.keys() - NATIVE.keys()))
def test_graph_handles_unusual_rows(name, loaded):
    native, graph = loaded(name, "native"), loaded(name, "onnx")
    (plain,) = native.examples[:1]
    rows = list(unusual(plain, Schema(native.input_schema)))

    answers = [said(graph, row) for row in rows]
    predicted = [row for row, answer in zip(rows, answers, strict=True) if is_prediction(answer)]
    expected = iter(native.predict_rows(predicted))  # in one call, as each takes milliseconds
    for row, answer in zip(rows, answers, strict=True):
        wanted = next(expected) if is_prediction(answer) else said(native, row)
        assert answer == nearly(wanted), row


def unusual(plain, schema):
    """Yield rows without a member, or with an extreme one that fits."""
    for member in plain:
        yield {key: value for key, value in plain.items() if key != member}
        yield {**plain, member: None}
        for value in (*EXTREMES, 3, 1e15, -1e16, 2**53 + 1, "\ue000NaN", "\ud800", 1.5):
            row = {**plain, member: value}
            if not schema.violations(row):
                yield row


def is_prediction(answer):
    return isinstance(answer, dict)


def said(model, row):
    """Return a model's prediction for a row, or the violations."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return model.predict(row)
    except InvalidInput as error:
        return [f"{each.pointer} {each.detail}" for each in error.violations] or str(error)
    except Exception as error:
        return type(error).__name__


TREES = [
    RandomForestClassifier(7, random_state=0),
    ExtraTreesRegressor(7, random_state=0),
    RandomForestRegressor(7, random_state=0),
    DecisionTreeClassifier(),
    DecisionTreeRegressor(max_depth=1),
    DecisionTreeRegressor(max_depth=1, min_samples_leaf=60),
    GradientBoostingClassifier(n_estimators=5),
    GradientBoostingRegressor(n_estimators=5),
    HistGradientBoostingClassifier(max_iter=5),
    HistGradientBoostingRegressor(max_iter=5, loss="poisson"),
]


@pytest.mark.parametrize("estimator", TREES, ids=lambda each: type(each).__name__)
def test_tree_predictions_are_nearly_identical(estimator, compiled):
    target = THREE if hasattr(estimator, "predict_proba") else AMOUNT

    told = runtime_of(compiled(estimator.fit(POINTS, target), POINTS))

    assert told["compiled"], told["reason"]
    assert told["parity"]["largest_difference"] < 1e-15


@pytest.mark.parametrize(
    ("loss", "classes"),
    [
        ("log_loss", SIDE),
        ("log_loss", SIDE == 1),
        ("exponential", np.where(SIDE, "oui", "non")),
        ("exponential", SIDE * 5 - 3),
    ],
)
def test_binary_boosting_keeps_labels(loss, classes, compiled):
    estimator = GradientBoostingClassifier(n_estimators=5, loss=loss).fit(POINTS, classes)

    model = compiled(estimator, POINTS)

    assert runtime_of(model)["compiled"]
    answers = model.predict_rows(
        [{f"x{at}": value for at, value in enumerate(row)} for row in POINTS]
    )
    assert [each["prediction"] for each in answers] == estimator.predict(POINTS).tolist()


@pytest.mark.usefixtures("all_probes")
def test_rows_around_thresholds_are_compared(compiled):
    model = compiled(forest(), POINTS)

    counts = runtime_of(model)["parity"]["probes"]

    assert counts["thresholds"] > 100
    assert counts["jumps"] > 10


def test_jumps_reveal_thresholds_behind_transformers():
    estimator = make_pipeline(StandardScaler(), DecisionTreeRegressor(max_depth=1))
    estimator.fit(POINTS[:, :1], AMOUNT)
    (split,) = estimator[-1].tree_.threshold[:1] * estimator[0].scale_ + estimator[0].mean_

    rows = jumps_of(estimator, POINTS[:, :1])

    pairs = {(low["x0"], high["x0"]) for low, high in zip(rows[::2], rows[1::2], strict=True)}
    [(low, high)] = pairs
    assert high == math.nextafter(low, math.inf)
    assert low == pytest.approx(split, rel=1e-6)


def jumps_of(estimator, data):
    from mlmodel.frameworks.sklearn import inference
    from mlmodel.frameworks.sklearn.onnx.parity import Deadline
    from mlmodel.frameworks.sklearn.onnx.probes import RowSampler

    found = inference.infer(estimator, data)
    native = inference.predictor(estimator, found.input["properties"])
    _, inputs = graph.arrange_columns(estimator, native.model_input, native.cells, native.members)
    space = RowSampler(inputs, native.members, found.examples, estimator)
    return parity._jumps(native, space, Deadline(None))


@pytest.fixture
def nudged(monkeypatch):
    """A function that makes each number of each graph a little larger, or another."""

    def nudge(change):
        written = graph.convert
        monkeypatch.setattr(
            selection, "convert", lambda *words, **more: change(written(*words, **more))
        )

    return nudge


def with_constants(change):
    """Return a function that changes the arrays of doubles in a graph."""
    import onnx
    from onnx import numpy_helper

    def changed(content):
        made = onnx.load_from_string(content)
        tensors = [*made.graph.initializer]
        tensors += [
            each.t for node in made.graph.node for each in node.attribute if each.HasField("t")
        ]
        for tensor in tensors:
            array = numpy_helper.to_array(tensor)
            if array.dtype == np.float64 and array.size > 1:
                tensor.CopyFrom(numpy_helper.from_array(change(array), tensor.name))
        return made.SerializeToString()

    return changed


@pytest.mark.usefixtures("all_probes")
@pytest.mark.parametrize(
    ("estimator", "change"),
    [
        (LogisticRegression().fit(POINTS, THREE), lambda array: array * (1 + 1e-4)),
        (LinearRegression().fit(POINTS, AMOUNT), lambda array: array + 1e-5),
        (forest(), lambda array: array.astype(np.float32).astype(float)),
        (
            forest(),
            lambda array: np.nextafter(array, np.inf) if array.min() < 0 else array[::-1].copy(),
        ),
        (
            HistGradientBoostingClassifier(max_iter=5).fit(POINTS, SIDE),
            lambda array: array.astype(np.float32).astype(float),
        ),
    ],
    ids=["factors", "sums", "four bytes", "leaves", "histogram in four bytes"],
)
def test_differing_graph_is_not_used(estimator, change, nudged, compiled):
    nudged(with_constants(change))

    model = compiled(estimator, POINTS)

    told = runtime_of(model)
    assert not told["compiled"]
    assert "the graph predicts " in told["reason"]
    assert told["name"].startswith("scikit-learn 1.")


@pytest.mark.parametrize("content", [b"", b"no graph"])
def test_invalid_graph_is_not_used(content, nudged, compiled):
    nudged(lambda _graph: content)

    model = compiled(forest(), POINTS)

    reason = runtime_of(model)["reason"]
    assert re.match(r"ONNX Runtime (cannot|may not) compute its graph \(", reason)


def test_reason_names_missing_skl2onnx(monkeypatch, compiled, caplog):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)

    model = compiled(forest(), POINTS)

    assert (
        runtime_of(model)["reason"]
        == "skl2onnx is not installed: pip install 'modelhost[compiled]'"
    )
    assert "model.flm is not compiled: skl2onnx is not installed" in caplog.text


def test_reason_names_missing_onnxruntime(monkeypatch, compiled):
    for name in ("mlmodel.frameworks.onnx", "mlmodel.frameworks.sklearn.onnx.session"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    model = compiled(forest(), POINTS)

    assert (
        runtime_of(model)["reason"]
        == "onnxruntime is not installed: pip install 'modelhost[compiled]'"
    )


def test_graph_accepts_missing_numbers(compiled):
    model = compiled(
        HistGradientBoostingRegressor(max_iter=5).fit(PEOPLE[["age", "income"]], AMOUNT),
        PEOPLE[["age", "income"]],
    )

    assert runtime_of(model)["parity"]["probes"]["missing"] > 0


def test_one_row_may_lack_numbers(compiled):
    columns = PEOPLE[["age", "income"]]
    estimator = HistGradientBoostingRegressor(max_iter=5).fit(columns, AMOUNT)
    model = compiled(estimator, columns)
    rows = [{"age": age, "income": income} for age in (40, None) for income in (2e4, None)]

    predictions = [model.predict(row)["prediction"] for row in rows]

    expected = estimator.predict(pd.DataFrame(rows).astype(float))
    assert predictions == pytest.approx(expected.tolist(), rel=1e-12)


@pytest.mark.parametrize("missing", [None, np.nan], ids=["None", "NaN"])
@pytest.mark.parametrize(
    "encode",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(drop="first", handle_unknown="ignore"),
        make_pipeline(
            SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
        ),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    ],
    ids=["one hot", "one hot less one", "filled in", "ordinal"],
)
def test_missing_and_unseen_texts_are_equal(encode, missing, compiled):
    words = PEOPLE["job"].astype(object).where(PEOPLE["job"].notna(), missing)
    table = pd.DataFrame({"age": PEOPLE["age"], "job": words.astype(object)})
    mixed = make_column_transformer((encode, ["job"]), (StandardScaler(), ["age"]))
    estimator = make_pipeline(mixed, HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=2))
    model = compiled(estimator.fit(table, AMOUNT * (1 + (words == "cook"))), table)

    native = load(model.state.package.path)
    for word in ("cook", "clerk", "pilot", "", None, "cook\0", "Cook"):
        row = {"age": 40, "job": word}
        assert said(model, row) == nearly(said(native, row))


def test_transformer_columns_may_be_reordered(compiled):
    mixed = make_column_transformer(
        (StandardScaler(), ["income", "age"]),
        (OneHotEncoder(handle_unknown="ignore"), ["job", "city"]),
    )
    table = MIXED.assign(income=MIXED["income"].fillna(1.0))
    estimator = make_pipeline(mixed, LogisticRegression()).fit(table, SIDE)

    assert runtime_of(compiled(estimator, table))["compiled"]


def test_alternating_columns_are_not_compiled(compiled):
    table = PEOPLE[["city", "rooms", "remark"]]
    encode = make_column_transformer((OneHotEncoder(), ["city", "rooms", "remark"]))

    told = runtime_of(compiled(make_pipeline(encode, LinearRegression()).fit(table, AMOUNT), table))

    assert (
        told["reason"] == "one of its transformers reads columns of numbers and strings alternately"
    )


def test_auto_uses_faster_graph(compiled):
    told = runtime_of(compiled(forest(50), POINTS, runtime="auto"))

    assert told["compiled"]


def test_auto_keeps_faster_native_model(compiled, monkeypatch):
    monkeypatch.setattr(selection, "LEAST_GAIN", 1e9)

    told = runtime_of(compiled(forest(), POINTS, runtime="auto"))

    assert re.fullmatch(
        r"its graph predicts one row [\d.]+ times as fast, and 1e\+09 is needed", told["reason"]
    )
    assert told["parity"]["rows"] > 0


def test_auto_stops_at_time_limit(compiled, monkeypatch):
    monkeypatch.setattr(selection, "AUTO_SECONDS", 0.0)

    told = runtime_of(compiled(forest(), POINTS, runtime="auto"))

    assert told == {
        "asked": "auto",
        "name": told["name"],
        "compiled": False,
        "reason": "it took longer than 0 s of processor time",
    }


def test_native_is_not_compiled(compiled):
    assert "runtime" not in compiled(forest(), POINTS, runtime=None).metadata
    assert "runtime" not in compiled(forest(), POINTS, runtime="native").metadata


def test_an_unloaded_model_holds_no_session(compiled, monkeypatch):
    sessions = []
    opened = onnxruntime.InferenceSession

    def kept(*words, **more):
        session = opened(*words, **more)
        sessions.append(session._sess)
        return session

    monkeypatch.setattr(onnxruntime, "InferenceSession", kept)
    model = compiled(forest(), POINTS)
    loaded = sys.getrefcount(sessions[0])

    model.unload()
    gc.collect()
    unloaded = sys.getrefcount(sessions[0])
    assert unloaded < loaded


def test_threads_share_one_graph(compiled):
    model = compiled(forest(), POINTS)
    rows = [{f"x{at}": value for at, value in enumerate(row)} for row in POINTS]
    whole = model.predict_rows(rows)
    found = {}

    def ask(at):
        found[at] = [model.predict(rows[at]) for _ in range(50)]

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [found[at] == [whole[at]] * 50 for at in range(8)] == [True] * 8


@pytest.mark.parametrize("runtime", ["fast", "", None])
def test_unknown_runtime_is_rejected(tmp_path, runtime):
    with pytest.raises(InvalidModel, match="runtime must be one of"):
        dump(forest(), tmp_path / "model.flm", sample=POINTS, runtime=runtime)


def test_packaged_graph_predicts_without_skl2onnx(tmp_path, monkeypatch):
    dump(forest(), tmp_path / "model.flm", sample=POINTS, runtime="onnx")
    monkeypatch.setitem(sys.modules, "skl2onnx", None)

    model = load(tmp_path / "model.flm")
    model.load()

    assert runtime_of(model)["compiled"]
    assert model.meta.extra["compiled"]["parity"]["probes"]["random"] == probes.RANDOM


def test_native_runtime_ignores_packaged_graph(tmp_path):
    dump(forest(), tmp_path / "model.flm", sample=POINTS, runtime="onnx")

    model = load(tmp_path / "model.flm", runtime="native")
    model.load()

    assert "runtime" not in model.metadata


def test_graph_of_other_model_is_ignored(tmp_path, monkeypatch, caplog):
    made = compiling.get_digests
    monkeypatch.setattr(compiling, "get_digests", lambda _model, graph: made(b"another", graph))
    dump(forest(), tmp_path / "model.flm", sample=POINTS, runtime="onnx")
    monkeypatch.setattr(compiling, "get_digests", made)

    model = load(tmp_path / "model.flm")
    model.load()

    assert "ignoring compiled.onnx: it was not converted from the model in the file" in caplog.text
    assert "runtime" not in model.metadata


def test_differing_packaged_graph_is_not_used(tmp_path, monkeypatch):
    real = selection.compare
    monkeypatch.setattr(selection, "compare", lambda *words: parity.Parity({"examples": 1}, 0.0))
    written = graph.convert
    wrong = with_constants(lambda array: array[::-1].copy())
    monkeypatch.setattr(selection, "convert", lambda *words, **more: wrong(written(*words, **more)))
    dump(forest(), tmp_path / "model.flm", sample=POINTS, runtime="onnx")
    monkeypatch.setattr(selection, "compare", real)

    model = load(tmp_path / "model.flm")
    model.load()

    assert runtime_of(model)["reason"].startswith("the graph predicts ")


def test_packaged_graphs_are_reproducible(tmp_path):
    for name in ("one.flm", "two.flm"):
        more = {"model_id": "same", "timestamp": WHEN, "sample": POINTS, "runtime": "onnx"}
        dump(forest(), tmp_path / name, **more)

    assert (tmp_path / "one.flm").read_bytes() == (tmp_path / "two.flm").read_bytes()


def test_dump_rejects_model_without_graph(tmp_path):
    with pytest.raises(InvalidModel, match=r"Thirds is not compiled: skl2onnx cannot convert it"):
        dump(
            built("class of ones own").model, tmp_path / "model.flm", sample=POINTS, runtime="onnx"
        )

    assert not (tmp_path / "model.flm").exists()


def test_auto_dump_omits_missing_graph(tmp_path, caplog):
    model = built("class of ones own").model

    dump(model, tmp_path / "model.flm", sample=POINTS, runtime="auto")

    assert load(tmp_path / "model.flm", trust="all").artifacts == {}
    assert "Thirds is not compiled: " in caplog.text


def test_artifact_name_of_graph_is_reserved(tmp_path):
    (tmp_path / "card.md").write_text("mine")

    with pytest.raises(
        BadArtifact, match=r"artifact name 'compiled\.onnx' is reserved for the graph"
    ):
        dump(
            forest(),
            tmp_path / "model.flm",
            sample=POINTS,
            artifacts={"compiled.onnx": tmp_path / "card.md"},
            runtime="onnx",
        )


@pytest.fixture
def served(tmp_path, make_app):
    """A function that returns a client of a server with the compiled estimator."""

    def make(estimator, sample):
        dump(estimator, tmp_path / "model.flm", sample=sample)
        models = json.dumps({"models": [{"file": "model.flm", "name": "m", "runtime": "onnx"}]})
        return make_app(models).test_client()

    return make


def test_metadata_page_and_header_show_graph(served):
    client = served(forest(), POINTS)

    told = client.get("/api/models/m/metadata").get_json()["runtime"]
    page = client.get("/models/m/metadata").text
    answer = client.post("/api/models/m/predict", json=[{f"x{at}": 0.5 for at in range(4)}])

    assert told.items() >= {"asked": "onnx", "compiled": True}.items()
    assert f"<strong>{told['name']}</strong>, with a graph compiled from the model" in page
    assert f"On {told['parity']['rows']:,} rows" in page
    assert answer.headers["X-Model-Runtime"].startswith(f"{told['name']}, scikit-learn ")
    assert told["name"] == f"ONNX Runtime {onnxruntime.__version__}"


def test_metadata_and_page_show_reason(served):
    case = built("own categories")
    client = served(case.model, case.data)

    told = client.get("/api/models/m/inspect").get_json()["runtime"]
    page = client.get("/models/m/metadata").text

    reason = 'its column "grade" contains neither numbers nor strings'
    assert told == {"asked": "onnx", "name": told["name"], "compiled": False, "reason": reason}
    assert f"<strong>{told['name']}</strong>. The model is not compiled: " in page
    assert escape(reason) in page


def test_other_frameworks_serve_natively(tmp_path, make_app):
    onnx_file = next((ROOT / "tests" / "data" / "onnx").glob("*.onnx"))
    models = json.dumps({"models": [{"file": str(onnx_file), "name": "m", "runtime": "onnx"}]})
    client = make_app(models).test_client()

    told = client.get("/api/models/m/inspect").get_json()

    assert told["status"] == "ready"
    assert told["runtime"]["reason"] == (
        "only models of scikit-learn are compiled, this one is of ONNX Runtime"
    )

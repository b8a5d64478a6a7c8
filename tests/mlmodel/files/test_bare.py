import hashlib
import json
import pickle
import shutil
import zipfile

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import ClassifierChain
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from mlmodel import dump, load
from mlmodel.bounded import compression
from mlmodel.errors import BrokenModel, InvalidModel, Untrusted, WrongHash
from mlmodel.files.flm import container as flm
from tests import DATA
from tests.flm_files import IRIS_ROW, content_of, iris_classifier

GRAPHS = DATA / "onnx"


def halved(x):
    return x / 2


@pytest.fixture
def pickled(tmp_path):
    path = tmp_path / "iris.pkl"
    path.write_bytes(pickle.dumps(iris_classifier()))
    return path


@pytest.fixture
def iris_answer(tmp_path):
    """The prediction of the same classifier in a package."""
    dump(iris_classifier(), tmp_path / "packaged.flm")
    return load(tmp_path / "packaged.flm").predict(IRIS_ROW)


@pytest.fixture
def skops_file(tmp_path):
    """A function that writes an estimator with skops."""

    def write(estimator):
        skops.io.dump(estimator, tmp_path / "model.skops")
        return tmp_path / "model.skops"

    return write


def model_in(name):
    """The framework's bytes of a sample file."""
    content = content_of(name)
    budget = compression.budget(len(content))
    return flm.unpack_model(flm.read(content, budget), budget)


def of_texts(words, asked):
    """A model that reads its inputs as file names, by ``asked``."""
    model = make_pipeline(words, LogisticRegression()).fit(["aa", "bb"] * 9, [0, 1] * 9)
    words.input = asked
    return model


def of_halves():
    halves = FunctionTransformer(halved, validate=True)
    return make_pipeline(halves, LogisticRegression()).fit([[0], [1]], [0, 1])


def test_pickle_predicts_like_its_package(pickled, iris_answer):
    assert load(pickled, trust="all").predict(IRIS_ROW) == iris_answer


@pytest.mark.parametrize("name", ["iris.joblib", "iris.pkl"])
@pytest.mark.parametrize("compress", [0, 3], ids=["plain", "compressed"])
def test_joblib_file_predicts_like_its_package(tmp_path, iris_answer, name, compress):
    joblib.dump(iris_classifier(), tmp_path / name, compress=compress)

    assert load(tmp_path / name, trust="all").predict(IRIS_ROW) == iris_answer


@pytest.mark.parametrize("name", ["iris.joblib", "iris.pkl"])
def test_ordinary_pickle_needs_no_trust(tmp_path, iris_answer, name):
    joblib.dump(iris_classifier(), tmp_path / name)

    assert load(tmp_path / name).predict(IRIS_ROW) == iris_answer


@pytest.mark.parametrize(
    "model",
    [LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())],
    ids=["estimator", "pipeline"],
)
def test_unfitted_model_is_named(tmp_path, model):
    joblib.dump(model, tmp_path / "m.joblib")

    with pytest.raises(InvalidModel, match=r"^the model is not fitted: call fit before you save"):
        load(tmp_path / "m.joblib").load()


def test_pinned_pickle_is_trusted(tmp_path):
    path = tmp_path / "halves.pkl"
    path.write_bytes(pickle.dumps(of_halves()))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    assert load(path, sha256=digest).predict({"x0": 1})["prediction"] == 1
    with pytest.raises(Untrusted):
        load(path)


def test_other_hash_is_rejected(pickled):
    with pytest.raises(WrongHash, match="expected a file with sha256 0000"):
        load(pickled, sha256="0" * 64)


def test_skops_types_need_no_trust(skops_file):
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit([[0], [1]], ["no", "yes"])

    model = load(skops_file(pipeline))

    assert model.predict({"x0": 1})["prediction"] == "yes"


def test_unknown_skops_types_are_named(skops_file):
    path = skops_file(of_halves())

    with pytest.raises(Untrusted, match=r"outside the allow-list.* trust: \[") as caught:
        load(path)

    assert caught.value.types == ("tests.mlmodel.files.test_bare.halved",)


@pytest.mark.parametrize("trust", ["all", ("tests.mlmodel.files.test_bare.halved", "another")])
def test_skops_builds_trusted_types(skops_file, trust):
    model = load(skops_file(of_halves()), trust=trust)

    assert model.predict({"x0": 1})["prediction"] == 1


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        (CountVectorizer, "filename"),
        (HashingVectorizer, "filename"),
        (TfidfVectorizer, "filename"),
        (CountVectorizer, "file"),
    ],
)
def test_skops_rejects_file_vectorizers(skops_file, kind, asked):
    path = skops_file(of_texts(kind(), asked))

    with pytest.raises(Untrusted, match=r"state on sklearn\.feature_extraction\.text\.\w+;"):
        load(path).load()


def test_skops_rejects_nested_file_vectorizers(skops_file):
    model = make_pipeline(
        ColumnTransformer([("words", of_texts(CountVectorizer(), "filename")[0], "text")])
    )

    with pytest.raises(Untrusted, match=r"an unexpected state on .*CountVectorizer"):
        load(skops_file(model)).load()


def test_skops_rejects_stored_callables(skops_file):
    model = ClassifierChain(LogisticRegression()).fit([[0], [1]] * 9, [[0, 1], [1, 0]] * 9)
    model.chain_method_ = "set_params"

    with pytest.raises(Untrusted, match=r"builds sklearn.multioutput.ClassifierChain with unsafe"):
        load(skops_file(model)).load()


@pytest.mark.parametrize("way", ["all", "name", "sha256"])
def test_trusted_skops_file_is_unchanged(skops_file, tmp_path, monkeypatch, way):
    monkeypatch.chdir(tmp_path)
    # The trial prediction at load uses the value "text".
    (tmp_path / "text").write_text("aa")
    (tmp_path / "row.txt").write_text("bb")
    path = skops_file(of_texts(CountVectorizer(), "filename"))
    asked = {
        "all": {"trust": "all"},
        "name": {"trust": ["sklearn.feature_extraction.text.CountVectorizer"]},
        "sha256": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
    }
    model = load(path, **asked[way])
    model.load()

    assert model.predict({"text": str(tmp_path / "row.txt")})["prediction"] == 1


ORDINARY = {
    "neighbors": lambda: KNeighborsClassifier(3),
    "a forest": lambda: RandomForestClassifier(3, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=3),
    "boosting by histograms": lambda: HistGradientBoostingClassifier(max_iter=3),
    "a ufunc": lambda: make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()),
    "a search": lambda: GridSearchCV(SVC(), {"C": [1, 10]}, cv=2),
    "LightGBM": lambda: pytest.importorskip("lightgbm").LGBMClassifier(n_estimators=3, verbose=-1),
    "XGBoost": lambda: pytest.importorskip("xgboost").XGBClassifier(n_estimators=3),
}


@pytest.mark.parametrize(
    ("case", "trust"), [*((case, ()) for case in ORDINARY), ("a search", "all"), ("XGBoost", "all")]
)
def test_skops_builds_ordinary_models(skops_file, case, trust):
    rows = np.abs(np.random.default_rng(0).normal(size=(60, 2)))
    estimator = ORDINARY[case]().fit(rows, (rows[:, 0] > rows[:, 1]).astype(int))

    model = load(skops_file(estimator), trust=trust)

    fields = list(model.input_schema["properties"])
    found = model.predict_rows([dict(zip(fields, row, strict=True)) for row in rows.tolist()])
    assert [each["prediction"] for each in found] == estimator.predict(rows).tolist()


def node(name, loader, **more):
    module, _, kind = name.rpartition(".")
    return {"__module__": module, "__class__": kind, "__loader__": loader, **more}


NOTHING = node("builtins.tuple", "TupleNode", content=[])
WORDS = node("builtins.str", "JsonNode", content='"/etc/passwd"')
#: Parts of a skops file that would call a named function, or set any state.
FORGED = {
    "a distribution": node("scipy.stats._continuous_distns.norm_gen", "ObjectNode", content=WORDS),
    "a call": node("xgboost.core.Booster", "ConstructorFromReduceNode", content=NOTHING),
    "a call of a loss": node(
        "builtins.eval", "LossNode", content=NOTHING, __reduce__={"args": NOTHING}
    ),
    "a list": node("builtins.print", "ListNode", content=[WORDS]),
    "an array": node("numpy.save", "NdArrayNode", type="json", content=[], shape=NOTHING),
    "a method": node("builtins.str", "MethodNode", content={"func": "upper", "obj": WORDS}),
    "an operator": node("operator.methodcaller", "OperatorFuncNode", attrs=NOTHING),
    "a generator": node("numpy.load", "RandomStateNode", content=WORDS),
    "keys that are called": node(
        "builtins.dict",
        "DictNode",
        content={"a": WORDS},
        key_types=node("builtins.list", "ListNode", content=[node("os.system", "TypeNode")]),
    ),
    "members that Python looks up": node(
        "builtins.dict",
        "DictNode",
        content={"__reduce_ex__": WORDS},
        key_types=node("builtins.list", "ListNode", content=[node("builtins.str", "TypeNode")]),
    ),
}


@pytest.mark.parametrize("case", FORGED)
def test_skops_calls_no_named_function(skops_file, case):
    path = skops_file(LogisticRegression().fit([[0], [1]], [0, 1]))
    forge(path, lambda schema: schema["content"]["content"].update(C=FORGED[case]))

    with pytest.raises(Untrusted):
        load(path).load()


def test_skops_rejects_reused_object_ids(skops_file):
    path = skops_file(LogisticRegression().fit([[0], [1]], [0, 1]))

    def share(schema):
        parts = schema["content"]["content"]
        parts["C"] = node("sklearn.svm._classes.SVC", "TypeNode", __id__=1)
        parts["tol"] = node("builtins.str", "TypeNode", __id__=1)

    forge(path, share)

    with pytest.raises(Untrusted, match="two objects with the same id"):
        load(path)


def test_crashing_skops_file_is_contained(skops_file):
    tree = DecisionTreeClassifier().fit([[0.0], [1.0]], [0, 1])
    nodes = tree.tree_.__getstate__()["nodes"].copy()
    nodes["left_child"][0] = nodes["right_child"][0] = 1 << 40
    state = {**tree.tree_.__getstate__(), "nodes": nodes}
    tree.tree_.__setstate__(state)

    with pytest.raises((BrokenModel, Untrusted)):
        load(skops_file(tree)).load()


def forge(path, change):
    """Change the schema of a skops file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    change(schema)
    members["schema.json"] = json.dumps(schema)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_skops_builds_text_models(skops_file):
    model = load(skops_file(of_texts(TfidfVectorizer(), "content")))
    model.load()

    assert model.predict({"text": "bb"})["prediction"] == 1


def test_invalid_skops_file_is_rejected(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.skops", "w") as archive:
        archive.writestr("schema.json", "no schema")

    with pytest.raises(BrokenModel, match=r"it is not a skops file \(JSONDecodeError\)"):
        load(tmp_path / "m.skops")


def test_onnx_needs_no_trust():
    pytest.importorskip("onnxruntime")
    model = load(GRAPHS / "credit.onnx", qualified_name="credit-2")

    assert model.predict({"age": 20, "city": "a"})["prediction"] == "no"
    assert model.output_schema["properties"]["prediction"] == {"enum": ["no", "yes"]}
    assert model.qualified_name == "credit-2"


def test_keras_archive_needs_no_trust(tmp_path):
    pytest.importorskip("mlmodel.frameworks.tensorflow")
    (tmp_path / "xor.keras").write_bytes(model_in("2.2.2-kerasxor-zstd-p2.flm"))

    answer = load(tmp_path / "xor.keras").predict({"x0": 0, "x1": 1})

    assert answer == {"prediction": pytest.approx(0.99111, rel=1e-4)}


def test_file_name_becomes_model_name(pickled):
    model = load(pickled, trust="all")

    assert model.qualified_name == "iris"
    assert model.metadata["framework"].startswith("scikit-learn 1.")
    assert model.metadata["size_bytes"] == pickled.stat().st_size
    assert model.metadata["sha256"] == hashlib.sha256(pickled.read_bytes()).hexdigest()


def test_schemas_are_inferred_or_given(pickled):
    names = dict.fromkeys(["a", "b", "c", "d"])
    given = {"type": "object", "properties": {name: {"type": "number"} for name in names}}

    assert load(pickled, trust="all").input_schema["required"] == ["x0", "x1", "x2", "x3"]
    model = load(pickled, trust="all", input_schema=given)
    assert model.predict({"a": 5.1, "b": 3.5, "c": 1.4, "d": 0.2})["prediction"] == "setosa"


def test_unloaded_model_is_read_again(pickled, iris_answer):
    model = load(pickled, trust="all")
    model.load()
    model.unload()

    assert model.predict(IRIS_ROW) == iris_answer


def test_pickle_of_other_framework_is_rejected(tmp_path):
    torch = pytest.importorskip("torch")
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(torch.nn.Linear(1, 1)))

    with pytest.raises(
        InvalidModel, match=r"net.pkl contains a model of PyTorch; package it with `dump`"
    ):
        load(tmp_path / "net.pkl", trust="all").load()


def test_missing_module_is_named(tmp_path):
    (tmp_path / "m.joblib").write_bytes(b"cnowhere.at_all\nModel\n.")

    with pytest.raises(BrokenModel, match="the model needs the module 'nowhere', which is not"):
        load(tmp_path / "m.joblib", trust="all").load()


@pytest.mark.parametrize("name", ["iris.pb", "iris", "iris.flm", "IRIS.PKL"])
def test_onnx_is_recognized_by_content(tmp_path, name):
    pytest.importorskip("onnxruntime")
    shutil.copy(GRAPHS / "iris.onnx", tmp_path / name)

    assert load(tmp_path / name).metadata["framework"].startswith("ONNX Runtime")


#: Names of pickles, with their compression by joblib.
PICKLES = {
    "iris.model": 0,
    "iris.pickle.gz": ("gzip", 9),
    "iris.json": ("lzma", 3),
    "iris.flm": ("xz", 1),
    "iris.sav": ("bz2", 3),
    "iris.joblib.z": 9,
}


def test_pickle_is_recognized_by_content(tmp_path, make_app):
    for name, compress in PICKLES.items():
        joblib.dump(iris_classifier(), tmp_path / name, compress=compress)
    entries = [{"file": name, "name": name.replace(".", "-")} for name in PICKLES]
    client = make_app(json.dumps({"models": entries})).test_client()

    for entry in entries:
        assert load(tmp_path / entry["file"]).qualified_name == "iris"
        answer = client.post(f"/api/models/{entry['name']}/predict", json=IRIS_ROW)
        assert answer.json["prediction"] == "setosa", entry


@pytest.mark.parametrize("protocol", range(6))
def test_every_pickle_protocol_loads(tmp_path, iris_answer, protocol):
    (tmp_path / "iris").write_bytes(pickle.dumps(iris_classifier(), protocol))

    assert load(tmp_path / "iris").predict(IRIS_ROW) == iris_answer


def test_package_is_recognized_by_content(tmp_path, make_app):
    dump(iris_classifier(), tmp_path / "iris.bin")
    client = make_app("models: [{file: iris.bin}]").test_client()

    assert client.post("/api/models/iris/predict", json=IRIS_ROW).json["prediction"] == "setosa"


def test_unsupported_file_fails_with_reason(tmp_path, make_app):
    (tmp_path / "model.pkl").write_text("age,income\n1,2\n")
    client = make_app("models: [{file: model.pkl}]").test_client()

    [model] = client.get("/api/models").json["models"]

    assert model["status"] == "failed"
    assert model["reason"].startswith("it is text that begins with 'age,income', not a model;")


def test_bare_files_are_hosted(make_app, pickled):
    client = make_app("models: [{file: iris.pkl}]").test_client()

    assert client.post("/api/models/iris/predict", json=IRIS_ROW).json["prediction"] == "setosa"
    assert client.get("/api/models/iris/metadata").json["size_bytes"] == pickled.stat().st_size


def test_onnx_models_predict_their_examples(make_app):
    pytest.importorskip("onnxruntime")
    graphs = {path.stem: str(path) for path in GRAPHS.glob("*.onnx")}
    entries = [{"file": path, "name": name} for name, path in graphs.items()]
    client = make_app(json.dumps({"models": entries})).test_client()

    for name in graphs:
        [example] = client.get(f"/api/models/{name}/metadata").json["examples"]
        assert client.get(f"/models/{name}/predict").status_code == 200
        assert client.post(f"/api/models/{name}/predict", json=example).status_code == 200

import io
import os
import pickle
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sklearn
from numpy.lib.recfunctions import repack_fields
from ruamel.yaml import YAML
from scipy import special, stats
from sklearn.base import BaseEstimator
from sklearn.cluster import FeatureAgglomeration, SpectralClustering
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingRegressor,
)
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.gaussian_process.kernels import RBF
from sklearn.impute import IterativeImputer
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, make_scorer, r2_score
from sklearn.metrics.pairwise import laplacian_kernel
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, RandomizedSearchCV
from sklearn.neighbors import BallTree, KDTree, KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    SplineTransformer,
    StandardScaler,
    normalize,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.tree._tree import Tree
from sklearn.utils import Bunch
from sklearn.utils.validation import check_array

from mlmodel import dump, load
from mlmodel.bounded import compression
from mlmodel.errors import BrokenModel, FlmError, Untrusted
from mlmodel.trust import builder, pickles, scan
from mlmodel.trust.rules import names as allowed
from mlmodel.trust.rules.call_rules import CALLS
from mlmodel.trust.trial import bounded_fork, trial_build
from tests import ROOT, attack_pickles, fuzz_files
from tests.estimators import CASES, OWN, built
from tests.flm_files import IRIS_ROW, holding, iris_classifier

each_hostile = pytest.mark.parametrize("case", attack_pickles.CASES)
each_ordinary = pytest.mark.parametrize("case", [name for name in CASES if name not in OWN])
each_ending = pytest.mark.parametrize("ending", [".flm", ".pkl", ".joblib"])


class Doubled(BaseEstimator):
    """An estimator from a team's module."""

    def fit(self, inputs, target=None):
        self.n_features_in_ = np.shape(inputs)[1]
        return self

    def predict(self, inputs):
        return 2 * np.asarray(inputs)[:, 0]


def halved(table):
    return np.asarray(table) / 2


def written(path, content):
    """A model file with these bytes."""
    if path.suffix == ".flm":
        return holding(path, content)
    path.write_bytes(content)
    return path


def loaded(path, **trusted):
    return load(path, **trusted)


def test_attack_pickles_run_if_trusted(tmp_path):
    command = [sys.executable, "-W", "ignore", "-m", "tests.attack_pickles", str(tmp_path)]

    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert ran.stdout == ""
    assert len(attack_pickles.CASES) - len(attack_pickles.SILENT) >= 40


@each_hostile
def test_no_attack_pickle_runs(tmp_path, case):
    content = attack_pickles.CASES[case](tmp_path / "marker")
    paths = [written(tmp_path / f"hostile{ending}", content) for ending in (".flm", ".pkl")]

    for path in paths:
        with pytest.raises(FlmError):
            loaded(path).load()
    with pytest.raises(Untrusted):
        builder.build(compression.expand(content))

    assert sorted(tmp_path.iterdir()) == paths


@each_ordinary
def test_ordinary_model_is_built(case):
    model, stream = built(case).model, io.BytesIO()
    joblib.dump(model, stream, compress=("zlib", 3))

    found = [builder.build(pickle.dumps(model, protocol)) for protocol in (0, 5)]
    found.append(pickles.build(stream.getvalue(), ()))

    assert list(map(type, found)) == [type(model)] * 3


@pytest.mark.parametrize("kind", [GradientBoostingClassifier, HistGradientBoostingClassifier])
def test_boosting_with_three_labels_is_built(kind):
    model = kind(max_depth=1).fit(POINTS, [0, 1, 2, 0, 1, 2])

    found = builder.build(pickle.dumps(model))

    assert found.predict(POINTS).tolist() == model.predict(POINTS).tolist()


def test_thirty_ordinary_models_are_tested():
    assert len(set(CASES) - set(OWN)) >= 30


@pytest.mark.parametrize(
    ("compress", "order"),
    [
        *((codec, "C") for codec in (0, "zlib", "gzip", "bz2", "lzma", "xz")),
        (0, "F"),
        ("zlib", "F"),
    ],
)
def test_joblib_arrays_are_restored(tmp_path, compress, order):
    model = LogisticRegression()
    model.coef_ = np.arange(6.0).reshape((2, 3), order=order)
    model.classes_ = np.array(["a", None, 1.5], dtype=object)
    model.table_ = np.array([(1, 2.5)], dtype=[("a", ">i4"), ("b", "f8")])
    joblib.dump(model, tmp_path / "m.joblib", compress=compress and (compress, 3))

    found = pickles.build((tmp_path / "m.joblib").read_bytes(), ())

    assert found.coef_.tolist() == model.coef_.tolist()
    assert found.coef_.flags.writeable
    assert found.classes_.tolist() == ["a", None, 1.5]
    assert found.table_.tolist() == [(1, 2.5)]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_names_after_joblib_arrays_are_listed(protocol):
    model = LogisticRegression()
    model.coef_, model.words_ = np.asfortranarray(np.eye(3)), np.array([["a", [np.eye(2)]]], object)
    model.labels_, model.part_ = np.array(["ab", "c"]), slice(0, 1)
    stream = io.BytesIO()
    joblib.dump(model, stream, protocol=protocol)

    found = scan.names(stream.getvalue())

    assert found.opcode == ""
    assert ("builtins", "slice") in found.names
    assert builder.build(stream.getvalue()).part_ == slice(0, 1)


def test_dangerous_opcodes_are_listed():
    for at in ("persistent", "binary persistent", "buffer", "extension", "inst", "obj"):
        found = scan.names(attack_pickles.CASES[f"opcode {at}"](Path("marker")))

        assert found.opcode, at


@each_ending
def test_rejected_name_is_in_the_message(tmp_path, ending):
    content = attack_pickles.CASES["popped again"](tmp_path / "marker")
    path = written(tmp_path / f"m{ending}", content)

    with pytest.raises(Untrusted) as caught:
        loaded(path)

    assert caught.value.types == ("os.mkdir",)
    assert str(caught.value) == (
        "the file references names of Python's standard library outside the allow-list, which may "
        "run any code: os.mkdir. Do not trust these names. If you know who wrote the file, pin it "
        "with 'sha256'"
    )


def test_all_names_are_listed_as_yaml():
    content = attack_pickles.whole(
        *(attack_pickles.name("team", f"Part{at:02}") for at in range(60))
    )

    with pytest.raises(Untrusted) as caught:
        pickles.check(content, ())

    [listed] = re.findall(r"models.yaml: (trust: .*); or", str(caught.value))
    assert YAML(typ="safe").load(listed)["trust"] == [f"team.Part{at:02}" for at in range(60)]


def test_long_list_of_names_is_cut():
    content = attack_pickles.whole(
        *(attack_pickles.name("team", f"x{at}" * 200) for at in range(2000))
    )

    with pytest.raises(Untrusted) as caught:
        pickles.check(content, ())

    assert len(caught.value.types) == 2000
    assert ", ...]; or" in str(caught.value)
    assert len(str(caught.value)) < 10_000


def test_control_characters_in_names_are_escaped():
    with pytest.raises(Untrusted, match=r"\['team\.a\\nERROR \\x1b\[2J'\]; or"):
        pickles.check(attack_pickles.whole(attack_pickles.name("team", "a\nERROR \x1b[2J")), ())


@each_ending
def test_own_names_are_trusted_individually(tmp_path, ending):
    model = make_pipeline(FunctionTransformer(halved), Doubled()).fit([[1.0], [2.0]], [1, 2])
    path = written(tmp_path / f"m{ending}", pickle.dumps(model))
    names = ("tests.mlmodel.trust.test_trust.Doubled", "tests.mlmodel.trust.test_trust.halved")

    with pytest.raises(Untrusted) as caught:
        loaded(path, trust=names[:1])

    assert caught.value.types == names[1:]
    assert loaded(path, trust=names).predict({"x0": 3.0}) == {"prediction": 3.0}


def test_file_cannot_grant_trust(tmp_path):
    path = tmp_path / "m.flm"
    model = Doubled().fit([[1.0], [2.0]])
    dump(model, path, extra={"trust": "all", "sha256": "0" * 64}, params={"trust": "all"})

    with pytest.raises(Untrusted, match=r"\[tests.mlmodel.trust.test_trust.Doubled\]; or"):
        load(path)


def test_trusting_one_name_trusts_no_other(tmp_path):
    for case in ("os system", "builtins eval", "member of an estimator"):
        with pytest.raises(Untrusted):
            pickles.build(attack_pickles.CASES[case](tmp_path / "m"), ("os.path.join", "builtins"))


def stacked(part, method):
    stack = StackingRegressor([("a", LinearRegression())]).fit(POINTS, POINTS[:, 0])
    stack.estimators_, stack.stack_method_ = [part], method
    return stack


def thresholded():
    model = FixedThresholdClassifier(LogisticRegression()).fit(POINTS, POINTS[:, 0] > 0)
    model.response_method = "save_model"
    return model


def shadowed():
    model = LinearRegression().fit(POINTS, POINTS[:, 0])
    model.predict = np.sum
    return model


def borrowed():
    kernel = RBF()
    kernel.transform = np.sum
    return kernel


def stepping(function=np.clip, **keywords):
    return FunctionTransformer(function, kw_args=keywords)


def reading(asked):
    words = CountVectorizer().fit(["a text"])
    words.input = asked
    return words


def with_member(model, name, value):
    model.fit(POINTS, POINTS[:, 0] > 0)
    setattr(model, name, value)
    return model


def scored(function):
    search = GridSearchCV(LogisticRegression(), {}, cv=2).fit(POINTS, POINTS[:, 0] > 0)
    search.scorer_ = make_scorer(r2_score)
    search.scorer_._score_func = function
    return search


POINTS = np.array([[-1.0, 2.0], [1.0, 2.0], [2.0, -3.0], [-2.0, 1.0], [3.0, 1.0], [-3.0, 1.0]])
#: Models that call a harmful function during prediction, by the name of a method or another name.
ASTRAY = {
    "a method by its name": lambda: stacked(LinearRegression(), ["save_model"]),
    "one of two methods": lambda: stacked(LinearRegression(), ["predict", "set_params"]),
    "a name that is none": lambda: stacked(LinearRegression(), [np.sum]),
    "a method for answers": thresholded,
    "a function for a method": shadowed,
    "a function for a method that is missing": borrowed,
    "a function in a dict with members": lambda: Bunch(transform=np.sum),
    "one text of many": lambda: FunctionTransformer(
        np.sum, kw_args={"initial": "file", "where": False, "dtype": object}
    ),
    "a text of anything": lambda: FunctionTransformer(str),
    "a ufunc as a kernel": lambda: with_member(KernelRidge(), "kernel", np.positive),
    "a function as a kernel": lambda: with_member(SVC(), "kernel", np.clip),
    "a type as a kernel": lambda: with_member(SVC(), "kernel", np.ndarray),
    "a ufunc as a metric": lambda: with_member(KNeighborsClassifier(), "metric", np.add),
    "a ufunc as weights": lambda: with_member(KNeighborsClassifier(), "weights", np.positive),
    "a ufunc as an affinity": lambda: with_member(SpectralClustering(2), "affinity", np.add),
    "a ufunc of scipy": lambda: with_member(KernelRidge(), "kernel", special.expit),
    "a ufunc as a scorer": lambda: scored(np.subtract),
    "a ufunc that pools": lambda: with_member(FeatureAgglomeration(), "pooling_func", np.add),
    "a tokenizer": lambda: CountVectorizer(tokenizer=np.asarray),
    "a step that writes": lambda: stepping(a_min=0, a_max=1, out=np.zeros(3)),
    "a step that writes in part": lambda: stepping(a_min=0, a_max=1, where=False),
    "a step that casts": lambda: stepping(a_min=0, a_max=1, casting="unsafe"),
    "a step to objects": lambda: stepping(np.asarray, dtype=object),
    "a step to texts": lambda: stepping(np.array, dtype="U9"),
    "a step to one value": lambda: stepping(np.reshape, shape=()),
    "a step to one text": lambda: stepping(a_min="", a_max="z"),
    "a step like another": lambda: stepping(np.zeros_like, like=POINTS),
    "a ufunc that writes": lambda: stepping(np.positive, out=np.zeros(3)),
    "an array for an input": lambda: reading(np.array("content")),
    "another text for an input": lambda: reading(np.str_("content")),
}


@pytest.mark.parametrize("model", ASTRAY)
def test_misplaced_callable_is_rejected(model):
    with pytest.raises(Untrusted):
        builder.build(pickle.dumps(ASTRAY[model]()))


#: Columns with a category in the first, and whose labels need both.
CITIES = np.array([[at % 3, 10.0 * (at % 2)] for at in range(60)])
BOTH = (CITIES[:, 0] == 1) & (CITIES[:, 1] > 0)
#: An index of a column that does not exist, in a branch that trial rows do not reach.
FAR = 1 << 20


def planted(state, columns):
    """A tree that reads a column out of bounds, in a branch that trial rows do not reach."""
    nodes = state["nodes"].copy()
    inner = np.flatnonzero(nodes["left_child"] != -1)
    nodes["threshold"][inner[0]] = 9e8
    nodes["feature"][inner[1:]] = FAR
    tree = Tree(columns, np.array([state["values"].shape[2]]), 1)
    tree.__setstate__(state | {"nodes": nodes})
    return tree


def spoilt(tree, columns=FAR + 1):
    tree.tree_ = planted(tree.tree_.__reduce__()[2], columns)
    return tree


def fitted(kind, **params):
    return kind(random_state=0, **params).fit(CITIES, BOTH)


def forest():
    model = fitted(RandomForestClassifier, n_estimators=2)
    spoilt(model.estimators_[1])
    return model


def lied():
    """A boosting model whose trees declare this number of columns."""
    model = fitted(GradientBoostingClassifier, n_estimators=2)
    for tree in model.estimators_[:, 0]:
        spoilt(tree).n_features_in_ = FAR + 1
    return model


def without_columns(model):
    del model.n_features_in_
    return model


def boosted(**members):
    """A boosted model of which some members of its first tree's branches are others."""
    model = HistGradientBoostingClassifier(
        max_iter=1, min_samples_leaf=1, categorical_features=[0]
    ).fit(CITIES, BOTH)
    predictor = model._predictors[0][0]
    inner = np.flatnonzero(predictor.nodes["is_leaf"] == 0)
    for name, value in members.items():
        predictor.nodes[name][inner[1:]] = value
    return model


def narrowed(model):
    model._predictors[0][0].raw_left_cat_bitsets = np.zeros((9, 1), np.uint32)
    return model


def encoded(model, change):
    change(model._preprocessor)
    return model


def dropped(preprocessor):
    (name, part, _), *others = preprocessor.transformers_
    preprocessor.transformers_ = [(name, part, np.zeros(2, bool)), *others]


def recounted(model):
    model._preprocessor, model.n_features_in_ = None, 1
    return model


def bare_of_categories(model):
    model._bin_mapper.is_categorical_ = np.zeros(2, np.uint8)
    return model


def staged(model):
    model.estimators_ = np.column_stack([model.estimators_] * 2)
    return model


def of_two_widths():
    model = fitted(GradientBoostingClassifier, n_estimators=2)
    wide = DecisionTreeRegressor().fit(np.c_[CITIES, CITIES], CITIES[:, 1])
    model.estimators_[1, 0] = wide
    return model


def of_three_classes(**changes):
    model = GradientBoostingClassifier(n_estimators=2).fit(CITIES, np.arange(len(CITIES)) % 3)
    vars(model.init_).update(changes)
    return model


def neighbours():
    tree = BallTree(POINTS, metric="seuclidean", V=[1.0, 2.0])
    *parts, metric, weights = tree.__getstate__()
    metric.__setstate__((2.0, np.ones(1), np.ones((1, 1))))
    tree.__setstate__((*parts, metric, weights))
    return tree


def cornerless():
    tree = KDTree(POINTS)
    parts = list(tree.__getstate__())
    parts[3] = parts[3][:1]
    tree.__setstate__(tuple(parts))
    return tree


#: Models whose trees refer to nodes or columns that do not exist.
HOLLOW = {
    "a tree within its own bound": lambda: spoilt(fitted(DecisionTreeClassifier), 2),
    "gradient boosting": lied,
    "gradient boosting of two widths": of_two_widths,
    "fewer first scores than trees": lambda: of_three_classes(class_prior_=np.ones(2) / 2),
    "first scores of another kind": lambda: of_three_classes(_strategy="stratified", n_classes_=2),
    "more trees than answers": lambda: staged(fitted(GradientBoostingClassifier)),
    "a bitset that is not there": lambda: boosted(is_categorical=1, bitset_idx=FAR),
    "short bitsets": lambda: narrowed(boosted()),
    "a metric of fewer columns": neighbours,
    "corners that are not there": cornerless,
}


def test_multiclass_gradient_boosting_is_built():
    model = of_three_classes()

    found = builder.build(pickle.dumps(model))

    assert found.predict_proba(CITIES).tolist() == model.predict_proba(CITIES).tolist()


@pytest.mark.parametrize("model", HOLLOW)
def test_tree_with_invalid_references_is_rejected(model):
    with pytest.raises(Untrusted):
        builder.build(pickle.dumps(HOLLOW[model]()))


#: Models whose trees read columns that rows do not have.
NARROW = {
    "a tree": lambda: spoilt(fitted(DecisionTreeClassifier)),
    "a tree of any columns": lambda: without_columns(fitted(DecisionTreeClassifier)),
    "a forest": forest,
    "a tree that no estimator asks": lambda: spoilt(fitted(DecisionTreeClassifier)).tree_,
    "boosting by histograms": lambda: boosted(feature_idx=FAR),
    "boosting of fewer columns": lambda: recounted(boosted()),
    "an encoder that leaves columns out": lambda: encoded(boosted(), dropped),
    "categories of a number": lambda: bare_of_categories(
        boosted(is_categorical=1, feature_idx=1, bitset_idx=0)
    ),
}


@pytest.mark.parametrize("model", NARROW)
def test_tree_reads_no_missing_column(model):
    found, rows = builder.build(pickle.dumps(NARROW[model]())), CITIES.astype(np.float32)

    with pytest.raises(ValueError, match=r"a tree reads|features"):
        found.predict(rows[:, :1] if model == "a tree of any columns" else rows)


@pytest.mark.parametrize("kind", [DecisionTreeClassifier, HistGradientBoostingClassifier])
def test_tree_is_pickled_unchanged(kind):
    model = kind().fit(CITIES, BOTH)

    found = pickle.loads(pickle.dumps(builder.build(pickle.dumps(model))))

    assert found.predict(CITIES).tolist() == model.predict(CITIES).tolist()
    assert "mlmodel" not in str(pickles.inspect(pickle.dumps(found)).names)


def test_list_extended_later_is_checked():
    members = (
        attack_pickles.text("stack_method_") + b"]\x94" + attack_pickles.text("_sklearn_version")
    )
    made = attack_pickles.estimator(members + attack_pickles.text(sklearn.__version__))
    grown = b"h\x00" + attack_pickles.text("fit") + b"a0"

    with pytest.raises(Untrusted, match="with unsafe members"):
        builder.build(attack_pickles.whole(made, grown))


def test_text_of_pyarrow_is_built():
    """pandas stores text in pyarrow's arrays where pyarrow is installed, column names included."""
    text = pd.Series(["a", None, "b"], dtype="string[pyarrow]")

    built = builder.build(pickle.dumps(text.array))

    assert built.tolist() == text.tolist()


@pytest.mark.parametrize("end", [-1, 3, 2**62])
def test_text_beyond_its_buffer_is_rejected(end):
    offsets = struct.pack("<3q", 0, 1, end)
    parts = [None, pa.py_buffer(offsets), pa.py_buffer(b"ab")]

    class Forged:
        def __reduce__(self):
            return pa.lib._restore_array, ((pa.large_string(), 2, 0, 0, parts, [], None),)

    with pytest.raises(Untrusted, match="_restore_array with unexpected arguments"):
        builder.build(pickle.dumps(Forged()))


def test_frame_methods_are_disabled():
    """``frame.transform(rows)`` would call the method that a row names."""
    # Without text of pyarrow, whose names are outside the allow-list.
    frame = pd.DataFrame([[1]], columns=pd.Index(["a"], dtype=object))
    model = stacked(frame, ["transform"])

    [frame] = builder.build(pickle.dumps(model)).estimators_

    assert frame.to_dict("list") == {"a": [1]}
    assert frame.transform is frame.apply is None


@pytest.mark.parametrize("label", ["__array_interface__", "__array__", "__float__"])
@pytest.mark.parametrize("kind", [lambda members: Bunch(**members), pd.Series, pd.DataFrame])
def test_special_attribute_labels_are_rejected(kind, label):
    members = {label: [{"data": (4096, False), "shape": (1,), "typestr": "<f8", "version": 3}]}
    model = LinearRegression().fit(POINTS, POINTS[:, 0])
    model.intercept_ = kind(members)

    with pytest.raises(Untrusted):
        builder.build(pickle.dumps(model))


def test_keywords_extended_later_are_checked():
    members = attack_pickles.text("func") + attack_pickles.name("numpy", "clip")
    members += attack_pickles.text("kw_args") + b"}\x94"
    members += attack_pickles.text("_sklearn_version") + attack_pickles.text(sklearn.__version__)
    made = attack_pickles.estimator(
        members, "sklearn.preprocessing._function_transformer", "FunctionTransformer"
    )

    with pytest.raises(Untrusted, match="with unsafe members"):
        builder.build(attack_pickles.whole(made, b"h\x00", attack_pickles.text("out"), b"]s0"))


@pytest.mark.parametrize("protocol", [0, 5])
def test_shared_array_is_copied(protocol):
    model = LinearRegression().fit(POINTS, POINTS[:, 0])
    model.coef_ = model.other_ = np.arange(2.0)

    found = builder.build(pickle.dumps(model, protocol))

    assert found.coef_.tolist() == found.other_.tolist() == [0.0, 1.0]
    assert not np.shares_memory(found.coef_, found.other_)


#: Array functions in places where ordinary models have them.
STEPS = {
    "a logarithm": lambda: FunctionTransformer(np.log1p, inverse_func=np.expm1),
    "a function of scipy": lambda: FunctionTransformer(special.expit),
    "bounds": lambda: stepping(a_min=0.0, a_max=None),
    "bounds of columns": lambda: stepping(a_min=np.zeros(2), a_max=[1, 2]),
    "a shape": lambda: stepping(np.reshape, shape=(-1, 1), order="C"),
    "an axis": lambda: stepping(np.expand_dims, axis=1),
    "a type": lambda: stepping(np.asarray, dtype=np.float32),
    "numbers for missing ones": lambda: stepping(np.nan_to_num, nan=0.0, copy=False),
    "norms": lambda: stepping(normalize, norm="l1"),
    "a check": lambda: stepping(check_array, accept_sparse="csr", dtype=None, ensure_2d=False),
    "a pooling": lambda: FeatureAgglomeration(1, pooling_func=np.max).fit(POINTS),
    "a spline": lambda: SplineTransformer().fit(POINTS),
    "a target": lambda: TransformedTargetRegressor(
        LinearRegression(), func=np.log1p, inverse_func=np.expm1
    ).fit(POINTS, POINTS[:, 1] ** 2),
    "a kernel of scikit-learn": lambda: SVC(kernel=laplacian_kernel).fit(POINTS, POINTS[:, 0] > 0),
    "a scorer": lambda: scored(accuracy_score),
    "a type of numbers": lambda: OneHotEncoder(dtype=np.int8).fit(POINTS),
}


@pytest.mark.parametrize("step", STEPS)
def test_ordinary_array_function_is_built(step):
    model = STEPS[step]()

    assert type(builder.build(pickle.dumps(model))) is type(model)


def test_allowed_class_cannot_be_changed(tmp_path):
    before = dict(vars(LogisticRegression))

    with pytest.raises(Untrusted, match="which is not a new object"):
        builder.build(attack_pickles.CASES["class that is changed by allowed names"](tmp_path))

    assert dict(vars(LogisticRegression)) == before


def test_allow_list_has_no_dangerous_module():
    """A name that is nowhere is a mistake, and those that are here open nothing by themselves."""
    names = {*allowed.CLASSES, *allowed.FUNCTIONS, *allowed.UFUNCS, *allowed.TYPES, *CALLS}
    doors = ("os.", "sys.", "subprocess.", "importlib.", "operator.", "builtins.eval", "pickle.")

    assert [name for name in names if name.startswith(doors)] == []
    assert "functools.partial" in names
    assert not [name for name in names if name.startswith("scipy.stats")]


def of_earlier(module, name, *arguments, state=None):
    """An object as an earlier release of scikit-learn wrote it."""
    made = attack_pickles.name(module, name)
    if state is None:
        return builder.build(attack_pickles.whole(attack_pickles.called(made, *arguments)))
    return builder.build(attack_pickles.whole(made, b")\x81", attack_pickles.value(state), b"b"))


LOSSES = "sklearn._loss._loss"
#: Losses by the names of scikit-learn 1.2 to 1.7: those that are native code.
EARLIER_LOSSES = {
    "of 1.6": (("_loss", "CyHalfBinomialLoss"), "CyHalfBinomialLoss"),
    "of 1.3": (
        (
            LOSSES,
            "__pyx_unpickle_CyHuberLoss",
            attack_pickles.name(LOSSES, "CyHuberLoss"),
            *map(attack_pickles.value, (16711968, (0.5,))),
        ),
        "CyHuberLoss",
    ),
    "of linear models": (("sklearn.linear_model._sgd_fast", "Log"), "CyHalfBinomialLoss"),
}


@pytest.mark.parametrize("case", EARLIER_LOSSES)
def test_earlier_native_loss_is_built(case):
    arguments, kind = EARLIER_LOSSES[case]

    found = of_earlier(*arguments)

    assert f"{type(found).__module__}.{type(found).__name__}" == f"{LOSSES}.{kind}"


def test_loss_with_empty_state_is_built():
    kind = attack_pickles.name("_loss", "CyHalfMultinomialLoss")
    made = attack_pickles.called(
        attack_pickles.name("_loss", "__pyx_unpickle_CyHalfMultinomialLoss"),
        kind,
        attack_pickles.value(238750788),
        attack_pickles.value(None),
    )

    found = builder.build(attack_pickles.whole(made, b")b"))

    assert type(found).__name__ == "CyHalfMultinomialLoss"


@pytest.mark.parametrize(
    ("name", "state", "kind"),
    [
        ("BinomialDeviance", {"K": 1}, "HalfBinomialLoss"),
        ("MultinomialDeviance", {"K": 3}, "HalfMultinomialLoss"),
        ("QuantileLossFunction", {"K": 1, "alpha": 0.9, "percentile": 90.0}, "PinballLoss"),
    ],
)
def test_loss_of_earlier_boosting_is_built(name, state, kind):
    found = of_earlier("sklearn.ensemble._gb_losses", name, state=state)

    assert type(found).__name__ == kind
    assert found.n_classes == {"MultinomialDeviance": 3}.get(name, found.n_classes)


def test_earlier_columns_are_a_list():
    state = {"data": ["a", 2], "future_dtype": "str", "warning_was_emitted": False}

    found = of_earlier("sklearn.compose._column_transformer", "_RemainderColsList", state=state)

    assert found == ["a", 2]
    assert type(pickle.loads(pickle.dumps(found))) is list


@pytest.mark.parametrize("release", ["1.2", "1.3"])
def test_earlier_tree_predicts_the_same(release):
    model = DecisionTreeClassifier(max_depth=1).fit(POINTS, [0, 0, 0, 0, 0, 1])
    state = model.tree_.__getstate__()
    weights = state["nodes"]["weighted_n_node_samples"][:, None, None]
    nodes = state["nodes"]
    if release == "1.2":
        nodes = repack_fields(nodes[[name for name in nodes.dtype.names if "missing" not in name]])

    class Written:
        def __reduce__(self):
            values = state["values"] * weights
            return Tree, (2, np.array([2]), 1), {**state, "nodes": nodes, "values": values}

    expected = model.predict_proba(POINTS)
    model.tree_ = Written()
    found = builder.build(pickle.dumps(model))

    assert found.predict_proba(POINTS).tolist() == expected.tolist()


def test_missing_library_name_raises_import_error():
    gone = attack_pickles.whole(attack_pickles.name("sklearn.tree.tree", "DecisionTreeClassifier"))
    lost = attack_pickles.whole(attack_pickles.name("sklearn.tree._classes", "OldTree"))

    pickles.check(gone, ())
    pickles.check(lost, ())

    with pytest.raises(ModuleNotFoundError, match=r"sklearn\.tree\.tree"):
        builder.build(gone)
    with pytest.raises(AttributeError, match="has no attribute 'OldTree'"):
        builder.build(lost)


def test_pattern_trusts_a_package(tmp_path):
    model = make_pipeline(FunctionTransformer(halved), Doubled()).fit([[1.0], [2.0]], [1, 2])
    path = written(tmp_path / "m.pkl", pickle.dumps(model))

    assert loaded(path, trust=("tests.*",)).predict({"x0": 3.0}) == {"prediction": 3.0}
    for other in ("test.*", "tests.mlmodel.trust.test_trust.Doubled.*", "*", "tests*"):
        with pytest.raises(Untrusted):
            loaded(path, trust=(other,))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("tests.mlmodel.trust.test_trust", "shutil.rmtree"),
        ("tests.attack_pickles", "os"),
        ("tests.mlmodel.trust.test_trust", "dump"),
    ],
)
def test_pattern_excludes_imported_names(module, name):
    with pytest.raises(Untrusted):
        builder.build(attack_pickles.whole(attack_pickles.name(module, name)), ("tests.*",))


def test_dump_logs_the_names_to_trust(tmp_path, caplog):
    model = make_pipeline(FunctionTransformer(halved), Doubled()).fit([[1.0], [2.0]], [1, 2])

    dump(model, tmp_path / "m.flm")

    [told] = [record.getMessage() for record in caplog.records if "trust" in record.getMessage()]
    entry = YAML(typ="safe").load(told.split("models.yaml:\n")[1])
    assert entry == {
        "trust": ["tests.mlmodel.trust.test_trust.Doubled", "tests.mlmodel.trust.test_trust.halved"]
    }
    assert load(tmp_path / "m.flm", trust=tuple(entry["trust"])).predict({"x0": 3.0})


def test_distribution_is_built_from_its_name(tmp_path):
    """A distribution executes text from its state, so it gets scipy's own state."""
    marker = tmp_path / "marker"
    content = attack_pickles.whole(attack_pickles.distribution_of_scipy(marker))

    found = builder.build(content)

    assert found.cdf(0.0) == 0.5
    assert not marker.exists()


def searched(**members):
    """A search over distributions, of a pipeline with a cache."""
    steps = make_pipeline(StandardScaler(), IterativeImputer(), Ridge(), memory=members["memory"])
    spread = {
        "ridge__alpha": stats.loguniform(0.1, 10),
        "iterativeimputer__max_iter": stats.randint(2, 5),
    }
    search = RandomizedSearchCV(steps, spread, n_iter=2, random_state=0, cv=2)
    return search.fit(CITIES, CITIES[:, 1])


@pytest.mark.parametrize("protocol", [2, 5])
def test_search_is_built_without_its_cache(tmp_path, protocol):
    model = searched(memory=joblib.Memory(tmp_path / "cache", verbose=0))
    shutil.rmtree(tmp_path / "cache")

    found = pickles.build(pickle.dumps(model, protocol), ())

    assert found.best_estimator_.memory is None
    assert found.predict(CITIES[:5]).tolist() == model.predict(CITIES[:5]).tolist()
    assert list(tmp_path.iterdir()) == []
    for name, spread in model.param_distributions.items():
        again = found.param_distributions[name].rvs(3, random_state=1)
        assert again.tolist() == spread.rvs(3, random_state=1).tolist()


@pytest.mark.parametrize("arguments", [["1"], [None], [[1.0]]])
def test_distribution_arguments_must_be_numbers(arguments):
    spread = stats.norm(0.0, 1.0)
    spread.args = tuple(arguments)

    with pytest.raises(Untrusted, match="an unexpected state on"):
        builder.build(pickle.dumps(spread))


def test_notebook_class_is_reported(tmp_path):
    with pytest.raises(BrokenModel, match="needs 'Ages', which was defined in a notebook"):
        pickles.check(attack_pickles.whole(attack_pickles.name("__main__", "Ages")), ())


def test_rejected_model_fails_alone(make_app, tmp_path):
    written(tmp_path / "bad.flm", attack_pickles.CASES["os system"](tmp_path / "marker"))
    dump(iris_classifier(), tmp_path / "iris.flm")
    client = make_app("models: [{file: bad.flm}, {file: iris.flm}]").test_client()

    bad, iris = client.get("/api/models").json["models"]

    assert (bad["status"], iris["status"]) == ("failed", "ready")
    assert "may run any code: os.system. Do not trust" in bad["reason"]
    assert client.post("/api/models/iris/predict", json=IRIS_ROW).status_code == 200
    assert not (tmp_path / "marker").exists()


def test_operator_grants_trust(make_app, tmp_path):
    model = Doubled().fit([[1.0], [2.0]])
    dump(model, tmp_path / "own.flm")
    names = "trust: [tests.mlmodel.trust.test_trust.Doubled]"
    text = f"models: [{{file: own.flm, {names}}}, {{file: own.flm, trust: all, name: all}}]"

    models = make_app(text).test_client().get("/api/models").json["models"]

    assert [model["status"] for model in models] == ["ready", "ready"]


def test_damaged_file_raises_only_flm_error():
    """Any other error comes out of here; `python -m tests.fuzz_files 2000` is the long way."""
    found = fuzz_files.run(60)

    assert sum(found["outcomes"].values()) == 60
    assert found["left"] == []
    assert found["grown_kb"] < 300_000


BOMBS = {
    "a dict's key of 2^40 parts": attack_pickles.whole(
        b"}", attack_pickles.value(1) + b"2\x86" * 40, b"Ns"
    ),
    "lists within lists": b"\x80\x04" + b"]" * 3 + b"]\x94h\x00a" * 100_000 + b".",
    "tuples within tuples": b"\x80\x04)" + b"\x85" * 300_000 + b".",
    "a length of 2^40": b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b"a.",
    "a text of 2^62": b"\x80\x04\x8d" + (1 << 62).to_bytes(8, "little") + b"a.",
    "a number of a million digits": b"I" + b"9" * 1_000_000 + b"\n.",
    "a fraction": attack_pickles.whole(attack_pickles.call("fractions", "Fraction", "1e999999999")),
    "a range in a set": attack_pickles.whole(
        attack_pickles.called(
            attack_pickles.name("builtins", "set"),
            attack_pickles.call("builtins", "range", 0, 1 << 40, 1),
        )
    ),
    "an array of 2^40": attack_pickles.whole(
        attack_pickles.joblib_array(
            attack_pickles.call("numpy", "dtype", "f8", False, True)
            + b"("
            + b"".join(map(attack_pickles.value, (3, "<", None, None, None, -1, -1, 0)))
            + b"tb",
            b"",
        ).replace(attack_pickles.value((1,)), attack_pickles.value((1 << 40,)), 1)
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_pickle_bomb_is_rejected(tmp_path, monkeypatch, bomb):
    monkeypatch.setattr(bounded_fork, "SECONDS", 1)  # some of them use all of it
    (tmp_path / "bomb.joblib").write_bytes(BOMBS[bomb])

    with pytest.raises(FlmError):
        load(tmp_path / "bomb.joblib").load()


def test_crash_while_building_is_contained():
    crash = attack_pickles.whole(attack_pickles.call("ctypes", "string_at", 0))

    with pytest.raises(BrokenModel, match="building it crashed the interpreter"):
        trial_build.build_first(crash, ("ctypes.string_at",))


def test_trial_server_restarts_and_results_are_cached():
    with ThreadPoolExecutor(1) as pool:  # a process with one thread forks itself instead
        pool.submit(trial_build.build_first, pickle.dumps(iris_classifier(), 2), ()).result()
        os.kill(trial_build._TRIALS.server.pid, signal.SIGKILL)

        pool.submit(trial_build.build_first, pickle.dumps(iris_classifier(), 3), ()).result()

        # Cached results need no process.
        trial_build._TRIALS.server.end()
        pool.submit(trial_build.build_first, pickle.dumps(iris_classifier(), 3), ()).result()
        assert trial_build._TRIALS.server.pid is None


LONG_BINPUT = struct.Struct("<cI")
#: Small files that take minutes to read, although each step is within its limits.
SLOW = {
    "tuples": lambda: zlib.compress(b"\x80\x04" + b")" * 60_000_000 + b"."),
    "memo": lambda: b"\x80\x04N" + b"".join(map(LONG_BINPUT.pack, repeat(b"r"), range(800_000))),
}


@pytest.mark.parametrize("name", SLOW)
def test_slow_scan_runs_in_another_process(tmp_path, monkeypatch, name):
    (tmp_path / "slow.pkl").write_bytes(SLOW[name]())
    monkeypatch.setattr(bounded_fork, "SECONDS", 1)
    monkeypatch.setattr(bounded_fork, "SECONDS_PER_MB", 0.01)
    bounded_fork.import_libraries(scan.Names(()))  # which takes seconds, once

    before = time.thread_time()
    with pytest.raises(FlmError):
        load(tmp_path / "slow.pkl").load()

    # Processor time of this process: it has only decompressed the file, and hashed it.
    assert time.thread_time() - before < 1


def of_program(program, **environ):
    """The output of a program that runs separately, without a warning."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    return ran.stdout.splitlines()


ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


DEADLY = {
    "ctypes.string_at": (0, "crashed the interpreter: killed by SIGSEGV"),
    "signal.raise_signal": (signal.SIGTERM.value, "crashed the interpreter: killed by SIGTERM"),
    "os._exit": (0, "crashed the interpreter: it exited with status 0"),
    "builtins.bytearray": (1 << 30, "exceeded the memory limit for a file of its size"),
    "builtins.sum": (range(1 << 40), "exceeded the time limit for a file of its size"),
    "time.sleep": (1000, "exceeded the time limit for a file of its size"),
}


#: A program that mostly has one thread, and then forks itself. Each function prints one line or several.
FORKING = """
import os, sys, threading
from pathlib import Path
import mlmodel
import mlmodel.trust.trial.trial_build as trial
from mlmodel import errors
from mlmodel.frameworks.sklearn import inference
from mlmodel.trust.trial import bounded_fork

folder, row, deadly = Path({folder!r}), {row}, {deadly}

def forks():
    print(mlmodel.load(folder / "iris.flm").predict(row)["prediction"], trial._TRIALS.server.pid)

def infers_in_a_fork():
    calls, infer = [], inference.infer
    inference.infer = lambda *given: calls.append(1) or infer(*given)
    models = [mlmodel.load(folder / "iris.pkl", trust=trust) for trust in ((), "all")]
    print([bool(model.load() or model.input_schema) for model in models], calls)

def builds_before_workers():
    model = mlmodel.load(folder / "other.flm")
    model.before_fork()
    if os.fork():
        os.wait()
        return
    thread = threading.Thread(target=model.load)
    thread.start()
    thread.join()
    print(trial._TRIALS.server.pid, flush=True)
    os._exit(0)

def uses_a_server():
    model = mlmodel.load(folder / "third.flm")
    threads = [threading.Thread(target=model.load) for _ in range(4)]
    [each.start() for each in threads]
    [each.join() for each in threads]
    print(trial._TRIALS.server.pid)

def fails():
    bounded_fork.SECONDS = bounded_fork.IDLE_SECONDS = 1
    for name in deadly:
        try:
            mlmodel.load(folder / f"{{name}}.pkl", trust=(name,)).load()
        except errors.FlmError as error:
            print(error)

for act in (forks, infers_in_a_fork, builds_before_workers, uses_a_server, fails):
    print(act.__name__)
    act()
    sys.stdout.flush()
"""


@pytest.fixture(scope="module")
def forking(tmp_path_factory):
    """What each function of the program prints."""
    folder = tmp_path_factory.mktemp("forking")
    dump(iris_classifier(), folder / "iris.flm")
    for name, strength in (("other", 0.5), ("third", 0.6)):
        dump(LogisticRegression(C=strength).fit([[0], [1]], [0, 1]), folder / f"{name}.flm")
    (folder / "iris.pkl").write_bytes(pickle.dumps(iris_classifier(), 2))
    for name, (argument, _) in DEADLY.items():
        module, _, function = name.rpartition(".")
        content = attack_pickles.whole(attack_pickles.call(module, function, argument))
        (folder / f"{name}.pkl").write_bytes(content)
    text = FORKING.format(folder=str(folder), row=IRIS_ROW, deadly=list(DEADLY))
    printed, acts = {}, re.findall(r"^def (\w+)", text, re.MULTILINE)
    for line in of_program(text, **ONE_THREAD):
        if line in acts:
            lines = printed[line] = []
        else:
            lines.append(line)
    return printed


def test_single_threaded_program_forks(forking):
    assert forking["forks"] == ["setosa None"]


def test_threaded_program_leaves_no_process(forking):
    [pid] = map(int, forking["uses_a_server"])

    assert not Path("/proc", str(pid)).exists()


def test_schemas_are_inferred_in_another_process(forking):
    assert forking["infers_in_a_fork"] == ["[True, True] []"]


def test_trial_runs_before_workers_fork(forking):
    assert forking["builds_before_workers"] == ["None"]


def test_failed_trial_names_its_cause(forking):
    assert forking["fails"] == [f"building it {reason}" for _, reason in DEADLY.values()]

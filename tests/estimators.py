"""Fitted estimators and pipelines of many shapes, each with the data that it was fitted on."""

import functools
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import (
    ColumnTransformer,
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, RegressorChain
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, LinearSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier

random = np.random.default_rng(3)
COUNT = 60

#: Mixed columns of every type, some of them with missing values.
PEOPLE = pd.DataFrame(
    {
        "id": [f"p{at}" for at in range(COUNT)],
        "age": random.integers(18, 90, COUNT),
        "income": np.where(random.random(COUNT) < 0.2, np.nan, random.normal(3e4, 9e3, COUNT)),
        "city": random.choice(["Rome", "Oslo", "Bonn"], COUNT),
        "job": random.choice(np.array(["cook", "clerk", None], dtype=object), COUNT),
        "rooms": random.choice([1, 2, 3], COUNT),
        "owner": random.random(COUNT) < 0.5,
        "since": pd.Timestamp("2020-01-01 10:00")
        + pd.to_timedelta(random.integers(0, 9e4, COUNT), "h"),
        "remark": random.choice(["pays on time", "late and rude", "never late"], COUNT),
    }
).assign(
    grade=lambda table: pd.Categorical(random.choice(["low", "mid"], COUNT), ["low", "mid", "top"])
)
NUMBERS = ["age", "income"]
PAYS = np.where(PEOPLE["age"] + 20 * random.random(COUNT) > 60, "yes", "no")
AMOUNT = PEOPLE["age"] * 2.5 + random.random(COUNT)
POINTS = random.normal(size=(COUNT, 4))
SIDE = (POINTS[:, 0] > 0).astype(int)
THREE = np.digitize(POINTS[:, 0], [-0.5, 0.5])
TEXTS = list(PEOPLE["remark"])
LABELS = (POINTS[:, :2] > 0).astype(int)


class Thirds(ClassifierMixin, BaseEstimator):
    """A classifier of a third-party package, without probabilities."""

    def fit(self, inputs, labels):
        self.classes_ = np.unique(labels)
        self.n_features_in_ = np.shape(inputs)[1]
        return self

    def predict(self, inputs):
        sums = np.asarray(inputs, dtype=float).sum(axis=1)
        return self.classes_[(sums > 0).astype(int)]


class Ages(TransformerMixin, BaseEstimator):
    """A transformer that reads columns by name, but has no attribute with the names."""

    def fit(self, table, _target=None):
        self.mean_age_ = table["age"].mean()
        return self

    def transform(self, table):
        return np.column_stack([table["age"] - self.mean_age_, table["since"].dt.year])


class Plain:
    """No relative of scikit-learn's classes, with the same methods."""

    def fit(self, inputs, target):
        self.n_features_in_ = np.shape(inputs)[1]
        self.mean = float(np.mean(target))
        return self

    def predict(self, inputs):
        return np.asarray(inputs)[:, 0] * 0 + self.mean


@dataclass(frozen=True)
class Case:
    """A fitted model and its training data. ``wrong`` is a member of a row that it rejects."""

    model: Any
    data: Any
    wrong: dict[str, Any]
    outputs: tuple[str, ...] = ()


def columns(*names):
    return PEOPLE[list(names)]


def mixed(words=None, number=None, **more):
    """The pipeline that everybody writes."""
    number = number or make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    return ColumnTransformer(
        [
            ("numbers", number, NUMBERS),
            ("words", words or OneHotEncoder(handle_unknown="ignore"), ["city", "job"]),
        ],
        **more,
    )


def words_of(table):
    return [name for name in table if name == "city"]


CASES = {}

#: Models with classes of this module, which must be trusted by name.
OWN = {
    "class of ones own": ("tests.estimators.Thirds",),
    "columns by function": ("tests.estimators.words_of",),
    "columns of ones own": ("tests.estimators.Ages",),
    "no relative": ("tests.estimators.Plain",),
}

#: Models whose column types are unknown without a sample.
MUTE = {"booleans passed through", "catboost of whole categories", "columns of ones own"}


def case(build):
    CASES[build.__name__.replace("_", " ")] = build
    return build


@functools.cache
def built(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fitted on so little, some do not converge
        return CASES[name]()


X0 = {"x0": "one"}


@case
def bare_columns():
    return Case(LogisticRegression().fit(POINTS, THREE), POINTS, X0)


@case
def named_columns():
    table = pd.DataFrame(POINTS, columns=["a", "b", "c", "d/e"])
    return Case(LinearRegression().fit(table, AMOUNT), table, {"d/e": "one"})


@case
def boolean_labels():
    return Case(GaussianNB().fit(POINTS, SIDE == 1), POINTS, X0)


@case
def scores_of_two_labels():
    return Case(LinearSVC().fit(POINTS, np.where(SIDE, "b", "a")), POINTS, X0)


@case
def scores_of_three_labels():
    return Case(SVC().fit(POINTS, THREE), POINTS, X0)


@case
def mixed_columns():
    table = columns("age", "income", "city", "job")
    model = make_pipeline(mixed(), LogisticRegression()).fit(table, PAYS)
    return Case(model, table, {"city": 5})


@case
def dropped_columns():
    model = make_pipeline(mixed(remainder="drop"), RandomForestClassifier(5)).fit(PEOPLE, PAYS)
    return Case(model, PEOPLE, {"age": "old"})


@case
def strict_encoder():
    encode = make_column_transformer((OneHotEncoder(), ["city", "rooms", "owner"]))
    table = columns("owner", "city", "rooms")
    return Case(make_pipeline(encode, Ridge()).fit(table, AMOUNT), table, {"city": "Paris"})


@case
def numbers_by_position_and_slice():
    encode = ColumnTransformer(
        [("first", StandardScaler(), [0]), ("rest", MinMaxScaler(), slice(1, 3))],
        remainder="passthrough",
    )
    return Case(make_pipeline(encode, Ridge()).fit(POINTS, AMOUNT), POINTS, {"x3": "x"})


@case
def columns_by_mask_and_drop():
    encode = ColumnTransformer([("some", RobustScaler(), [True, False, True, False])])
    return Case(make_pipeline(encode, Ridge()).fit(POINTS, AMOUNT), POINTS[:, :4], {"x2": "x"})


@case
def columns_by_selector():
    table = columns("age", "income", "city", "rooms")
    encode = make_column_transformer(
        (SimpleImputer(), make_column_selector(dtype_include=np.number)),
        (OrdinalEncoder(), make_column_selector(dtype_exclude=np.number)),
    )
    model = make_pipeline(encode, DecisionTreeClassifier(max_depth=3)).fit(table, PAYS)
    return Case(model, table, {"city": "Paris"})


@case
def columns_by_function():
    table = columns("city", "age", "rooms")
    encode = make_column_transformer(
        (TargetEncoder(), words_of),
        remainder=StandardScaler(),
    )
    return Case(make_pipeline(encode, LogisticRegression()).fit(table, PAYS), table, {"age": None})


@case
def nested_pipelines():
    table = columns("age", "income", "city", "job", "rooms")
    words = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="none"),
        OneHotEncoder(min_frequency=5, handle_unknown="infrequent_if_exist"),
    )
    inner = make_pipeline(mixed(words=words, remainder="passthrough"), FunctionTransformer())
    model = make_pipeline("passthrough", inner, SelectKBest(k=7), LogisticRegression())
    return Case(model.fit(table, PAYS), table, {"age": "old"})


@case
def feature_union():
    table = columns("age", "rooms")
    union = FeatureUnion([("scaled", StandardScaler()), ("pairs", PolynomialFeatures(2))])
    return Case(make_pipeline(union, Ridge()).fit(table, AMOUNT), table, {"rooms": "many"})


@case
def text_alone():
    model = make_pipeline(TfidfVectorizer(), SGDClassifier(loss="log_loss", random_state=0))
    return Case(model.fit(TEXTS, PAYS), TEXTS, {"text": 5})


@case
def hashed_text():
    union = make_union(HashingVectorizer(n_features=64), CountVectorizer(analyzer="char"))
    return Case(make_pipeline(union, Ridge()).fit(TEXTS, AMOUNT), TEXTS, {"text": None})


@case
def text_in_a_column():
    table = columns("remark", "age", "city")
    encode = make_column_transformer(
        (CountVectorizer(), "remark"), (OneHotEncoder(), ["city"]), remainder=KBinsDiscretizer(3)
    )
    return Case(make_pipeline(encode, LogisticRegression()).fit(table, PAYS), table, {"remark": 3})


@case
def text_in_the_only_column():
    table = columns("remark")
    encode = make_column_transformer((TfidfVectorizer(), "remark"))
    return Case(make_pipeline(encode, LogisticRegression()).fit(table, PAYS), table, {"remark": 3})


@case
def objects():
    rows = columns("age", "city", "rooms").to_dict(orient="records")
    return Case(make_pipeline(DictVectorizer(), Ridge()).fit(rows, AMOUNT), rows, {"age": [1]})


@case
def sparse_columns():
    matrix = sparse.random_array((COUNT, 6), density=0.4, format="csr", rng=1)
    return Case(LogisticRegression().fit(matrix, SIDE), matrix, X0)


@case
def missing_numbers():
    table = columns("age", "income")
    model = HistGradientBoostingRegressor(max_iter=5).fit(table, AMOUNT)
    return Case(model, table, {"income": "much"})


@case
def own_categories():
    table = columns("age", "grade", "income")
    model = HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype")
    return Case(model.fit(table, PAYS), table, {"grade": 1})


@case
def neighbours_fill_in():
    table = columns("age", "income", "rooms")
    model = make_pipeline(KNNImputer(add_indicator=True), KNeighborsRegressor()).fit(table, AMOUNT)
    return Case(model, table, {"age": "old"})


@case
def search():
    model = GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [0.1, 1]}, cv=2)
    return Case(model.fit(POINTS, THREE), POINTS, X0)


@case
def search_over_dropped_columns():
    pipeline = make_pipeline(mixed(), LogisticRegression())
    model = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1]}, cv=2)
    return Case(model.fit(PEOPLE, PAYS), PEOPLE, {"age": "old"})


@case
def booleans_passed_through():
    table = columns("owner", "age")
    encode = make_column_transformer((StandardScaler(), ["age"]), remainder="passthrough")
    model = make_pipeline(encode, RandomForestClassifier(5)).fit(table, PAYS)
    return Case(model, table, {"owner": "maybe"})


@case
def scores_of_pairs():
    return Case(SVC(decision_function_shape="ovo").fit(POINTS, THREE), POINTS, X0)


@case
def votes():
    table = columns("age", "rooms")
    parts = [("nb", GaussianNB()), ("tree", DecisionTreeClassifier(max_depth=2))]
    return Case(VotingClassifier(parts, voting="soft").fit(table, PAYS), table, {"age": "old"})


@case
def stacked_pipelines():
    table = columns("age", "income", "city", "job")
    parts = [
        ("mixed", make_pipeline(mixed(), GaussianNB())),
        ("forest", make_pipeline(mixed(), RandomForestClassifier(5))),
    ]
    return Case(StackingClassifier(parts, cv=2).fit(table, PAYS), table, {"income": "much"})


@case
def calibrated():
    return Case(CalibratedClassifierCV(LinearSVC(), cv=2).fit(POINTS, THREE), POINTS, X0)


@case
def bagged_subsets():
    model = BaggingClassifier(DecisionTreeClassifier(), 5, max_features=2, random_state=0)
    return Case(model.fit(POINTS, SIDE), POINTS, X0)


@case
def transformed_target():
    table = columns("age", "rooms")
    model = TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1)
    return Case(model.fit(table, AMOUNT), table, {"rooms": None})


@case
def several_numbers():
    target = pd.DataFrame({"price": AMOUNT, "days": AMOUNT * 2})
    model = RandomForestRegressor(5).fit(POINTS, target)
    return Case(model, POINTS, X0, outputs=tuple(target.columns))


@case
def chained_numbers():
    return Case(RegressorChain(Ridge()).fit(POINTS, POINTS[:, :2]), POINTS, X0)


@case
def several_classes():
    target = np.column_stack([SIDE.astype(str), THREE.astype(str)])
    return Case(MultiOutputClassifier(GaussianNB()).fit(POINTS, target), POINTS, X0)


@case
def several_labels():
    model = OneVsRestClassifier(LogisticRegression()).fit(POINTS, LABELS)
    return Case(model, POINTS, X0, outputs=("up", "right"))


@case
def chained_labels():
    return Case(ClassifierChain(LogisticRegression()).fit(POINTS, LABELS), POINTS, X0)


@case
def labels_of_a_network():
    model = MLPClassifier((4,), max_iter=20, solver="lbfgs", random_state=0)
    return Case(model.fit(POINTS, LABELS), POINTS, X0)


@case
def scores_of_several_labels():
    return Case(RidgeClassifier().fit(POINTS, LABELS), POINTS, X0)


@case
def clusters():
    model = make_pipeline(StandardScaler(), KMeans(3, n_init=2, random_state=0)).fit(POINTS)
    return Case(model, POINTS, X0)


@case
def mixture():
    return Case(GaussianMixture(2, random_state=0).fit(POINTS), POINTS, X0)


@case
def outliers():
    return Case(
        IsolationForest(n_estimators=10, random_state=0).fit(columns("age", "rooms")),
        columns("age", "rooms"),
        {"age": "old"},
    )


@case
def novelty():
    return Case(LocalOutlierFactor(novelty=True).fit(POINTS), POINTS, X0)


@case
def one_class():
    return Case(make_pipeline(StandardScaler(), OneClassSVM()).fit(POINTS), POINTS, X0)


@case
def transformer():
    return Case(make_pipeline(StandardScaler(), PCA(2)).fit(POINTS), POINTS, X0)


@case
def transformer_of_columns():
    table = columns("age", "income", "city", "job")
    return Case(mixed().fit(table), table, {"city": True})


@case
def transformer_of_text():
    return Case(TfidfVectorizer().fit(TEXTS), TEXTS, {"text": None})


@case
def text_and_numbers_in_an_array():
    table = columns("city", "age").to_numpy(dtype=object)
    encode = ColumnTransformer([("word", OneHotEncoder(), [0])], remainder="passthrough")
    return Case(make_pipeline(encode, Ridge()).fit(table, AMOUNT), table, {"x0": "Paris"})


@case
def gaussian_process():
    return Case(GaussianProcessRegressor().fit(POINTS[:20], AMOUNT[:20]), POINTS[:20], X0)


@case
def class_of_ones_own():
    return Case(Thirds().fit(POINTS, PAYS), POINTS, X0)


@case
def columns_of_ones_own():
    table = columns("age", "since")
    model = make_pipeline(Ages(), Ridge()).fit(table, AMOUNT)
    return Case(model, table, {"since": "soon"})


@case
def no_relative():
    return Case(Plain().fit(POINTS, AMOUNT), POINTS, X0)


@case
def xgboost():
    package = pytest.importorskip("xgboost")
    table = columns("age", "income", "rooms")
    return Case(package.XGBClassifier(n_estimators=5).fit(table, SIDE), table, {"age": "old"})


@case
def xgboost_with_categories():
    package = pytest.importorskip("xgboost")
    table = columns("age", "grade")
    model = package.XGBRegressor(n_estimators=5, enable_categorical=True).fit(table, AMOUNT)
    return Case(model, table, {"grade": 3})


@case
def lightgbm():
    package = pytest.importorskip("lightgbm")
    table = columns("age", "income", "grade").rename(columns={"age": "age in years"})
    model = package.LGBMClassifier(n_estimators=5, verbose=-1).fit(table, PAYS)
    return Case(model, table, {"grade": 3})


@case
def lightgbm_of_bare_columns():
    package = pytest.importorskip("lightgbm")
    return Case(
        package.LGBMRegressor(n_estimators=5, verbose=-1).fit(POINTS, AMOUNT), POINTS, {"income": 1}
    )


@case
def catboost():
    package = pytest.importorskip("catboost")
    table = columns("age", "income", "city")
    quiet = {"verbose": 0, "allow_writing_files": False}
    model = package.CatBoostClassifier(5, cat_features=["city"], **quiet).fit(table, PAYS)
    return Case(model, table, {"age": "old"})


@case
def catboost_of_whole_categories():
    package = pytest.importorskip("catboost")
    table = columns("age", "rooms")
    quiet = {"verbose": 0, "allow_writing_files": False}
    model = package.CatBoostClassifier(5, cat_features=["rooms"], **quiet).fit(table, PAYS)
    return Case(model, table, {"age": "old"})


@case
def catboost_of_bare_columns():
    package = pytest.importorskip("catboost")
    model = package.CatBoostRegressor(5, verbose=0, allow_writing_files=False)
    return Case(model.fit(POINTS, AMOUNT), POINTS, X0)


@case
def imbalanced():
    package = pytest.importorskip("imblearn.pipeline")
    sampling = pytest.importorskip("imblearn.over_sampling")
    table = columns("age", "income", "city", "job")
    steps = [mixed(), sampling.RandomOverSampler(random_state=0), LogisticRegression()]
    model = package.make_pipeline(*steps).fit(table, PAYS)
    return Case(model, table, {"job": 3})

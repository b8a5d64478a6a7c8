import logging
import math
import pickle
import sys
import types
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.cluster import DBSCAN, KMeans
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA, SparsePCA
from sklearn.ensemble import (
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain
from sklearn.neighbors import KNeighborsRegressor, LocalOutlierFactor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC

from mlmodel.errors import BrokenModel, InvalidInput, InvalidModel, Violation
from mlmodel.frameworks.sklearn import adapter
from mlmodel.schema.validator import Schema
from tests.flm_files import IRIS_ROW, iris_classifier

PEOPLE = pd.DataFrame(
    {"age": [22.0, 39.0, 58.0, 61.0], "sex": ["f", "m", "f", "m"]}, index=[3, 2, 1, 0]
)
POINTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
ROWS = [{"x0": x, "x1": y} for x, y in POINTS]
TWO_TARGETS = np.array([[0, 1], [1, 0], [1, 1], [0, 0]])


def by_column():
    encode = make_column_transformer((OneHotEncoder(), ["sex"]), remainder="passthrough")
    return make_pipeline(encode, LogisticRegression()).fit(PEOPLE, [0, 0, 1, 1])


def answers(model, rows, columns=()):
    return adapter.predictor(model, {name: {} for name in columns})(rows)


def answer(model, rows=ROWS[:1], columns=()):
    return answers(model, rows, columns)[0]


def test_classifier_returns_label_and_probabilities():
    answered = answer(iris_classifier(), [IRIS_ROW])

    assert answered["prediction"] == "setosa"
    assert list(answered["probabilities"]) == ["setosa", "versicolor", "virginica"]
    assert sum(answered["probabilities"].values()) == pytest.approx(1)


def test_binary_classifier_returns_one_score():
    model = LinearSVC().fit(POINTS, list("aabb"))

    answered = answer(model)

    assert answered["prediction"] == "a"
    assert answered["scores"] == {"b": pytest.approx(model.decision_function(POINTS[:1])[0])}


def test_multiclass_classifier_returns_scores():
    assert list(answer(SVC().fit(POINTS, list("abca")))["scores"]) == ["a", "b", "c"]


@pytest.mark.parametrize("wrap", [lambda model: model, make_pipeline])
def test_pairwise_scores_are_omitted(wrap):
    model = wrap(SVC(decision_function_shape="ovo"))

    assert answer(model.fit(POINTS, list("abca"))).keys() == {"prediction"}


def test_classifier_without_scores_returns_label():
    votes = VotingClassifier([("one", LogisticRegression()), ("two", SVC())])

    assert answer(votes.fit(POINTS, list("aabb"))) == {"prediction": "a"}


def test_forest_is_called_once(monkeypatch):
    inputs = np.random.default_rng(1).normal(size=(200, 2))
    rows = [{"x0": x, "x1": y} for x, y in inputs]
    model = RandomForestClassifier(2, max_depth=2).fit(POINTS, list("abca"))
    labels = model.predict(inputs).tolist()  # of two trees, many rows are a draw
    asked = []
    monkeypatch.setattr(
        RandomForestClassifier,
        "predict_proba",
        counted(RandomForestClassifier.predict_proba, asked),
    )
    predict = adapter.predictor(model, {})
    asked.clear()

    assert [each["prediction"] for each in predict(rows)] == labels
    assert asked == [len(rows)]


def test_classifier_is_called_again_for_ties(monkeypatch):
    model = LogisticRegression().fit([[-1.0], [1.0]], ["a", "b"])
    predict, asked = adapter.predictor(model, {}), []
    monkeypatch.setattr(LogisticRegression, "predict", counted(LogisticRegression.predict, asked))

    answers = predict([{"x0": 1.0}]) + predict([{"x0": 1e-12}, {"x0": 1.0}])

    assert [each["prediction"] for each in answers] == ["b", "b", "b"]
    assert asked == [2]


def test_numpy_string_labels_become_strings():
    labels = np.array([np.str_("a"), np.str_("b")], dtype=object)
    model = LogisticRegression().fit([[-1.0], [1.0]], labels)

    answer = adapter.predictor(model, {})([{"x0": 1.0}])[0]

    assert type(answer["prediction"]) is str
    assert adapter.schemas(model).output["properties"]["prediction"]["type"] == "string"


class CautiousPipeline(Pipeline):
    def predict(self, inputs):
        return np.where(self.predict_proba(inputs)[:, 1] > 0.9, "b", "a")


class CautiousSearch(GridSearchCV):
    def predict(self, inputs):
        return np.where(self.predict_proba(inputs)[:, 1] > 0.9, "b", "a")


class Cautious(BaseEstimator):
    def fit(self, inputs, labels):
        self.best_estimator_ = LogisticRegression().fit(inputs, labels)
        self.classes_ = self.best_estimator_.classes_
        return self

    def predict_proba(self, inputs):
        return self.best_estimator_.predict_proba(inputs)

    def predict(self, inputs):
        return np.where(self.predict_proba(inputs)[:, 1] > 0.9, "b", "a")


def patched(model):
    own = model.predict_proba
    model.predict = lambda inputs: np.where(own(inputs)[:, 1] > 0.9, "b", "a")
    return model


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (CautiousPipeline([("one", LogisticRegression())]), None),
        (CautiousSearch(LogisticRegression(), {"C": [1]}, cv=2), None),
        (Cautious(), None),
        (LogisticRegression(), patched),
        (make_pipeline(LogisticRegression()), patched),
    ],
    ids=["a pipeline", "a search", "another's", "an object", "an object that is a pipeline"],
)
def test_overridden_predict_is_used(model, change):
    chance = np.random.default_rng(2)
    inputs = chance.normal(size=(200, 1))
    model.fit(inputs, np.where(inputs[:, 0] + chance.normal(size=200) > 0, "b", "a"))
    model = change(model) if change else model

    predict = adapter.predictor(model, {})

    answers = predict([{"x0": value} for value in inputs[:, 0].tolist()])
    assert [each["prediction"] for each in answers] == list(model.predict(inputs))


def counted(method, asked):
    def count(self, inputs):
        asked.append(len(inputs))
        return method(self, inputs)

    return count


def test_regressor_returns_number():
    answered = answer(LinearRegression().fit(POINTS, [1, 2, 3, 4]))

    assert answered == {"prediction": pytest.approx(1)}
    assert type(answered["prediction"]) is float


def test_clusterer_returns_cluster_and_distances():
    distances = {"0": pytest.approx(math.sqrt(0.5))}

    assert answer(KMeans(1).fit(POINTS)) == {"prediction": 0, "distances": distances}


def test_mixture_returns_probabilities():
    assert answer(GaussianMixture(1).fit(POINTS)) == {"prediction": 0, "probabilities": {"0": 1}}


def test_outlier_detector_returns_flag_and_score():
    model = LocalOutlierFactor(2, novelty=True).fit(POINTS)

    answered = answer(model, [{"x0": 9, "x1": 9}])

    assert (answered["prediction"], answered["is_outlier"]) == (-1, True)
    assert answered["score"] == pytest.approx(model.decision_function([[9, 9]])[0])


def test_transformer_returns_named_features():
    assert answer(StandardScaler().fit(POINTS)) == {"prediction": {"x0": -1, "x1": -1}}
    assert answer(PCA(1).fit(POINTS), [{"x0": 0.5, "x1": 0.5}]) == {"prediction": pytest.approx(0)}


def test_transformer_may_drop_row_axis():
    model = SparsePCA(2, random_state=0).fit(POINTS)

    assert answer(model)["prediction"].keys() == {"sparsepca0", "sparsepca1"}


def test_wide_sparse_output_omits_zeros():
    model = HashingVectorizer(n_features=2000, norm=None, alternate_sign=False)

    (answered,) = answers(model, [{"text": "so so"}])

    assert list(answered["prediction"].values()) == [2.0]


def test_model_without_predict_is_rejected():
    with pytest.raises(InvalidModel, match="DBSCAN has neither predict nor transform"):
        adapter.predictor(DBSCAN().fit(POINTS), {})


def test_given_output_names_are_used():
    predict = adapter.predictor(LinearRegression().fit(POINTS, POINTS), {}, ["east", "north"])

    assert set(predict(ROWS)[0]["prediction"]) == {"east", "north"}


def test_multioutput_regressor_numbers_outputs():
    answered = answer(LinearRegression().fit(POINTS, POINTS), [{"x0": 3, "x1": 4}])

    assert answered == {"prediction": {"y0": pytest.approx(3), "y1": pytest.approx(4)}}


def test_single_output_column_is_scalar():
    assert answer(LinearRegression().fit(POINTS, POINTS[:, :1])) == {"prediction": pytest.approx(0)}


def test_multioutput_classifier_returns_probabilities():
    model = RandomForestClassifier(5, random_state=0).fit(POINTS, TWO_TARGETS)

    answered = answer(model)

    assert set(answered["prediction"]) == {"y0", "y1"}
    assert sum(answered["probabilities"]["y1"].values()) == pytest.approx(1)


@pytest.mark.parametrize("kind", [OneVsRestClassifier, ClassifierChain])
def test_multilabel_classifier_returns_probabilities(kind):
    answered = answer(kind(LogisticRegression()).fit(POINTS, TWO_TARGETS))

    assert set(answered["prediction"]) == set(answered["probabilities"]) == {"y0", "y1"}
    assert 0 <= answered["probabilities"]["y0"] <= 1


def test_labels_are_plain_values():
    model = LogisticRegression().fit(POINTS, [False, False, True, True])

    answered = answer(model)

    assert answered["prediction"] is False
    assert list(answered["probabilities"]) == ["false", "true"]


def test_no_rows_give_no_predictions():
    assert answers(iris_classifier(), []) == []


def test_named_columns_are_reordered():
    model = by_column()

    rows = [{"sex": "f", "age": 22}, {"age": 61, "sex": "m"}]
    assert [each["prediction"] for each in answers(model, rows)] == [0, 1]


@pytest.mark.parametrize("row", [{"age": 22}, {"age": 22, "sex": None}], ids=["absent", "null"])
@pytest.mark.parametrize("others", [[], [{"age": 61, "sex": "m"}]], ids=["alone", "with others"])
def test_missing_text_reaches_model_as_missing(row, others):
    encoder = OneHotEncoder(handle_unknown="ignore")
    encode = make_column_transformer((encoder, ["sex"]), remainder="passthrough")
    model = make_pipeline(encode, LogisticRegression()).fit(PEOPLE, [0, 0, 1, 1])

    assert answers(model, [row, *others])[0]["prediction"] == 0


def test_unnamed_columns_keep_schema_order():
    model = LinearRegression().fit(POINTS, POINTS[:, 0])

    row = {"width": 7, "height": 3}
    assert answer(model, [row], ["height", "width"]) == {"prediction": pytest.approx(3)}


def test_a_missing_number_is_nan():
    model = RandomForestRegressor(5, random_state=0).fit(POINTS, [1, 2, 3, 4])

    assert answer(model, [{"x0": None}]) == {"prediction": pytest.approx(2.5, abs=1.5)}


def test_bare_columns_may_hold_text():
    model = make_pipeline(OneHotEncoder(), LogisticRegression(C=100))
    model.fit([["3", 1], ["4", 1], ["3", 1]], [0, 1, 0])

    assert answer(model, [{"x0": "4", "x1": 1}])["prediction"] == 1


def test_a_vectorizer_gets_texts():
    model = make_pipeline(CountVectorizer(), LogisticRegression(C=100))
    model.fit(["good film", "bad film"], ["up", "down"])

    assert answer(model, [{"review": "a bad one"}], ["review"])["prediction"] == "down"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1e39, "is too large for this model, got 1e+39"),
        (None, "must not be missing for this model"),
    ],
    ids=["too large", "missing"],
)
def test_value_rejected_by_model_is_named(value, words):
    model = GradientBoostingRegressor(n_estimators=2).fit(POINTS, POINTS[:, 0])
    predict = adapter.predictor(model, {})

    with pytest.raises(InvalidInput) as raised:
        predict([*ROWS, {"x0": 1, "x1": value}])

    assert raised.value.violations == (Violation("/x1", words, row=len(ROWS)),)


def test_category_rejected_by_model_is_named():
    predict = adapter.predictor(by_column(), {"age": {"type": "number"}, "sex": {"type": "string"}})

    with pytest.raises(InvalidInput, match=r'/sex: is not accepted by this model, got "x"'):
        predict([{"age": 22.0, "sex": "x"}])


def test_violations_name_only_sent_members():
    """More columns are wrong than there are calls to find them."""
    count = 600
    table = np.zeros((4, count))
    predict = adapter.predictor(GradientBoostingRegressor(n_estimators=1).fit(table, range(4)), {})
    row = {f"x{at}": 0.5 if at % 4 else 1e39 for at in range(count)}

    with pytest.raises(InvalidInput) as raised:
        predict([row])

    assert {row[each.pointer[1:]] for each in raised.value.violations} == {1e39}


def test_combination_of_values_is_rejected():
    predict = adapter.predictor(LinearRegression().fit(POINTS, [0, 1, 1, 2]), {})

    with pytest.raises(InvalidInput, match="does not accept this combination of values"):
        predict([{"x0": 1.7e308, "x1": 1.7e308}])


def test_out_of_range_datetime_is_rejected():
    schema = {"type": "string", "format": "date-time", "x-dtype": "datetime64[ns]"}
    model = FunctionTransformer().fit(pd.DataFrame({"since": pd.to_datetime(["2024-01-01"])}))
    predict = adapter.predictor(model, {"since": schema})

    with pytest.raises(InvalidInput, match="does not fit the type of this column"):
        predict([{"since": "0001-01-01T00:00:00Z"}])


def test_error_of_author_code_is_raised():
    class Broken(KNeighborsRegressor):
        def predict(self, inputs):
            raise ValueError("out of order")

    with pytest.raises(ValueError, match="out of order"):
        answer(Broken(1).fit(POINTS, POINTS[:, 0]))


@pytest.mark.parametrize(
    "model",
    [
        iris_classifier(),
        SVC().fit(POINTS, list("aabb")),
        GridSearchCV(SVC(), {"C": [1, 2]}, cv=2).fit(POINTS, list("abab")),
        RandomForestClassifier(5).fit(POINTS, TWO_TARGETS),
        OneVsRestClassifier(LogisticRegression()).fit(POINTS, TWO_TARGETS),
        make_pipeline(OneVsRestClassifier(LogisticRegression())).fit(POINTS, TWO_TARGETS),
        ClassifierChain(LogisticRegression()).fit(POINTS, TWO_TARGETS),
        RandomForestRegressor(5).fit(POINTS, [1, 2, 3, 4]),
        RandomForestRegressor(5).fit(POINTS, POINTS),
        KNeighborsRegressor(1).fit(POINTS, POINTS),
        make_pipeline(StandardScaler(), LinearRegression()).fit(POINTS, POINTS[:, 0]),
    ],
    ids=lambda model: type(model).__name__,
)
def test_prediction_matches_output_schema(model):
    schemas = adapter.schemas(model)

    rows = [dict.fromkeys(schemas.input["properties"], 1)]
    assert Schema(schemas.output).violations(answer(model, rows)) == []


def test_parameters_without_json_become_null():
    described = adapter.describe(make_pipeline(StandardScaler(), Ridge(alpha=float("inf"))))

    assert described["steps"] == [["standardscaler", None], ["ridge", None]]
    assert described["ridge__alpha"] is None
    assert described["ridge__tol"] == 0.0001


def test_model_survives_round_trip():
    model = adapter.loads(adapter.dumps(by_column()))

    assert answer(model, [{"age": 22, "sex": "f"}])["prediction"] == 0


def test_unpicklable_model_is_rejected():
    with pytest.raises(
        InvalidModel,
        match=r"FunctionTransformer has a lambda, or .* where no other process can import it",
    ):
        adapter.dumps(FunctionTransformer(lambda rows: rows))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x04N", r"\((UnpicklingError|EOFError)\): "),
        (b"<model>", r"\(UnpicklingError\): "),
        (b"cmath\nsqrt\n(I-1\ntR.", r"\(ValueError\): "),
    ],
    ids=["cut", "no pickle", "an error of its own"],
)
def test_invalid_bytes_are_rejected(content, message):
    with pytest.raises(BrokenModel, match=f"scikit-learn 1.* cannot build the model {message}"):
        adapter.loads(content, "all")


def test_missing_module_is_named(monkeypatch):
    module = types.ModuleType("credit_features")
    module.Ages = type("Ages", (), {"__module__": "credit_features"})
    monkeypatch.setitem(sys.modules, "credit_features", module)
    content = pickle.dumps(module.Ages())
    monkeypatch.delitem(sys.modules, "credit_features")

    with pytest.raises(BrokenModel, match="needs the module 'credit_features', which is not"):
        adapter.loads(content, ("credit_features.Ages",))


def test_release_warning_is_logged_once(caplog):
    content = adapter.dumps(iris_classifier()).replace(b"1.9.1", b"1.9.0")

    with caplog.at_level(logging.WARNING, "mlmodel"), warnings.catch_warnings():
        warnings.simplefilter("error", InconsistentVersionWarning)
        adapter.loads(content)

    assert caplog.text == ""

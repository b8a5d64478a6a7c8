"""How many threads and processes a model uses that was loaded from a file."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import (
    BaggingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mlmodel
from mlmodel.frameworks.sklearn.parallelism import limit_jobs
from tests.running_server import serving

X = np.random.default_rng(0).random((60, 3))
Y = X[:, 0] > 0.5
PREDICTING = """
import pickle, sys
from pathlib import Path
from mlmodel.frameworks.sklearn.parallelism import limit_jobs
count = lambda: len(list(Path("/proc/self/task").iterdir()))
for path in sys.argv[1:]:
    model, rows, expected = pickle.loads(Path(path).read_bytes())
    limit_jobs(model)
    before = count()
    print((model.predict(rows) == expected).all(), count() - before)
"""
NEIGHBOURS = KNeighborsClassifier()


@pytest.fixture
def load(tmp_path):
    """A function from a model to the same, saved and loaded."""

    def loaded(model, **asked):
        path = tmp_path / "model.pkl"
        path.write_bytes(pickle.dumps(model))
        return mlmodel.load(path, **asked)

    return loaded


def estimators(model):
    """All objects in a model that have a number of jobs."""
    seen, parts = {}, [model]
    while parts:
        part = parts.pop()
        if id(part) in seen:
            continue
        seen[id(part)] = part
        if isinstance(part, list | tuple) or (type(part) is np.ndarray and part.dtype == object):
            parts += list(part)
        elif hasattr(part, "__dict__") and not isinstance(part, type):
            parts += list(vars(part).values())
    return [each for each in seen.values() if "n_jobs" in getattr(each, "__dict__", ())]


def change_jobs(model, count):
    for each in estimators(model):
        each.n_jobs = count


def jobs(model):
    return {each.n_jobs for each in estimators(model)}


@pytest.mark.parametrize(
    "model",
    [
        NEIGHBOURS,
        BaggingClassifier(NEIGHBOURS, n_estimators=2),
        RandomForestClassifier(n_estimators=3),
        make_pipeline(StandardScaler(), NEIGHBOURS),
        VotingClassifier([("a", NEIGHBOURS)]),
        StackingClassifier([("a", NEIGHBOURS)], LogisticRegression()),
        GridSearchCV(NEIGHBOURS, {"n_neighbors": [2]}, cv=2),
    ],
    ids=lambda model: type(model).__name__,
)
def test_every_loaded_estimator_has_one_job(load, model):
    model = clone(model).fit(X, Y)
    expected = model.predict(X).tolist()
    change_jobs(model, 500)

    hosted = load(model)
    hosted.load()

    assert jobs(hosted.model) == {1}
    rows = [dict(zip(hosted.input_schema["properties"], row, strict=True)) for row in X.tolist()]
    assert [each["prediction"] for each in hosted.predict_rows(rows)] == expected


def test_entry_sets_number_of_jobs(load):
    model = MultiOutputClassifier(LogisticRegression()).fit(X, np.c_[Y, ~Y])
    model.n_jobs = 7  # only now: a fit with them would start processes

    hosted = load(model, n_jobs=2)

    assert (jobs(hosted.model), hosted.survives_fork) == ({2}, False)


def test_a_loaded_model_prints_nothing(load, capfd):
    forest = RandomForestClassifier(n_estimators=3)
    model = make_pipeline(StandardScaler(), VotingClassifier([("a", forest)])).fit(X, Y)
    model[-1].verbose = model[-1].estimators_[0].verbose = 2

    hosted = load(model)
    hosted.load()
    hosted.predict(dict(zip(hosted.input_schema["properties"], X.tolist()[0], strict=True)))

    assert capfd.readouterr() == ("", "")


def test_vocabulary_words_are_not_parameters(load):
    model = CountVectorizer().fit(["n_jobs thread_count verbose"])

    limit_jobs(model)

    assert model.vocabulary_ == {"n_jobs": 0, "thread_count": 1, "verbose": 2}


BOOSTERS = {
    "xgboost": ("XGBClassifier", {"n_jobs": 20}),
    "lightgbm": ("LGBMClassifier", {"num_threads": 20}),
    "catboost": ("CatBoostClassifier", {"thread_count": 20, "verbose": False}),
}


def test_boosters_start_no_pool_of_threads(tmp_path):
    files = []
    for library, (name, few) in BOOSTERS.items():
        package = pytest.importorskip(library)
        model = getattr(package, name)(n_estimators=3, **few).fit(X, Y)
        files.append(tmp_path / library)
        files[-1].write_bytes(pickle.dumps((model, X, model.predict(X))))

    # In a new process, without the threads of the fit.
    ran = subprocess.run(
        [sys.executable, "-c", PREDICTING, *files], capture_output=True, text=True, check=True
    )

    for library, line in zip(BOOSTERS, ran.stdout.splitlines(), strict=True):
        is_equal, started = line.split()
        assert is_equal == "True", library
        # CatBoost sometimes has one idle thread; the model requests 20.
        assert int(started) < 2, library


def test_process_pool_works_in_workers(tmp_path):
    model = BaggingClassifier(LogisticRegression(), n_estimators=4).fit(X, Y)
    model.n_jobs = 4
    (tmp_path / "bagging.pkl").write_bytes(pickle.dumps(model))
    models = "models:\n  - file: bagging.pkl\n"

    with serving("granian", tmp_path, models, WORKERS=2) as running:
        answers = [
            running.ask("/api/models/bagging/predict", {"x0": 0.9, "x1": 0.1, "x2": 0.5})
            for _ in range(6)
        ]

    assert [body["prediction"] for _, body in answers] == [True] * 6

import sys

import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from mlmodel.errors import MissingFramework, UnsupportedFramework, UnusableFramework
from mlmodel.frameworks import FRAMEWORKS, Adapter, adapter, detect, distributions
from tests.flm_files import iris_classifier

FUNCTIONS = [name for name in vars(Adapter) if not name.startswith("_")]

WITH_ADAPTER = [lib for lib in FRAMEWORKS if FRAMEWORKS[lib].module]


@pytest.mark.parametrize("lib", WITH_ADAPTER)
def test_an_adapter_has_every_function(lib):
    found = pytest.importorskip(FRAMEWORKS[lib].module)

    assert [name for name in FUNCTIONS if not callable(getattr(found, name, None))] == []


def test_a_model_is_of_its_nearest_ancestor_s_framework():
    class Torch:
        __module__ = "torch.nn"

    class Net(Torch, type(iris_classifier())):
        pass

    assert detect(iris_classifier()) == "sklearn"
    assert detect(Net()) == "torch"


def oversampled():
    return pytest.importorskip("imblearn.over_sampling").RandomOverSampler()


def boosted():
    return pytest.importorskip("xgboost").XGBClassifier(n_estimators=1)


@pytest.mark.parametrize(
    ("model", "distribution"),
    [
        (lambda: [("over", oversampled()), ("last", GaussianNB())], "imbalanced-learn"),
        (lambda: [("inner", Pipeline([("x", boosted())]))], "xgboost"),
        (lambda: [("search", GridSearchCV(boosted(), {"max_depth": [1]}))], "xgboost"),
        (lambda: [("function", FunctionTransformer(pd.DataFrame))], "pandas"),
    ],
    ids=["another name", "within", "in a search", "a function"],
)
def test_each_distribution_that_has_a_part_of_a_model_is_known(model, distribution):
    found = distributions("sklearn", Pipeline(model()))

    assert found[:2] == ["scikit-learn", "numpy"]
    assert [name for name in found if name.startswith(distribution)]


def test_catboost_is_known_though_its_models_count_as_scikit_learn_s():
    catboost = pytest.importorskip("catboost")

    assert "catboost" in distributions("sklearn", catboost.CatBoostClassifier())


def test_an_object_of_no_framework_is_refused():
    with pytest.raises(
        UnsupportedFramework, match=r"of scikit-learn, .*got an object of type dict"
    ):
        detect({})


@pytest.mark.parametrize(
    ("lib", "title"),
    [("transformers", "Transformers"), ("prophet", "prophet")],
)
def test_a_framework_without_an_adapter_is_named(lib, title):
    with pytest.raises(UnsupportedFramework, match=f"models of {title} cannot be built"):
        adapter(lib)


@pytest.mark.parametrize(
    ("lib", "package", "message"),
    [
        ("sklearn", "sklearn", "scikit-learn .* with: pip install scikit-learn pandas"),
        ("torch", "torch", "PyTorch .* with: pip install torch numpy"),
        ("tensorflow", "keras", "TensorFlow or Keras .* with: pip install tensorflow"),
        ("onnx", "onnxruntime", "ONNX Runtime .* with: pip install onnxruntime"),
    ],
    ids=WITH_ADAPTER,
)
def test_a_missing_framework_comes_with_the_command_that_installs_it(
    monkeypatch, lib, package, message
):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, FRAMEWORKS[lib].module, raising=False)

    with pytest.raises(MissingFramework, match=message):
        adapter(lib)


def test_a_framework_that_is_too_old_is_told_in_words(monkeypatch):
    monkeypatch.delattr("sklearn.utils.get_tags")
    for name in [name for name in sys.modules if name.startswith("mlmodel.")]:
        if name.startswith("mlmodel.frameworks.sklearn"):
            monkeypatch.delitem(sys.modules, name)

    with pytest.raises(
        UnusableFramework,
        match=r"^scikit-learn is installed, but sklearn.utils cannot be imported: .*"
        r"reinstall it with --upgrade: pip install scikit-learn pandas$",
    ):
        adapter("sklearn")

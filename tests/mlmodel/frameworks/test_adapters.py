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


def test_framework_is_that_of_nearest_ancestor():
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
def test_distributions_of_all_parts_are_found(model, distribution):
    found = distributions("sklearn", Pipeline(model()))

    assert found[:2] == ["scikit-learn", "numpy"]
    assert [name for name in found if name.startswith(distribution)]


def test_catboost_distribution_is_found():
    catboost = pytest.importorskip("catboost")

    assert "catboost" in distributions("sklearn", catboost.CatBoostClassifier())


def test_object_without_framework_is_rejected():
    with pytest.raises(
        UnsupportedFramework, match=r"of scikit-learn, .*got an object of type dict"
    ):
        detect({})


@pytest.mark.parametrize(
    ("lib", "title"),
    [("transformers", "Transformers"), ("prophet", "prophet")],
)
def test_framework_without_adapter_is_named(lib, title):
    with pytest.raises(UnsupportedFramework, match=f"models of {title} are not supported"):
        adapter(lib)


@pytest.mark.parametrize(
    ("lib", "package", "message"),
    [
        ("sklearn", "sklearn", "scikit-learn .* with: pip install scikit-learn pandas"),
        ("torch", "torch", "PyTorch .* with: pip install torch numpy"),
        ("tensorflow", "keras", "TensorFlow or Keras .* with: pip install tensorflow"),
        ("onnx", "onnxruntime", "ONNX Runtime .* with: pip install onnxruntime"),
        ("python_function", "mlflow", r"MLflow .* with: pip install 'modelhost\[mlflow\]'"),
    ],
    ids=WITH_ADAPTER,
)
def test_missing_framework_error_names_install_command(monkeypatch, lib, package, message):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, FRAMEWORKS[lib].module, raising=False)

    with pytest.raises(MissingFramework, match=message):
        adapter(lib)


def test_outdated_framework_is_reported(monkeypatch):
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

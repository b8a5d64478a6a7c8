import pickle
import sys

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import mlmodel
from mlmodel import dump
from mlmodel.errors import BrokenModel, InvalidModel
from mlmodel.frameworks.sklearn import adapter
from mlmodel.trust import pickles


@pytest.fixture
def notebook(monkeypatch):
    """A class and a function as a notebook has them."""
    main = sys.modules["__main__"]
    ages = type("Ages", (StandardScaler,), {"__module__": "__main__"})

    def halved(table):
        return table

    halved.__module__, halved.__qualname__ = "__main__", "halved"
    monkeypatch.setattr(main, "Ages", ages, raising=False)
    monkeypatch.setattr(main, "halved", halved, raising=False)
    return main


def fitted(*steps):
    return make_pipeline(*steps, LinearRegression()).fit([[1.0, 2.0], [2.0, 3.0]], [1.0, 2.0])


@pytest.mark.parametrize("where", ["class", "function", "within"])
def test_notebook_classes_are_rejected_by_name(tmp_path, notebook, where):
    parts = {
        "class": (notebook.Ages(), "Ages"),
        "function": (FunctionTransformer(notebook.halved), "halved"),
        "within": (make_column_transformer((notebook.Ages(), [0])), "Ages"),
    }
    part, name = parts[where]

    with pytest.raises(
        InvalidModel, match=f"notebook or script, where .* import them: {name}; move"
    ):
        dump(fitted(part), tmp_path / "m.flm")

    assert not (tmp_path / "m.flm").exists()


@pytest.mark.parametrize("ending", [".flm", ".joblib"])
def test_missing_notebook_class_is_named(tmp_path, notebook, monkeypatch, ending):
    content = pickle.dumps(fitted(notebook.Ages()))
    monkeypatch.delattr(notebook, "Ages")
    path = tmp_path / "m.joblib"
    path.write_bytes(content)
    build = {
        ".flm": lambda: adapter.loads(content, "all"),
        ".joblib": mlmodel.load(path, trust="all").load,
    }

    with pytest.raises(BrokenModel) as caught:
        build[ending]()

    assert "needs 'Ages', which was defined in a notebook" in caught.value.summary


def test_missing_name_has_its_module():
    with pytest.raises(BrokenModel) as caught:
        adapter.loads(b"cmath\nsqroot\n.", "all")

    assert caught.value.summary == (
        "the model needs 'sqroot' of the module 'math', which has no such name"
    )


def test_unimportable_module_is_named(tmp_path, monkeypatch):
    (tmp_path / "stale_part.py").write_text("from math import sqroot\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(BrokenModel) as caught:
        adapter.loads(b"cstale_part\nModel\n.", ("stale_part.Model",))

    assert caught.value.summary == (
        "the model needs the module 'math', which is installed but cannot be imported"
    )


def test_own_error_is_not_missing_name():
    assert pickles.describe_missing(AttributeError("no such thing")) is None


def test_modules_of_all_parts_are_found():
    model = fitted(FunctionTransformer(np.linalg.norm, validate=False).set_params(func=np.log1p))

    found = pickles.modules([model, FunctionTransformer(pytest.importorskip)])

    assert {"sklearn.pipeline", "sklearn.linear_model._base", "numpy", "_pytest.outcomes"} <= found


def test_pickle_equals_that_of_python():
    model = fitted(StandardScaler())

    assert pickles.dumps(model) == pickle.dumps(model, protocol=4)

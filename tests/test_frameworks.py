import sys

import pytest

from mlmodel.errors import MissingFramework, UnsupportedFramework
from mlmodel.frameworks import FRAMEWORKS, Adapter, adapter, detect
from tests.flm_files import iris_classifier

FUNCTIONS = [name for name in vars(Adapter) if not name.startswith("_")]

each_adapter = pytest.mark.parametrize("lib", [lib for lib in FRAMEWORKS if FRAMEWORKS[lib].module])


@each_adapter
def test_an_adapter_has_every_function(lib):
    assert [name for name in FUNCTIONS if not callable(getattr(adapter(lib), name, None))] == []


def test_a_model_is_of_its_nearest_ancestor_s_framework():
    class Torch:
        __module__ = "torch.nn"

    class Net(Torch, type(iris_classifier())):
        pass

    assert detect(iris_classifier()) == "sklearn"
    assert detect(Net()) == "torch"


def test_an_object_of_no_framework_is_refused():
    with pytest.raises(
        UnsupportedFramework, match=r"of scikit-learn, .*got an object of type dict"
    ):
        detect({})


@pytest.mark.parametrize(
    ("lib", "title"),
    [("torch", "PyTorch"), ("tensorflow", "TensorFlow or Keras"), ("prophet", "prophet")],
)
def test_a_framework_without_an_adapter_is_named(lib, title):
    with pytest.raises(UnsupportedFramework, match=f"models of {title} cannot be built"):
        adapter(lib)


def test_a_missing_framework_comes_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "mlmodel.frameworks.sklearn", raising=False)

    with pytest.raises(
        MissingFramework, match=r"install it with: pip install 'modelhost\[sklearn\]'"
    ):
        adapter("sklearn")

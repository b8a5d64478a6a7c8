"""The frameworks whose models can be written, built and asked.

An :class:`Adapter` is a module of functions, named in :data:`FRAMEWORKS`. It imports its framework,
and is itself imported when a model of that framework is first met.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

from mlmodel.errors import MissingFramework, UnsupportedFramework, UnusableFramework
from mlmodel.frameworks import versions
from mlmodel.model import Row
from mlmodel.trust import Trust, pickling

#: Answers rows that fit the input schema.
Predict = Callable[[Sequence[Row]], list[Any]]


@dataclass(frozen=True)
class Schemas:
    """What a model takes and answers: JSON Schemas of one row and of one answer.

    ``None`` where the model does not know. ``examples`` are rows that it takes. ``notes`` are
    sentences for the author on what is doubtful.
    """

    input: dict[str, Any] | None = None
    output: dict[str, Any] | None = None
    examples: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()


class Adapter(Protocol):
    """What a framework's module offers. A model is whatever the framework calls one."""

    def version(self) -> str:
        """Return the version of the framework that is installed."""

    def dumps(self, model: Any, sample: Any = None) -> bytes:
        """Return the bytes that a file's model section holds.

        :param sample: as for :meth:`schemas`, for a framework that must try a model to write it.
        :raises InvalidModel: if the framework cannot write it.
        """

    def loads(self, content: bytes, trust: Trust = ()) -> Any:
        """Build a model from such bytes.

        :param trust: what they may contain beside what is known to do no harm.
        :raises Untrusted: if building it could run code that is not trusted.
        :raises BrokenModel: if the framework cannot build it.
        """

    def describe(self, model: Any) -> Any:
        """Return what the framework tells of the model, as JSON, for ``model.info``."""

    def schemas(self, model: Any, sample: Any = None, outputs: Sequence[str] = ()) -> Schemas:
        """Return what the model takes and answers, as far as it can be known.

        :param sample: rows such as it was fitted on, in any shape that the framework's users
            have them in. May be ignored.
        :param outputs: names of the outputs, where there are several.
        :raises InvalidModel: if the sample is not of rows that the model takes.
        """

    def predictor(
        self, model: Any, columns: Mapping[str, Any], outputs: Sequence[str] = ()
    ) -> Predict:
        """Return the function that answers rows, in order and in plain JSON.

        Whatever does not depend on the rows is done here, once. Several threads may call what
        is returned.

        :param columns: the members of a row and their schemas, in the order for a model that
            knows no names. Empty if nobody knows.
        :param outputs: names of the outputs, where there are several.
        """


@dataclass(frozen=True)
class Framework:
    """A framework by the name that files give it."""

    title: str
    #: The top-level packages whose classes are its models.
    packages: tuple[str, ...]
    #: The adapter's module. Without one, files are read but their models are not built.
    module: str = ""
    #: The command that installs it.
    install: str = ""
    #: The distributions whose versions may change what a model answers.
    distributions: tuple[str, ...] = ()
    #: Whether its models answer in a process that was forked after they were built.
    survives_fork: bool = True


FRAMEWORKS: Mapping[str, Framework] = {
    "sklearn": Framework(
        "scikit-learn",
        ("sklearn", "catboost"),
        "mlmodel.frameworks.sklearn.adapter",
        "pip install scikit-learn pandas",
        ("scikit-learn", "numpy"),
    ),
    "torch": Framework(
        "PyTorch",
        ("torch",),
        "mlmodel.frameworks.torch",
        "pip install torch numpy",
        ("torch", "numpy"),
        survives_fork=False,
    ),
    "tensorflow": Framework(
        "TensorFlow or Keras",
        ("tensorflow", "keras"),
        "mlmodel.frameworks.tensorflow",
        "pip install tensorflow (or: pip install keras torch)",
        ("keras", "tensorflow", "numpy"),
        survives_fork=False,
    ),
    "onnx": Framework(
        "ONNX Runtime",
        ("onnx", "onnxruntime"),
        "mlmodel.frameworks.onnx",
        "pip install onnxruntime",
        ("onnxruntime", "numpy"),
        survives_fork=False,
    ),
    "transformers": Framework("Transformers", ("transformers",)),
}

#: Classes of models beside scikit-learn's interface that its adapter makes estimators of.
BOOSTERS = frozenset({"lightgbm.basic.Booster", "xgboost.core.Booster"})


def detect(model: object) -> str:
    """Return the name of a model's framework: that of the nearest ancestor of its class.

    So a model that derives from scikit-learn's classes, as XGBoost's do, counts as one of its own;
    and so does one that derives from none, but has the methods of an estimator.

    :raises UnsupportedFramework: if it is of none that the format knows.
    """
    libs = {package: lib for lib in FRAMEWORKS for package in FRAMEWORKS[lib].packages}
    if f"{type(model).__module__}.{type(model).__qualname__}" in BOOSTERS:
        return "sklearn"
    for ancestor in type(model).__mro__:
        package = ancestor.__module__.partition(".")[0]
        if package in libs:
            return libs[package]
    if hasattr(model, "fit") and (hasattr(model, "predict") or hasattr(model, "transform")):
        return "sklearn"
    raise UnsupportedFramework(
        f"a model must be of {_titles()}, got an object of type {type(model).__name__}; for a "
        "model of another library, write a class derived from MLModel whose predict calls it"
    )


def adapter(lib: str) -> Adapter:
    """Return the adapter of a framework by the name that files give it.

    :raises UnsupportedFramework: if there is none.
    :raises MissingFramework: if the framework is not installed.
    :raises UnusableFramework: if what is installed cannot be imported.
    """
    framework = FRAMEWORKS.get(lib, Framework(lib, ()))
    if not framework.module:
        raise UnsupportedFramework(f"models of {framework.title} cannot be built or written here")
    try:
        return cast(Adapter, import_module(framework.module))
    except ModuleNotFoundError as error:
        raise MissingFramework(framework.title, framework.install) from error
    except ImportError as error:
        raise UnusableFramework(framework.title, framework.install, error.name or "") from error


def distributions(lib: str, model: object) -> list[str]:
    """Return the distributions that a model depends on: its framework's, and its parts' own.

    Parts are looked into where they are pickled; another framework's file has none of them.
    """
    names = pickling.modules(model) if lib == "sklearn" else {type(model).__module__}
    known = FRAMEWORKS[lib].distributions
    return [*known, *sorted(versions.distributions(names) - set(known))]


def title(lib: str) -> str:
    """Return a framework's own name by the name that files give it."""
    return FRAMEWORKS[lib].title if lib in FRAMEWORKS else lib


def _titles() -> str:
    return ", ".join(each.title for each in FRAMEWORKS.values() if each.module)

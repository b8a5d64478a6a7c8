"""The supported frameworks, and the interface of their adapters.

An :class:`Adapter` is a module of functions, named in :data:`FRAMEWORKS`. It imports its framework,
and is itself imported when a model of that framework is first used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol, cast

from mlmodel.errors import MissingFramework, UnsupportedFramework, UnusableFramework
from mlmodel.frameworks import versions
from mlmodel.model import Row
from mlmodel.trust import Trust, pickles

Rows = Sequence[Row]
#: Predicts rows that are valid against the input schema.
Predict = Callable[[Rows], list[Any]]


@dataclass(frozen=True)
class Schemas:
    """JSON Schemas of one row and of one prediction of a model.

    ``None`` where unknown. ``examples`` are valid rows. ``notes`` are sentences for the author on
    doubtful parts. ``columns`` are the values of a sample by member: JSON, or numpy arrays of
    numbers; ``rows`` are some of its rows as JSON, evenly spaced.
    """

    input: dict[str, Any] | None = None
    output: dict[str, Any] | None = None
    examples: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    rows: Rows = ()


class Adapter(Protocol):
    """The functions of a framework's module. A model is an object of that framework."""

    def version(self) -> str:
        """Return the installed version of the framework."""

    def dumps(self, model: Any, sample: Any = None) -> bytes:
        """Return the bytes of a file's model section.

        :param sample: as for :meth:`schemas`, for a framework that runs a model to write it.
        :raises InvalidModel: if the framework cannot write it.
        """

    def loads(self, content: bytes, trust: Trust = ()) -> Any:
        """Build a model from the bytes of a model section.

        :param trust: names that they may contain in addition to the allow-list.
        :raises Untrusted: if building it could run code that is not trusted.
        :raises BrokenModel: if the framework cannot build it.
        """

    def describe(self, model: Any) -> Any:
        """Return the framework's description of the model, as JSON, for ``model.info``."""

    def schemas(self, model: Any, sample: Any = None, outputs: Sequence[str] = ()) -> Schemas:
        """Return the model's schemas, as far as they can be inferred.

        :param sample: rows like those the model was fitted on, in any form that is common in the
            framework. May be ignored.
        :param outputs: names of the outputs, where there are several.
        :raises InvalidModel: if the model does not accept the sample's rows.
        """

    def predictor(
        self, model: Any, columns: Mapping[str, Any], outputs: Sequence[str] = ()
    ) -> Predict:
        """Return the function that predicts rows, in order and in plain JSON. It is thread-safe.

        Work that does not depend on the rows is done here, once.

        :param columns: the members of a row and their schemas, in order, for a model without column
            names. Empty if they are unknown.
        :param outputs: names of the outputs, where there are several.
        """


@dataclass(frozen=True)
class Framework:
    """A framework, under the name that files use for it."""

    title: str
    #: The top-level packages whose classes are its models.
    packages: tuple[str, ...]
    #: The adapter's module. Without one, files can be read but their models cannot be built.
    module: str = ""
    #: The command that installs it.
    install: str = ""
    #: The distributions whose versions may change a model's predictions.
    distributions: tuple[str, ...] = ()
    #: Whether its models still predict in a process that was forked after they were built.
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
    "python_function": Framework(
        "MLflow",
        ("mlflow",),
        "mlmodel.frameworks.python_function",
        "pip install 'modelhost[mlflow]'",
        survives_fork=False,
    ),
    "transformers": Framework("Transformers", ("transformers",)),
}

#: Classes without scikit-learn's interface that its adapter converts to estimators.
BOOSTERS = frozenset({"lightgbm.basic.Booster", "xgboost.core.Booster"})


def detect(model: object) -> str:
    """Return the name of a model's framework: that of the nearest ancestor of its class.

    So a model derived from scikit-learn's classes, as XGBoost's are, counts as scikit-learn's; so
    does one derived from none of the frameworks that has the methods of an estimator.

    :raises UnsupportedFramework: if it belongs to none of the frameworks.
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
    advice = (
        "if the fitted estimator is in it, save the estimator alone"
        if isinstance(model, Mapping | list | tuple)
        else "for a model of another library, write a class derived from MLModel whose predict "
        "calls it"
    )
    raise UnsupportedFramework(
        f"a model must be of {_titles()}, got an object of type {type(model).__name__}; {advice}"
    )


def adapter(lib: str) -> Adapter:
    """Return the adapter of a framework, by the name that files use.

    :raises UnsupportedFramework: if there is none.
    :raises MissingFramework: if the framework is not installed.
    :raises UnusableFramework: if the installed framework cannot be imported.
    """
    framework = FRAMEWORKS.get(lib, Framework(lib, ()))
    if not framework.module:
        raise UnsupportedFramework(f"models of {framework.title} are not supported")
    try:
        return cast(Adapter, import_module(framework.module))
    except ModuleNotFoundError as error:
        raise MissingFramework(framework.title, framework.install) from error
    except ImportError as error:
        raise UnusableFramework(framework.title, framework.install, error.name or "") from error


def distributions(lib: str, model: object) -> list[str]:
    """Return the distributions that a model depends on: those of its framework and of its parts.

    Parts are inspected only where the model is pickled, which is scikit-learn.
    """
    names = pickles.modules(model) if lib == "sklearn" else {type(model).__module__}
    known = FRAMEWORKS[lib].distributions
    return [*known, *sorted(versions.distributions(names) - set(known))]


def title(lib: str) -> str:
    """Return a framework's own name, by the name that files use."""
    return FRAMEWORKS[lib].title if lib in FRAMEWORKS else lib


def _titles() -> str:
    # Those without distributions are not packaged.
    return ", ".join(each.title for each in FRAMEWORKS.values() if each.distributions)

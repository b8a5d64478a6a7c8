"""The frameworks whose models can be written, built and asked.

An :class:`Adapter` is a module of functions, named in :data:`ADAPTERS`. It imports its framework,
and is itself imported when a model of that framework is first met.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

from mlmodel.errors import MissingFramework, UnsupportedFramework
from mlmodel.model import Row


class Adapter(Protocol):
    """What a framework's module offers. A model is whatever the framework calls one."""

    def version(self) -> str:
        """Return the version of the framework that is installed."""

    def dumps(self, model: Any) -> bytes:
        """Return the bytes that a file's model section holds.

        :raises InvalidModel: if the framework cannot write it.
        """

    def loads(self, content: bytes) -> Any:
        """Build a model from such bytes. This may run code that the file brings.

        :raises BrokenModel: if the framework cannot build it.
        """

    def describe(self, model: Any) -> Any:
        """Return what the framework tells of the model, as JSON, for ``model.info``."""

    def input_schema(self, model: Any) -> dict[str, Any] | None:
        """Return the JSON Schema of a row, or ``None`` if the model does not know."""

    def output_schema(self, model: Any) -> dict[str, Any] | None:
        """Return the JSON Schema of an answer, or ``None`` if the model does not know."""

    def predict_rows(self, model: Any, rows: Sequence[Row], columns: Sequence[str]) -> list[Any]:
        """Answer rows, in order and in plain JSON.

        :param columns: the order of a row's members, for a model that knows no names.
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


FRAMEWORKS: Mapping[str, Framework] = {
    "sklearn": Framework(
        "scikit-learn",
        ("sklearn",),
        "mlmodel.frameworks.sklearn",
        "pip install 'modelhost[sklearn]'",
    ),
    "torch": Framework("PyTorch", ("torch",)),
    "tensorflow": Framework("TensorFlow or Keras", ("tensorflow", "keras")),
    "transformers": Framework("Transformers", ("transformers",)),
}


def detect(model: object) -> str:
    """Return the name of a model's framework: that of the nearest ancestor of its class.

    So a model that derives from scikit-learn's classes, as XGBoost's do, counts as one of its own.

    :raises UnsupportedFramework: if it is of none that the format knows.
    """
    libs = {package: lib for lib in FRAMEWORKS for package in FRAMEWORKS[lib].packages}
    for ancestor in type(model).__mro__:
        package = ancestor.__module__.partition(".")[0]
        if package in libs:
            return libs[package]
    raise UnsupportedFramework(
        f"a model must be of {_titles()}, got an object of type {type(model).__name__}"
    )


def adapter(lib: str) -> Adapter:
    """Return the adapter of a framework by the name that files give it.

    :raises UnsupportedFramework: if there is none.
    :raises MissingFramework: if the framework is not installed.
    """
    framework = FRAMEWORKS.get(lib, Framework(lib, ()))
    if not framework.module:
        raise UnsupportedFramework(f"models of {framework.title} cannot be built or written here")
    try:
        return cast(Adapter, import_module(framework.module))
    except ModuleNotFoundError as error:
        raise MissingFramework(framework.title, framework.install) from error


def title(lib: str) -> str:
    """Return a framework's own name by the name that files give it."""
    return FRAMEWORKS[lib].title if lib in FRAMEWORKS else lib


def _titles() -> str:
    return ", ".join(framework.title for framework in FRAMEWORKS.values())

"""The interface of a model: names, two schemas and ``predict``."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlmodel.errors import InvalidInput, InvalidModel

#: A JSON object that is valid under a model's input schema.
Row = Mapping[str, Any]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
NAME_RULE = "must be 1 to 100 letters, digits, '_', '.' or '-', and begin with a letter or digit"


class MLModel(ABC):
    """A model that Modelhost can serve.

    A subclass defines ``qualified_name``, ``input_schema`` and :meth:`predict`; the rest has
    defaults. Each may be a class attribute, an instance attribute or a property::

        class Doubler(MLModel):
            qualified_name = "doubler"
            input_schema = {"type": "object", "properties": {"x": {"type": "number"}},
                            "required": ["x"], "additionalProperties": False}

            def predict(self, row):
                return {"y": 2 * row["x"]}

    ``__init__`` takes the ``settings`` of the model's entry in ``models.yaml`` as keyword
    arguments. Expensive work belongs in :meth:`load`.
    """

    #: The name in URLs: letters, digits, ``_``, ``.`` and ``-``, at most 100 characters.
    qualified_name: str
    #: The name on pages. If empty, it is derived from ``qualified_name``.
    display_name: str = ""
    #: The purpose of the model, in plain words.
    description: str = ""
    #: The model's own version.
    version: str = ""
    #: The schema of one row: a JSON Schema, a class of pydantic, or a dataclass. With a class,
    #: :meth:`predict` takes its objects. ``None`` accepts any JSON.
    input_schema: Any = None
    #: The schema of one prediction, in the same forms. ``None`` allows any JSON.
    output_schema: Any = None
    #: Example rows. If empty, the host derives one from ``input_schema``.
    examples: Sequence[Any] = ()
    #: The names of the examples on pages, in the same order. It may be shorter.
    example_names: Sequence[str] = ()
    #: Further facts, as JSON: ``framework`` (text), ``params``, ``metrics``...
    metadata: Mapping[str, Any] = {}
    #: The files packaged with the model, by name.
    artifacts: Mapping[str, Path] = {}
    #: Whether predictions contain only JSON types and no NaN, so that the host skips conversion.
    returns_json: bool = False
    #: Whether every call is short, so that it needs neither its own thread nor a time limit.
    ends_soon: bool = False
    #: Whether a row's prediction is the same, to the last digit, in every batch. Then the host
    #: may predict rows of several callers in one call.
    is_row_wise: bool = False
    #: Whether the model imputes missing values itself. Then the host does not fill in the
    #: defaults of nullable members.
    replaces_missing: bool = False
    #: Doubts about the schemas, for the person who checks the model.
    notes: Sequence[str] = ()
    #: Whether processes forked after :meth:`load` can predict. Threads and connections do not
    #: survive a fork; a model without them is shared in memory.
    survives_fork: bool = True
    #: Whether :meth:`load` predicts. If so, the master calls only :meth:`build` before it forks.
    predicts_at_load: bool = False

    @property
    def schemas_need_load(self) -> bool:
        """Whether the schemas can only be read after :meth:`load`."""
        return self.input_schema is None

    @abstractmethod
    def predict(self, row: Any) -> Any:
        """Return the prediction for one row.

        The row is valid under ``input_schema`` and its numbers have the schema's types: ``float``
        for ``number``, ``int`` for ``integer``. Several threads may call this concurrently.

        :raises InvalidInput: if the row violates a rule that the schema cannot express.
        """

    def predict_rows(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Return the predictions for rows, in order. Override it if one call beats a loop."""
        return call_each(self.predict, rows)

    def before_fork(self) -> None:
        """Do work once in the master that each forked worker would repeat in :meth:`load`."""

    def build(self) -> None:
        """Do the part of :meth:`load` that does not predict. Forked processes share the result.

        Only called if ``predicts_at_load`` is true.
        """

    def load(self) -> None:
        """Prepare for :meth:`predict`: read weights, open connections. Called once."""

    def unload(self) -> None:
        """Release what :meth:`load` acquired. No prediction is running, and none will follow."""


def call_each(method: Callable[[Any], Any], rows: Sequence[Any]) -> list[Any]:
    """Return a method's results for rows, called one by one in order.

    :raises InvalidInput: if the method does, with the row's index.
    """
    results = []
    for index, row in enumerate(rows):
        try:
            results.append(method(row))
        except InvalidInput as error:
            raise error.at(index) from error
    return results


def validate_name(name: object) -> str:
    """Return a model's name if it is safe in a URL.

    :raises InvalidModel: if it is not.
    """
    if isinstance(name, str) and NAME.fullmatch(name):
        return name
    raise InvalidModel(f"qualified_name {NAME_RULE}, got {name!r}")


def display_name(model: MLModel) -> str:
    """Return the name for pages: the model's own, or one derived from ``qualified_name``."""
    words = re.sub(r"[_.-]+", " ", model.qualified_name).strip()
    return model.display_name or words[:1].upper() + words[1:]

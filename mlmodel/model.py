"""What a model is: one class with names, two schemas and a way to predict."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlmodel.errors import InvalidInput, InvalidModel

#: A JSON object that fits a model's input schema.
Row = Mapping[str, Any]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class MLModel(ABC):
    """A model that Modelhost can serve.

    A subclass gives a ``qualified_name``, an ``input_schema`` and :meth:`predict`; the rest has
    defaults. Each may be a class attribute, an instance attribute or a property::

        class Doubler(MLModel):
            qualified_name = "doubler"
            input_schema = {"type": "object", "properties": {"x": {"type": "number"}},
                            "required": ["x"], "additionalProperties": False}

            def predict(self, row):
                return {"y": 2 * row["x"]}

    ``__init__`` takes the ``settings`` of the model's entry in ``models.yaml`` as keyword
    arguments. Whatever is costly belongs in :meth:`load`.
    """

    #: The name in addresses: letters, digits, ``_``, ``.`` and ``-``, 100 at most.
    qualified_name: str
    #: The name on pages. Without one, it is made from ``qualified_name``.
    display_name: str = ""
    #: What the model is for, in plain words.
    description: str = ""
    #: The model's own version.
    version: str = ""
    #: JSON Schema of one row. ``None`` accepts any JSON.
    input_schema: Mapping[str, Any] | None = None
    #: JSON Schema of one answer. ``None`` promises nothing.
    output_schema: Mapping[str, Any] | None = None
    #: Rows to try the model with. Without any, one is made from ``input_schema``.
    examples: Sequence[Any] = ()
    #: The files that came with the model, by name.
    artifacts: Mapping[str, Path] = {}
    #: Whether answers hold nothing but JSON's own types, without NaN: then nobody converts them.
    answers_json: bool = False
    #: Whether a call surely ends soon: then it needs neither a thread of its own nor a time limit.
    ends_soon: bool = False
    #: Whether a row's prediction never depends on the rows beside it, not in the last digit. Then
    #: rows of several callers may be predicted in one call.
    is_row_wise: bool = False
    #: Whether the model itself replaces what is missing: then a default of a member that may be
    #: null is not filled in before.
    replaces_missing: bool = False
    #: What is doubtful about the schemas, for whoever checks the model.
    notes: Sequence[str] = ()
    #: Whether processes that are forked after :meth:`load` can answer. Threads and connections
    #: are lost in a fork; without them, the processes share the model's memory.
    survives_fork: bool = True
    #: Whether :meth:`load` predicts. A process that is forked later then only calls :meth:`build`.
    predicts_at_load: bool = False

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What else there is to know, as JSON: ``framework`` (text), ``params``, ``metrics``..."""
        return {}

    @abstractmethod
    def predict(self, row: Any) -> Any:
        """Answer one row.

        The row fits ``input_schema``, and its numbers are of the schema's types: a ``float``
        for ``number``, an ``int`` for ``integer``. Several threads may call at once.

        :raises InvalidInput: for a row that is wrong in a way the schema cannot say.
        """

    def predict_rows(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Answer many rows, in their order. Override it where one call is faster than a loop."""
        return answer_each(self.predict, rows)

    def before_fork(self) -> None:
        """Do once what several processes need that will be forked, each to call :meth:`load`."""

    def build(self) -> None:
        """Do the part of :meth:`load` that predicts nothing. Forked processes share the result.

        Only called where ``predicts_at_load`` is true.
        """

    def load(self) -> None:
        """Make ready for :meth:`predict`: read weights, open connections. Called once."""

    def unload(self) -> None:
        """Give back what :meth:`load` took. No prediction is running, and none will follow."""


def answer_each(method: Callable[[Any], Any], rows: Sequence[Any]) -> list[Any]:
    """Return a method's answers to rows, one after the other.

    :raises InvalidInput: as the method does, with the row's place among them.
    """
    answers = []
    for index, row in enumerate(rows):
        try:
            answers.append(method(row))
        except InvalidInput as error:
            raise error.at(index) from error
    return answers


def checked_name(name: object) -> str:
    """Return a model's name, known to be safe in an address.

    :raises InvalidModel: if it is no such name.
    """
    if isinstance(name, str) and NAME.fullmatch(name):
        return name
    raise InvalidModel(
        f"qualified_name must be 1 to 100 letters, digits, '_', '.' or '-', "
        f"the first a letter or digit, got {name!r}"
    )


def display_name(model: MLModel) -> str:
    """Return the name for pages: the model's own, or one made from ``qualified_name``."""
    words = re.sub(r"[_.-]+", " ", model.qualified_name).strip()
    return model.display_name or words[:1].upper() + words[1:]

"""How a model is asked: rows to what it was fitted on, to answers, and whose fault it is."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlmodel.errors import InvalidInput, InvalidModel, Violation
from mlmodel.frameworks import Predict
from mlmodel.frameworks.sklearn.predict import frames as tables
from mlmodel.frameworks.sklearn.predict.answers import Answering, NotFiniteError, answering
from mlmodel.frameworks.sklearn.predict.fast_linear import is_simple
from mlmodel.frameworks.sklearn.predict.frames import Builder, Cells, converter, forms_of
from mlmodel.frameworks.sklearn.predict.unnamed import nameless
from mlmodel.frameworks.sklearn.schemas.column import Column
from mlmodel.frameworks.sklearn.schemas.columns import Reading
from mlmodel.frameworks.sklearn.schemas.merge import are_alike, listed
from mlmodel.frameworks.sklearn.schemas.probe import Trial
from mlmodel.frameworks.sklearn.schemas.traits import is_row_wise
from mlmodel.model import Row
from mlmodel.schema.examples import example_of
from mlmodel.schema.messages import pointer_to, shown

#: Packages that check what they are given, and raise an error of their own at what they refuse.
LIBRARIES = frozenset(
    {"catboost", "imblearn", "lightgbm", "numpy", "pandas", "scipy", "sklearn", "xgboost"}
)
#: Trees keep numbers in four bytes.
LARGEST_FLOAT32 = 3.4e38
#: Rows that one error tells of.
MOST_BLAMED = 5
#: Calls of the model by which one question is answered of a request that it refuses.
MOST_CALLS = 200

#: Characters of a model's own error that a message repeats.
MOST_TOLD = 200
#: What an answer is that JSON cannot write, though the row is in order.
NO_NUMBER = "the model returns NaN for this row, which is not a number: there is no prediction"

Rows = Sequence[Row]


def predictor(
    model: Any, reading: Reading | None, columns: Mapping[str, Any], outputs: Sequence[str] = ()
) -> Predictor:
    """Return the function that answers rows with a model.

    It raises :class:`InvalidInput` for a value that fits the schema, and that the model refuses.

    :param columns: the members of a row and their schemas; empty if they are the model's own.
    :raises InvalidModel: if the model can say nothing about new rows, or not about such ones.
    """
    cells = list(_cells(reading, columns))
    row = {cell.name: cell.plain for cell in cells if cell.filler is None}
    ask = asker(model, reading, columns, row, outputs)
    _check_members(ask, row, columns)
    known = _known(reading, columns)
    own = reading.columns if reading else ()
    renamed = {column.name for column in own if column.is_renamed and column.name in known}
    return Predictor(
        _with_own_names(ask, renamed) if renamed else ask,
        row,
        reading,
        cells,
        known,
        tuple(outputs),
        ends_soon=is_simple(model),
        is_row_wise=is_row_wise(model),
    )


def _with_own_names(ask: Predict, renamed: Set[str]) -> Predict:
    """Return what predicts for rows in which blanks are where the model has underscores."""

    def own(name: str) -> str:
        written = name.replace(" ", "_")
        return written if written in renamed else name

    return lambda rows: ask([{own(name): value for name, value in row.items()} for row in rows])


def asker(
    model: Any,
    reading: Reading | None,
    columns: Mapping[str, Any],
    row: Row,
    outputs: Sequence[str] = (),
) -> Predict:
    """Return the function that asks a model about rows, and raises what the model raises.

    :param row: a row to find out in which shape the model wants them, where it does not tell.
    """
    cells = list(_cells(reading, columns))
    if reading is not None and reading.is_named and tables.are_floats(cells):
        bare = nameless(model)
        if bare is not None:
            return _asking(cells, tables.columns_first, answering(bare, outputs))
    tell = answering(model, outputs)
    candidates = [_asking(cells, shape, tell) for shape in _shapes(reading, cells)]
    if len(candidates) == 1:
        return candidates[0]
    answers = (each for each in candidates if Trial(each, row).answer is not None)
    return next(answers, candidates[0])


def own_columns(columns: Sequence[Column]) -> dict[str, Any]:
    """Return the members of a row that such columns make, with their schemas."""
    return {column.name: column.schema() for column in columns if column.is_asked}


def _check_members(ask: Predict, row: Row, columns: Mapping[str, Any]) -> None:
    """Refuse members without a column that the model cannot do without."""
    absent = [name for name in row if name not in columns] if columns else []
    if not absent:
        return
    rest = {name: value for name, value in row.items() if name in columns}
    trial = Trial(ask, row)
    needed = [name for name in absent if trial.takes([{name: None}], MOST_CALLS) == [False]]
    if needed or Trial(ask, rest).answer is None:
        raise InvalidModel(
            f"the input schema has no member for {listed(needed or absent)}, "
            "which the model was fitted on"
        )


@dataclass(frozen=True)
class Predictor:
    """Answers rows; ``row`` is one that the model takes, to find out what it does not.

    ``ask`` raises what the model raises. The rest is how a table is made of rows: ``cells`` from
    ``members``, which have the schemas of a row's values.
    """

    ask: Predict
    row: Row
    reading: Reading | None
    cells: Sequence[Cells]
    members: Mapping[str, Any]
    outputs: Sequence[str]
    #: Whether there is nothing but arithmetic in a call.
    ends_soon: bool
    #: Whether a prediction is the same to the last digit whatever rows are beside its own.
    is_row_wise: bool

    def __call__(self, rows: Rows) -> list[Any]:
        """Answer rows, or say what is wrong with which of them."""
        if not rows:
            return []
        try:
            return self.ask(rows)
        except InvalidInput:
            raise
        # A model may raise anything. What comes of the rows is told from what comes of the model.
        except Exception as error:
            violations = list(self._violations(rows, error)) if _refuses(error) else []
            if not violations:
                raise
            first = violations[0]
            words = f"{first.pointer or 'the row'}: {first.detail}"
            raise InvalidInput(words, violations=violations) from error

    def with_example(self, rows: Rows, *, is_guess: bool = True) -> Predictor:
        """Return the same predictor, with the first of some rows that the model predicts for.

        :param rows: the model's examples; without any, the row that was made for it is tried.
        :param is_guess: whether the schema was made without a sample and without its author.
        :raises InvalidModel: if the model predicts for none of them, with its own words.
        """
        error = None
        for row in rows or [self.row]:
            trial = Trial(self.ask, row)
            if trial.answer is not None:
                return replace(self, row=row)
            error = error or trial.error
        its = "its own example" if rows else "a row that was made of what is known of it"
        raise InvalidModel(
            f"the model does not predict for {its}{error_text(error)}"
            f"{'; package it with a sample' if is_guess else ''}"
        ) from error

    def _violations(self, rows: Rows, error: Exception) -> Iterator[Violation]:
        """Yield what the model refuses: each value that it refuses in a row that it else takes."""
        trial = Trial(self.ask, self.row)
        if trial.answer is None:
            return
        if isinstance(error, NotFiniteError) and error.rows and not _overflows(rows, error.rows):
            yield from (Violation("", NO_NUMBER, at) for at in error.rows[:MOST_BLAMED])
            return
        words = "" if isinstance(error, NotFiniteError) else error_text(error)
        for at in trial.refused(rows, MOST_BLAMED, MOST_CALLS):
            members = [{name: value} for name, value in rows[at].items()]
            wrong = [
                Violation(pointer_to(member), _sentence(next(iter(member.values())), words), at)
                for member, is_taken in zip(members, trial.takes(members, MOST_CALLS), strict=True)
                if is_taken is False
            ]
            together = f"this model cannot use these values together{words}"
            yield from wrong or [Violation("", together, at)]


def _cells(reading: Reading | None, columns: Mapping[str, Any]) -> Iterator[Cells]:
    """Yield the columns of the model's table, each with the member that it is made of."""
    if reading is None or reading.takes != "columns":
        own = {column.name: column.schema() for column in reading.columns} if reading else {}
        for name, schema in (columns or own).items():
            yield _cell(name, name, schema, plain=_plain(schema))
        return
    members = _members(reading, list(columns))
    for column, member in zip(reading.columns, members, strict=True):
        schema = dict(_mapping(columns.get(member)) or column.schema())
        if column.dtype and "x-dtype" not in schema:
            schema["x-dtype"] = column.dtype
        if column.dtype == "category" and column.choices and "x-categories" not in schema:
            schema = {"x-dtype": "category", "enum": list(column.choices)}
        filler = None if column.is_asked else column.plain
        plain = column.plain if column.is_sure else _plain(columns.get(member, column.schema()))
        yield _cell(member, column.name, schema, filler, plain)


def _cell(name: str, label: str, schema: Any, filler: Any = None, plain: Any = None) -> Cells:
    convert = converter(_mapping(schema))
    return Cells(name, label, convert, filler, plain, forms_of(convert))


def _known(reading: Reading | None, columns: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the members of a row and their schemas: those given, or the model's own."""
    return columns or own_columns(reading.columns if reading else ())


def _members(reading: Reading, names: list[str]) -> list[str]:
    """Return the member that each of the model's columns is made of.

    Members that are not called as the columns are count: in the order of the columns.
    """
    own = [column.name for column in reading.columns]
    if any(name in own for name in names) and not are_alike(own, names):
        return own
    if len(names) == len(own):
        return names
    asked = [column.name for column in reading.columns if column.is_asked]
    if not names:
        return own
    if len(names) != len(asked):
        raise InvalidModel(
            f"the input schema has {len(names)} members, {listed(names)}, but the model was fitted "
            f"on {len(asked)} columns, {listed(asked)}"
        )
    given = dict(zip(asked, names, strict=True))
    return [given.get(name, name) for name in own]


def _shapes(reading: Reading | None, cells: list[Cells]) -> list[Any]:
    """Return in which shapes the model may want its rows, the likeliest first."""
    if reading is None:
        is_text = len(cells) == 1 and isinstance(cells[0].plain, str)
        return [*([tables.texts] if is_text else []), tables.frames, tables.arrays]
    if reading.takes == "texts":
        return [tables.texts]
    if reading.takes == "records":
        return [tables.records]
    return [tables.frames] if reading.is_named else [tables.arrays, tables.frames]


def _asking(
    cells: Sequence[Cells], shape: Callable[[Sequence[Cells]], Builder], tell: Answering
) -> Predict:
    build, groups = shape(cells), tables.grouping(cells)

    def ask(rows: Rows) -> list[Any]:
        together = groups(rows)
        # What overflows shows as an answer that is not finite, not as a warning.
        with np.errstate(all="ignore"):
            if len(together) == 1:
                return tell(build(rows))
            answers: list[Any] = [None] * len(rows)
            for places in together:
                try:
                    told = tell(build([rows[at] for at in places]))
                except InvalidInput as error:
                    raise error.placed(places) from error
                for at, answer in zip(places, told, strict=True):
                    answers[at] = answer
            return answers

    return ask


def error_text(error: Exception | None) -> str:
    """Return the type and the first line of a model's own error, in parentheses."""
    if error is None:
        return ""
    lines = str(error).strip().splitlines() or [""]
    return f" ({type(error).__name__}: {lines[0][:MOST_TOLD]})"


def _overflows(rows: Rows, places: Sequence[int]) -> bool:
    """Tell whether some rows have a number that is too large for most models."""
    return any(
        isinstance(value, int | float) and abs(value) > LARGEST_FLOAT32
        for at in places
        for value in rows[at].values()
    )


def _refuses(error: Exception) -> bool:
    """Tell whether an error is a library's, about what it was given, and not the author's own."""
    if isinstance(error, NotFiniteError):
        return True
    if type(error).__module__.partition(".")[0] in LIBRARIES:
        return True
    frames = list(traceback.walk_tb(error.__traceback__))
    module = str(frames[-1][0].f_globals.get("__name__", "")) if frames else ""
    is_about_values = isinstance(error, AssertionError | TypeError | ValueError)
    return is_about_values and module.partition(".")[0] in LIBRARIES


def _sentence(value: Any, words: str) -> str:
    if value is None:
        return "must not be missing for this model"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and abs(value) > LARGEST_FLOAT32:
        return f"is too large a number for this model, got {shown(value)}"
    return f"is not a value that this model can use, got {shown(value)}{words}"


def _plain(schema: Any) -> Any:
    """Return a value of a schema that a model most likely takes."""
    if not isinstance(schema, Mapping) or "$ref" in schema:
        return None
    value = example_of(schema)
    return 1.0 if value is None else value


def _mapping(schema: Any) -> Mapping[str, Any]:
    return schema if isinstance(schema, Mapping) else {}

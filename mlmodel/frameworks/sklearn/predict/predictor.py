"""Predictions of an estimator: rows to its input, its output to predictions, and its errors."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from mlmodel.errors import InvalidInput, InvalidModel, Violation
from mlmodel.frameworks import Predict, Rows
from mlmodel.frameworks.sklearn.predict import frames as tables
from mlmodel.frameworks.sklearn.predict.column_values import converter, type_keys_of
from mlmodel.frameworks.sklearn.predict.fast_linear import has_formula
from mlmodel.frameworks.sklearn.predict.frames import Builder, Cells
from mlmodel.frameworks.sklearn.predict.predictions import (
    EstimatorPredict,
    NotFiniteError,
    build_predict,
)
from mlmodel.frameworks.sklearn.predict.unnamed import without_names
from mlmodel.frameworks.sklearn.schemas.column import Column, ModelInput, are_renamed, name_list
from mlmodel.frameworks.sklearn.schemas.probe import Probe
from mlmodel.frameworks.sklearn.structure import package_of
from mlmodel.frameworks.sklearn.traits import is_row_wise
from mlmodel.model import Row
from mlmodel.schema.examples import build_example
from mlmodel.schema.messages import to_pointer, to_short_json
from mlmodel.schema.shape import is_number

#: Packages that validate their input and raise errors about it.
LIBRARIES = frozenset(
    {
        "catboost",
        "imblearn",
        "lightgbm",
        "numpy",
        "pandas",
        "pyarrow",
        "scipy",
        "sklearn",
        "xgboost",
    }
)
#: Trees store numbers as float32.
LARGEST_FLOAT32 = 3.4e38
#: Rows that one error names.
MOST_VIOLATIONS = 5
#: Calls of the model to find the cause of one rejected request.
MOST_CALLS = 200

#: Characters of a model's own error that a message repeats.
MOST_CHARACTERS = 200
#: The detail of an error for a valid row whose prediction is not finite.
NOT_A_NUMBER = "the model returns NaN for this row, which is not a number: there is no prediction"


def build_predictor(
    model: Any,
    model_input: ModelInput | None,
    columns: Mapping[str, Any],
    outputs: Sequence[str] = (),
) -> SklearnPredictor:
    """Return the function that predicts for rows.

    It raises :class:`InvalidInput` for a value that satisfies the schema and the model rejects.

    :param columns: the members of a row and their schemas; empty if they are the model's own.
    :raises InvalidModel: if the model cannot predict for new rows, or not for rows like these.
    """
    cells = list(_cells(model_input, columns))
    row = {cell.name: cell.plain for cell in cells if cell.filler is None}
    call = build_call(model, model_input, columns, row, outputs)
    _check_members(call, row, columns)
    own = model_input.columns if model_input else ()
    # The schemas that are given, or the model's own.
    members = columns or column_schemas(own)
    renamed = {column.name for column in own if column.is_renamed and column.name in members}
    return SklearnPredictor(
        _with_underscores(call, renamed) if renamed else call,
        row,
        model_input,
        cells,
        members,
        tuple(outputs),
        ends_soon=has_formula(model),
        is_row_wise=is_row_wise(model),
    )


def _with_underscores(call: Predict, renamed: Set[str]) -> Predict:
    """Return a function for rows whose member names have blanks instead of underscores."""

    def own(name: str) -> str:
        written = name.replace(" ", "_")
        return written if written in renamed else name

    return lambda rows: call([{own(name): value for name, value in row.items()} for row in rows])


def build_call(
    model: Any,
    model_input: ModelInput | None,
    columns: Mapping[str, Any],
    row: Row,
    outputs: Sequence[str] = (),
) -> Predict:
    """Return the function that calls a model with rows, and raises what the model raises.

    :param row: tried to find the input shape that the model needs, if it is not known.
    """
    cells = list(_cells(model_input, columns))
    if model_input is not None and model_input.is_named and tables.are_floats(cells):
        bare = without_names(model)
        if bare is not None:
            return _grouped_call(cells, tables.column_major_builder, build_predict(bare, outputs))
    predict = build_predict(model, outputs)
    calls = [_grouped_call(cells, builder, predict) for builder in _builders(model_input, cells)]
    if len(calls) == 1:
        return calls[0]
    working = (call for call in calls if Probe(call, row).prediction is not None)
    return next(working, calls[0])


def column_schemas(columns: Sequence[Column]) -> dict[str, Any]:
    """Return the members of a row with these columns, and their schemas."""
    return {column.name: column.schema() for column in columns if column.is_read}


def _check_members(call: Predict, row: Row, columns: Mapping[str, Any]) -> None:
    """Reject members that lack a column which the model needs."""
    absent = [name for name in row if name not in columns] if columns else []
    if not absent:
        return
    rest = {name: value for name, value in row.items() if name in columns}
    probe = Probe(call, row)
    needed = [name for name in absent if probe.accepts([{name: None}], MOST_CALLS) == [False]]
    if needed or Probe(call, rest).prediction is None:
        raise InvalidModel(
            f"the input schema has no member for {name_list(needed or absent)}, "
            "which the model was fitted on"
        )


@dataclass(frozen=True)
class SklearnPredictor:
    """Predicts for rows. ``row`` is one that the model accepts, used to find what it rejects.

    ``call`` raises what the model raises. ``cells`` make a table of rows from ``members``, which
    have the schemas of a row's values.
    """

    call: Predict
    row: Row
    model_input: ModelInput | None
    cells: Sequence[Cells]
    members: Mapping[str, Any]
    outputs: Sequence[str]
    #: Whether a call is only arithmetic.
    ends_soon: bool
    #: Whether a prediction never depends on the other rows of a call, not even in the last digit.
    is_row_wise: bool

    def __call__(self, rows: Rows) -> list[Any]:
        """Return the predictions.

        :raises InvalidInput: with each violation and its row, if the model rejects some.
        """
        if not rows:
            return []
        try:
            return self.call(rows)
        except InvalidInput:
            raise
        # A model may raise anything. Only errors that the rows cause become violations.
        except Exception as error:
            violations = list(self._violations(rows, error)) if _is_input_error(error) else []
            if not violations:
                raise
            first = violations[0]
            words = f"{first.pointer or 'the row'}: {first.detail}"
            raise InvalidInput(words, violations=violations) from error

    def with_example(self, rows: Rows, *, is_guess: bool = True) -> SklearnPredictor:
        """Return the same predictor, with the first of some rows that the model accepts.

        :param rows: the model's examples; without any, a generated row is tried.
        :param is_guess: whether the schema was inferred without a sample.
        :raises InvalidModel: with the model's own error, if it accepts none of them.
        """
        error = None
        for row in rows or [self.row]:
            probe = Probe(self.call, row)
            if probe.prediction is not None:
                return replace(self, row=row)
            error = error or probe.error
        if isinstance(error, NotFittedError):
            raise InvalidModel("the model is not fitted: call fit before you save it") from error
        kind = "its own example" if rows else "a row generated from its schema"
        hint = "; if it needs other values, package it with a sample" if is_guess else ""
        raise InvalidModel(
            f"the model does not predict for {kind}{error_text(error)}{hint}"
        ) from error

    def _violations(self, rows: Rows, error: Exception) -> Iterator[Violation]:
        """Yield each value that the model rejects in a row that it otherwise accepts."""
        probe = Probe(self.call, self.row)
        if probe.prediction is None:
            return
        if isinstance(error, NotFiniteError) and error.rows and not _overflows(rows, error.rows):
            yield from (Violation("", NOT_A_NUMBER, at) for at in error.rows[:MOST_VIOLATIONS])
            return
        words = "" if isinstance(error, NotFiniteError) else error_text(error)
        for at in probe.rejected(rows, MOST_VIOLATIONS, MOST_CALLS):
            members = [{name: value} for name, value in rows[at].items()]
            wrong = [
                Violation(to_pointer(member), _detail(next(iter(member.values())), words), at)
                for member, is_accepted in zip(
                    members, probe.accepts(members, MOST_CALLS), strict=True
                )
                if is_accepted is False
            ]
            together = f"this model does not accept this combination of values{words}"
            yield from wrong or [Violation("", together, at)]


def _cells(model_input: ModelInput | None, columns: Mapping[str, Any]) -> Iterator[Cells]:
    """Yield the columns of the model's table, each with its member of a row."""
    if model_input is None or model_input.layout != "columns":
        own = model_input.columns if model_input else ()
        for name, schema in (columns or {each.name: each.schema() for each in own}).items():
            yield _cell(name, name, schema, plain=_plain(schema))
        return
    members = _members(model_input, list(columns))
    for column, member in zip(model_input.columns, members, strict=True):
        schema = dict(_mapping(columns.get(member)) or column.schema())
        if column.dtype and "x-dtype" not in schema:
            schema["x-dtype"] = column.dtype
        if column.dtype == "category" and column.choices and "x-categories" not in schema:
            schema = {"x-dtype": "category", "enum": list(column.choices)}
        filler = None if column.is_read else column.plain
        plain = column.plain if column.is_sure else _plain(columns.get(member, column.schema()))
        yield _cell(member, column.name, schema, filler, plain)


def _cell(name: str, label: str, schema: Any, filler: Any = None, plain: Any = None) -> Cells:
    convert = converter(_mapping(schema))
    return Cells(name, label, convert, filler, plain, type_keys_of(convert))


def _members(model_input: ModelInput, names: list[str]) -> list[str]:
    """Return the member for each of the model's columns.

    Members with other names than the columns are taken in the order of the columns.
    """
    own = [column.name for column in model_input.columns]
    if any(name in own for name in names) and not are_renamed(own, names):
        return own
    if len(names) == len(own):
        return names
    read = [column.name for column in model_input.columns if column.is_read]
    if not names:
        return own
    if len(names) != len(read):
        raise InvalidModel(
            f"the input schema has {len(names)} members, {name_list(names)}, but the model was "
            f"fitted on {len(read)} columns, {name_list(read)}"
        )
    given = dict(zip(read, names, strict=True))
    return [given.get(name, name) for name in own]


def _builders(model_input: ModelInput | None, cells: list[Cells]) -> list[Any]:
    """Return the builders of inputs that the model may accept, the likeliest first."""
    if model_input is None:
        is_text = len(cells) == 1 and isinstance(cells[0].plain, str)
        builders = [tables.frame_builder, tables.array_builder]
        return [tables.text_builder, *builders] if is_text else builders
    if model_input.layout == "texts":
        return [tables.text_builder]
    if model_input.layout == "records":
        return [tables.record_builder]
    if model_input.is_named:
        return [tables.frame_builder]
    return [tables.array_builder, tables.frame_builder]


def _grouped_call(
    cells: Sequence[Cells], builder: Callable[[Sequence[Cells]], Builder], predict: EstimatorPredict
) -> Predict:
    build, group = builder(cells), tables.row_grouper(cells)

    # An overflow shows as a prediction that is not finite, not as a warning.
    @np.errstate(all="ignore")
    def predict_alike(rows: Rows) -> list[Any]:
        return predict(build(rows))

    def call(rows: Rows) -> list[Any]:
        groups = group(rows) if len(rows) > 1 else ()
        if len(groups) <= 1:
            return predict_alike(rows)
        predictions: list[Any] = [None] * len(rows)
        for places in groups:
            try:
                some = predict_alike([rows[at] for at in places])
            except InvalidInput as error:
                raise error.map_rows(places) from error
            for at, prediction in zip(places, some, strict=True):
                predictions[at] = prediction
        return predictions

    return call


def error_text(error: Exception | None) -> str:
    """Return the type and the first line of a model's own error, in parentheses."""
    if error is None:
        return ""
    lines = str(error).strip().splitlines() or [""]
    return f" ({type(error).__name__}: {lines[0][:MOST_CHARACTERS]})"


def _overflows(rows: Rows, places: Sequence[int]) -> bool:
    """Return whether some rows have a number that is too large for most models."""
    return any(
        isinstance(value, int | float) and abs(value) > LARGEST_FLOAT32
        for at in places
        for value in rows[at].values()
    )


def _is_input_error(error: Exception) -> bool:
    """Return whether an error is a library's about its input, and not one of the author's code."""
    if isinstance(error, NotFiniteError):
        return True
    if package_of(error) in LIBRARIES:
        return True
    frames = list(traceback.walk_tb(error.__traceback__))
    module = str(frames[-1][0].f_globals.get("__name__", "")) if frames else ""
    is_about_values = isinstance(error, AssertionError | OverflowError | TypeError | ValueError)
    return is_about_values and module.partition(".")[0] in LIBRARIES


def _detail(value: Any, words: str) -> str:
    if value is None:
        return "must not be missing for this model"
    if is_number(value) and abs(value) > LARGEST_FLOAT32:
        return f"is too large for this model, got {to_short_json(value)}"
    return f"is not accepted by this model, got {to_short_json(value)}{words}"


def _plain(schema: Any) -> Any:
    """Return a value of a schema that a model most likely accepts."""
    if not isinstance(schema, Mapping) or "$ref" in schema:
        return None
    value = build_example(schema)
    return 1.0 if value is None else value


def _mapping(schema: Any) -> Mapping[str, Any]:
    return schema if isinstance(schema, Mapping) else {}

"""Infers the schemas of a fitted estimator, from the object itself and from a sample.

    columns        the input columns, followed through all parts of the estimator
    estimators     what each estimator stores about a column
    dtypes         column types of pandas, and their values in JSON
    sample         what a sample shows of a column
    merge          both combined, and where they disagree
    probe          what the model accepts, found by calling it
    output_schema  the schema of its predictions
    traits         what kind of model it is

It works for scikit-learn's estimators and those with the same interface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from sklearn.utils import get_tags

from mlmodel.frameworks import Schemas
from mlmodel.frameworks.sklearn.predict import predictor as plan
from mlmodel.frameworks.sklearn.predict.frames import converter
from mlmodel.frameworks.sklearn.schemas.column import Column, row_schema
from mlmodel.frameworks.sklearn.schemas.columns import Reading, read
from mlmodel.frameworks.sklearn.schemas.dtypes import MISSING, NONE
from mlmodel.frameworks.sklearn.schemas.merge import (
    aligned,
    disagreements,
    listed,
    merged,
    strangers,
)
from mlmodel.frameworks.sklearn.schemas.output_schema import answer_schema
from mlmodel.frameworks.sklearn.schemas.probe import Trial
from mlmodel.frameworks.sklearn.schemas.sample import Sample, check_reproduced, sampled
from mlmodel.frameworks.sklearn.schemas.traits import says
from mlmodel.model import Row
from mlmodel.schema.validator import Schema

#: Rows of a sample that are stored in the file, and rows from which they are selected.
EXAMPLES = 3
LOOKED_AT = 50
#: Calls of the model to probe one property of all columns.
MOST_CALLS = 2000

#: Calls of the model to find the columns that accept texts.
MOST_TEXTS = 100

#: The note on a model that predicts for an empty row.
ACCEPTS_NOTHING = (
    "the model accepts rows without any field: package it with a sample, or list the members that "
    "a row must have under 'required' in its input schema"
)

#: A text that no encoder has been fitted on.
STRANGE = "\N{WHITE QUESTION MARK ORNAMENT} none of them"


def infer(model: Any, sample: Any = None, outputs: Sequence[str] = ()) -> Schemas:
    """Return the schemas of a fitted estimator, with example rows and notes on doubts.

    :param sample: rows like those it was fitted on: a frame, array, series, sparse matrix or list.
    :param outputs: names of the outputs, if there are several.
    :raises InvalidModel: if it cannot predict for new rows, if the sample has other columns, or
        if the number of names differs from the number of outputs.
    """
    reading = read(model)
    if sample is not None:
        return _with_sample(model, reading, sampled(sample), outputs)
    if reading is None and says(lambda each: get_tags(each).input_tags.one_d_array, model):
        reading = Reading([Column("x0")])
    if reading is None:
        note = "the model does not tell which columns it takes: package it with a sample"
        return Schemas(output=answer_schema(model, outputs), notes=(note,))
    columns, trial = _tried(model, reading, _guesses(reading.columns))
    columns = _with_texts(model, reading, columns, trial)
    columns, notes = _probed(columns, reading, trial)
    if trial.answer is None:
        notes.append(_unanswered(trial))
    schema = _schema(columns, reading, trial)
    if not schema["required"] and reading.takes != "records":
        notes.append(ACCEPTS_NOTHING)
    return Schemas(schema, answer_schema(model, outputs, trial.answer), (), tuple(notes))


def predictor(
    model: Any, columns: Mapping[str, Any], outputs: Sequence[str] = ()
) -> plan.Predictor:
    """Return the function that predicts for rows, see the adapter's ``predictor``."""
    return plan.predictor(model, read(model), columns, outputs)


def _with_sample(
    model: Any, reading: Reading | None, sample: Sample, outputs: Sequence[str]
) -> Schemas:
    notes = strangers(reading, sample)
    reading, sample = aligned(reading, sample)
    own = reading.columns if reading else ()
    seen = sample.columns([column.name for column in own if not column.is_asked])
    columns = merged(reading, seen)
    _check_reproduced(columns, sample, seen)
    rows = list(islice(sample.rows(columns), LOOKED_AT))
    attempts = [(columns, row) for row in (rows[0], _row_of(columns))]
    columns, trial = _tried(model, reading, attempts)
    columns, doubts = _probed(columns, reading, trial, is_shown=True)
    notes += doubts + disagreements(columns, reading, sample, seen)
    if trial.answer is None:
        notes.append(_unanswered(trial))
    schema = _schema(columns, reading, trial)
    notes += sample.doubts()
    # A row without values that JSON lacks is tried, but it is not one of the sample's.
    whole = [row for row in rows if row.keys() >= schema["properties"].keys()]
    examples = tuple(islice(_good(whole, schema, trial), EXAMPLES))
    return Schemas(schema, answer_schema(model, outputs, trial.answer), examples, tuple(notes))


def _check_reproduced(
    columns: Iterable[Column], sample: Sample, seen: Mapping[str, Column]
) -> None:
    """Reject a sample with a column that does not survive JSON.

    :raises InvalidModel: naming the column and a value of it.
    """
    for column in columns:
        own = seen.get(column.name)
        if own is not None and column.is_asked and own.is_sure and own.dtype != "category":
            check_reproduced(column.name, sample.table[column.name], converter(own.schema()))


def _tried(
    model: Any, reading: Reading | None, attempts: Iterable[tuple[list[Column], Row]]
) -> tuple[list[Column], Trial]:
    """Return the first columns with a row that the model accepts; the last if it accepts none."""
    for columns, row in attempts:
        # As if each could be missing, which is then probed with this model.
        members = plan.own_columns([replace(column, is_nullable=True) for column in columns])
        trial = Trial(plan.asker(model, reading, members, row), row)
        if trial.answer is not None:
            break
    return columns, trial


def _with_texts(model: Any, reading: Reading, columns: list[Column], trial: Trial) -> list[Column]:
    """Return the columns, with those of any type that may also be texts marked so.

    These are columns that only an estimator of another package reads.
    """
    unsure = [
        column.name
        for at, column in enumerate(columns)
        if column.is_asked
        and not column.is_sure
        and column.kind == "number"
        and at not in reading.strict
    ]
    if trial.answer is None or not unsure:
        return columns
    members = plan.own_columns(
        [replace(each, kind="") if each.name in unsure else each for each in columns]
    )
    mixed = Trial(plan.asker(model, reading, members, trial.row), trial.row)
    says = mixed.takes([{name: STRANGE} for name in unsure], MOST_TEXTS)
    taken = {name for name, is_taken in zip(unsure, says, strict=True) if is_taken}
    return [replace(each, kind="") if each.name in taken else each for each in columns]


def _guesses(columns: list[Column]) -> Iterator[tuple[list[Column], Row]]:
    """Yield columns with rows made for them.

    The type of a column that only an unknown estimator reads is not known: a number is tried
    first, then a text. Estimators of compiled code may take only the floats they were fitted on.
    """
    for kind in ("number", "string", ""):
        guessed = [column if column.is_sure else replace(column, kind=kind) for column in columns]
        yield guessed, _row_of(guessed)
    singles = [
        replace(column, dtype="float32") if column.kind == "number" else column
        for column in columns
    ]
    yield singles, _row_of(singles)


def _row_of(columns: Iterable[Column]) -> dict[str, Any]:
    return {column.name: column.plain for column in columns if column.is_asked}


def _probed(
    columns: list[Column], reading: Reading | None, trial: Trial, *, is_shown: bool = False
) -> tuple[list[Column], list[str]]:
    """Return the columns after probing missing values, new categories and fractions.

    The notes name columns that were not probed, for which the schema is not strict.
    """
    if reading is not None and reading.takes == "records":
        return columns, []
    if trial.answer is None:
        return [replace(column, is_open=bool(column.choices)) for column in columns], []
    strict = reading.strict if reading is not None else set()
    asked = [at for at, column in enumerate(columns) if column.is_asked]
    closed = [
        at
        for at in asked
        if columns[at].choices
        and columns[at].kind != "boolean"
        and not columns[at].has_texts_of_values
    ]
    whole = [at for at in closed if columns[at].kind == "integer" and not is_shown]
    shown = [at for at in asked if columns[at].is_whole and not columns[at].choices]
    nullable = _said(trial, columns, [at for at in asked if at not in strict], _nothing)
    with_none = _said(trial, columns, _in_objects(columns, nullable), _none)
    is_open = _said(trial, columns, closed, _stranger)
    takes_any = _said(trial, columns, whole + shown, _fraction)
    unknown = sorted({at for said in (nullable, is_open) for at in said if said[at] is None})
    probed = [
        replace(
            column,
            is_nullable=nullable.get(at, False) is not False or bool(with_none.get(at)),
            missing=("None",) if with_none.get(at) else column.missing,
            is_open=is_open.get(at, False) is not False
            or column.is_open
            or column.has_texts_of_values,
            kind="number" if takes_any.get(at) else column.kind,
        )
        for at, column in enumerate(columns)
    ]
    probed, notes = _unambiguous(probed, trial)
    return probed, notes + ([_unasked([columns[at].name for at in unknown])] if unknown else [])


def _in_objects(columns: list[Column], nullable: Mapping[int, bool | None]) -> list[int]:
    """Return the columns of Python objects in which the model rejects NaN but may accept None."""
    return [
        at
        for at, is_taken in nullable.items()
        if is_taken is False and columns[at].dtype == "object" and not columns[at].missing
    ]


def _unambiguous(columns: list[Column], trial: Trial) -> tuple[list[Column], list[str]]:
    """Return the columns; not nullable are those in which None and NaN predict differently."""
    kept, notes = list(columns), []
    for at, column in enumerate(columns):
        if len(column.missing) < 2 or not (column.is_nullable and column.is_asked):  # noqa: PLR2004
            continue
        values = [NONE if name == "None" else MISSING[name] for name in column.missing]
        first, *others = [trial.answer_with({column.name: value}) for value in values]
        if any(other != first for other in others):
            kept[at] = replace(column, is_nullable=False)
            words = " and ".join(column.missing)
            notes.append(
                f"{column.name} has both {words} as missing values, and the model predicts "
                "differently for them: null is not accepted"
            )
    return kept, notes


def _said(
    trial: Trial, columns: list[Column], places: list[int], other: Callable[[Column], Any]
) -> dict[int, bool | None]:
    """Return for some columns whether the model accepts another value there."""
    changes = [{columns[at].name: other(columns[at])} for at in places]
    return dict(zip(places, trial.takes(changes, MOST_CALLS), strict=True))


def _nothing(_column: Column) -> None:
    return None


def _none(_column: Column) -> Any:
    return NONE


def _stranger(column: Column) -> Any:
    """Return a value of a column's kind that is not among its choices."""
    return max(column.choices) + 1 if column.is_numeric else STRANGE


def _fraction(column: Column) -> float:
    """Return a fraction that is not among a column's choices."""
    return float(max(column.choices or column.examples or (0,)) + 1.5)


def _schema(columns: list[Column], reading: Reading | None, trial: Trial) -> dict[str, Any]:
    schema = row_schema(columns)
    if reading is not None and reading.takes == "records":
        # Such a model ignores unknown members.
        del schema["additionalProperties"]
    row = _row_of(columns)
    if trial.takes([row], MOST_CALLS) == [True]:
        schema["examples"] = [row]
    return schema


def _good(rows: list[dict[str, Any]], schema: dict[str, Any], trial: Trial) -> Iterator[Row]:
    """Yield the rows that satisfy the schema and that the model accepts."""
    judge = Schema(schema)
    fitting = [row for row in rows if not judge.violations(row)]
    refused = trial.refused(fitting, len(fitting), MOST_CALLS)
    yield from (row for at, row in enumerate(fitting) if at not in refused)


def _unasked(names: list[str]) -> str:
    return (
        f"the model has too many columns to be asked about all: whether it takes missing or new "
        f"values in {listed(names)} is not known, so the schema takes them"
    )


def _unanswered(trial: Trial) -> str:
    return (
        "the model does not predict for a row that was made of what is known of it"
        f"{plan.error_text(trial.error)}: its schemas are a guess"
    )

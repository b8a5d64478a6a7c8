"""Infers the schemas of a fitted estimator, from the object itself and from a sample.

It works for scikit-learn's estimators and those with the same interface.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from sklearn.utils import get_tags

from mlmodel.frameworks import Schemas
from mlmodel.frameworks.sklearn.predict.column_values import converter
from mlmodel.frameworks.sklearn.predict.predictor import (
    SklearnPredictor,
    build_call,
    build_predictor,
    column_schemas,
    error_text,
)
from mlmodel.frameworks.sklearn.schemas.column import Column, ModelInput, row_schema
from mlmodel.frameworks.sklearn.schemas.merge import (
    align,
    disagreements,
    merge_columns,
    unknown_columns,
)
from mlmodel.frameworks.sklearn.schemas.output_schema import prediction_schema
from mlmodel.frameworks.sklearn.schemas.probe import MOST_CALLS, UNKNOWN_TEXT, Probe, probe_columns
from mlmodel.frameworks.sklearn.schemas.sample import Sample, check_reproduced, to_sample
from mlmodel.frameworks.sklearn.schemas.tracing import read_input
from mlmodel.frameworks.sklearn.traits import has_tag
from mlmodel.model import Row
from mlmodel.schema.validator import Schema

#: Rows of a sample that are stored in the file, and rows from which they are selected.
EXAMPLES = 3
CANDIDATE_ROWS = 50
#: Calls of the model to find the columns that accept texts.
MOST_TEXTS = 100

#: The note on a model that predicts for an empty row.
ACCEPTS_NOTHING = (
    "the model accepts empty rows: package it with a sample, or list the members that "
    "a row must have under 'required' in its input schema"
)


def infer(model: Any, sample: Any = None, outputs: Sequence[str] = ()) -> Schemas:
    """Return the schemas of a fitted estimator, with example rows and notes on doubts.

    :param sample: rows like those it was fitted on: a frame, array, series, sparse matrix or list.
    :param outputs: names of the outputs, if there are several.
    :raises InvalidModel: if it cannot predict for new rows, if the sample has other columns, or
        if the number of names differs from the number of outputs.
    """
    model_input = read_input(model)
    if sample is not None:
        return _with_sample(model, model_input, to_sample(sample), outputs)
    if model_input is None and has_tag(lambda each: get_tags(each).input_tags.one_d_array, model):
        model_input = ModelInput([Column("x0")])
    if model_input is None:
        note = "the columns of the model are unknown: package it with a sample"
        return Schemas(output=prediction_schema(model, outputs), notes=(note,))
    columns, probe = _try_columns(model, model_input, _guesses(model_input.columns))
    columns = _with_texts(model, model_input, columns, probe)
    columns, notes = probe_columns(columns, model_input, probe)
    if probe.prediction is None:
        notes.append(_failure_note(probe))
    schema = _schema(columns, model_input, probe)
    if not schema["required"] and model_input.layout != "records":
        notes.append(ACCEPTS_NOTHING)
    return Schemas(schema, prediction_schema(model, outputs, probe.prediction), (), tuple(notes))


def predictor(
    model: Any, columns: Mapping[str, Any], outputs: Sequence[str] = ()
) -> SklearnPredictor:
    """Return the function that predicts for rows, see the adapter's ``predictor``."""
    return build_predictor(model, read_input(model), columns, outputs)


def _with_sample(
    model: Any, model_input: ModelInput | None, sample: Sample, outputs: Sequence[str]
) -> Schemas:
    notes = unknown_columns(model_input, sample)
    model_input, sample = align(model_input, sample)
    own = model_input.columns if model_input else ()
    seen = sample.columns([column.name for column in own if not column.is_read])
    columns = merge_columns(model_input, seen)
    _check_reproduced(columns, sample, seen)
    rows = list(islice(sample.rows(columns), CANDIDATE_ROWS))
    attempts = [(columns, row) for row in (rows[0], _row_of(columns))]
    columns, probe = _try_columns(model, model_input, attempts)
    columns, doubts = probe_columns(columns, model_input, probe, is_sampled=True)
    notes += doubts + disagreements(columns, model_input, sample, seen)
    if probe.prediction is None:
        notes.append(_failure_note(probe))
    schema = _schema(columns, model_input, probe)
    notes += sample.doubts()
    # A row without values that JSON lacks is tried, but it is not one of the sample's.
    whole = [row for row in rows if row.keys() >= schema["properties"].keys()]
    examples = tuple(islice(_accepted_rows(whole, schema, probe), EXAMPLES))
    return Schemas(
        schema,
        prediction_schema(model, outputs, probe.prediction),
        examples,
        tuple(notes),
        sample.values(columns),
        sample.even_rows(columns),
    )


def _check_reproduced(
    columns: Iterable[Column], sample: Sample, seen: Mapping[str, Column]
) -> None:
    """Reject a sample with a column that does not survive JSON.

    :raises InvalidModel: naming the column and a value of it.
    """
    for column in columns:
        own = seen.get(column.name)
        if own is not None and column.is_read and own.is_sure and own.dtype != "category":
            check_reproduced(column.name, sample.table[column.name], converter(own.schema()))


def _try_columns(
    model: Any, model_input: ModelInput | None, attempts: Iterable[tuple[list[Column], Row]]
) -> tuple[list[Column], Probe]:
    """Return the first columns with a row that the model accepts; the last if it accepts none."""
    for columns, row in attempts:
        # As if each could be missing, which is then probed with this model.
        members = column_schemas([replace(column, is_nullable=True) for column in columns])
        probe = Probe(build_call(model, model_input, members, row), row)
        if probe.prediction is not None:
            break
    return columns, probe


def _with_texts(
    model: Any, model_input: ModelInput, columns: list[Column], probe: Probe
) -> list[Column]:
    """Return the columns, with those of any type that may also be texts marked so.

    These are columns that only an estimator of another package reads.
    """
    unsure = [
        column.name
        for at, column in enumerate(columns)
        if column.is_read
        and not column.is_sure
        and column.kind == "number"
        and at not in model_input.strict
    ]
    if probe.prediction is None or not unsure:
        return columns
    members = column_schemas(
        [replace(each, kind="") if each.name in unsure else each for each in columns]
    )
    mixed = Probe(build_call(model, model_input, members, probe.row), probe.row)
    found = mixed.accepts([{name: UNKNOWN_TEXT} for name in unsure], MOST_TEXTS)
    accepted = {name for name, is_accepted in zip(unsure, found, strict=True) if is_accepted}
    return [replace(each, kind="") if each.name in accepted else each for each in columns]


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
    return {column.name: column.plain for column in columns if column.is_read}


def _schema(columns: list[Column], model_input: ModelInput | None, probe: Probe) -> dict[str, Any]:
    schema = row_schema(columns)
    if model_input is not None and model_input.layout == "records":
        # Such a model ignores unknown members.
        del schema["additionalProperties"]
    row = _row_of(columns)
    if probe.accepts([row], MOST_CALLS) == [True]:
        schema["examples"] = [row]
    return schema


def _accepted_rows(
    rows: list[dict[str, Any]], schema: dict[str, Any], probe: Probe
) -> Iterator[Row]:
    """Yield the rows that satisfy the schema and that the model accepts."""
    validator = Schema(schema)
    fitting = [row for row in rows if not validator.violations(row)]
    rejected = probe.rejected(fitting, len(fitting), MOST_CALLS)
    yield from (row for at, row in enumerate(fitting) if at not in rejected)


def _failure_note(probe: Probe) -> str:
    return (
        f"the model does not predict for a row generated from its columns"
        f"{error_text(probe.error)}: its schemas may be wrong"
    )

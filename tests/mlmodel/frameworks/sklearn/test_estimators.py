"""Many kinds of estimators, from the fitted object to the response of the server."""

import functools
import json
import math
from contextlib import suppress
from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest

from app.web.pages.forms import build
from mlmodel import InvalidInput
from mlmodel import load as load_file
from mlmodel.schema.validator import Schema
from tests.estimators import CASES, MUTE, OWN, built
from tests.reference_answers import answers_of

WAYS = [(name, way) for name in CASES for way in ("object", "sample")]

each_case = pytest.mark.parametrize(
    ("name", "way"),
    [(name, way) for name, way in WAYS if way == "sample" or name not in MUTE],
    ids=lambda word: word,
)

#: Values that some schema takes and some model does not.
EXTREMES = [
    0,
    -1,
    1e300,
    -1.7e308,
    5e-324,
    10**30,
    3.5e38,
    None,
    True,
    "",
    "\x00",
    "nan",
    "a" * 5000,
]
EXTREMES += ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2016-12-31T23:59:60Z", "0001-01-01"]


@pytest.fixture
def packaged(name, way, case_file):
    """A case, and the path of its file."""
    return built(name), case_file(name, way)


def trust_of(path):
    """Return the names that are trusted in the file of a case: ``<case>-<way>.flm``."""
    return OWN.get(path.stem.partition("-")[0], ())


@functools.cache
def load(path):
    return load_file(path, trust=trust_of(path))


def rows_of(case, path):
    """Return the data of a case as JSON rows, whole ones, as a table's owner would send them."""
    data = case.data.toarray() if hasattr(case.data, "toarray") else case.data
    if isinstance(data, pd.DataFrame):
        names = list(load(path).input_schema["properties"])
        # LightGBM replaces unusual names of columns.
        table = data.set_axis(names, axis=1) if len(names) == data.shape[1] else data
        return [as_json(row) for row in table.astype(object).to_dict(orient="records")]
    if isinstance(data[0], dict):
        return data
    if isinstance(data[0], str):
        return [{"text": text} for text in data]
    return [as_json({f"x{at}": value for at, value in enumerate(row)}) for row in data]


def as_json(row):
    return {name: plain(value) for name, value in row.items()}


def plain(value):
    if isinstance(value, datetime | date):
        return f"{value.isoformat()}Z"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value


def nearly(value):
    """Return a prediction whose numbers compare equal to nine digits, with null for NaN."""
    if isinstance(value, dict):
        return {name: nearly(member) for name, member in value.items()}
    if isinstance(value, float):
        return None if math.isnan(value) else pytest.approx(value, rel=1e-9, abs=1e-12)
    return value


def nearly_each(answers):
    return [nearly(answer) for answer in answers]


@each_case
def test_training_rows_match_input_schema(packaged):
    case, path = packaged
    schema = Schema(load(path).input_schema)

    assert [each for row in rows_of(case, path) for each in schema.violations(row)] == []


@each_case
def test_a_wrong_row_does_not_fit(packaged):
    case, path = packaged
    schema = Schema(load(path).input_schema)

    wrong = {**rows_of(case, path)[0], **case.wrong}
    (name,) = case.wrong
    pointers = {each.pointer for each in schema.violations(wrong)}
    assert pointers == {"/" + name.replace("/", "~1")}


@each_case
def test_every_used_column_has_field(packaged):
    _, path = packaged
    schema = load(path).input_schema

    form = build(schema)
    assert [field.key for field in form.fields] == list(schema["properties"])
    assert "json" not in {field.kind for field in form.descendants()}


@each_case
def test_model_and_estimator_predictions_are_equal(packaged):
    case, path = packaged

    answers = load(path).predict_rows(rows_of(case, path))

    assert answers == nearly_each(answers_of(case.model, case.data, case.outputs))


@each_case
def test_example_row_is_predicted(packaged):
    _, path = packaged
    model = load(path)

    example = Schema(model.input_schema).example()
    answers = model.predict_rows([example, *model.examples])
    promise = Schema(model.output_schema)
    assert [each for answer in answers for each in promise.violations(answer)] == []


@each_case
def test_valid_rows_are_predicted_or_rejected(packaged):
    _, path = packaged
    model = load(path)
    promise = Schema(model.output_schema)

    answered = 0
    for row in extreme_rows(model.input_schema):
        with suppress(InvalidInput):
            answer = json.loads(json.dumps(model.predict(row), allow_nan=False))
            answered += 1
            assert promise.violations(answer) == []
    assert answered


def extreme_rows(schema):
    """Return rows that fit, each with another extreme value wherever that fits."""
    whole = Schema(schema)
    plain = whole.example()
    rows = [
        {
            name: other if whole.violations({**plain, name: value}, most=1) else value
            for name, other in plain.items()
        }
        for value in EXTREMES
    ]
    # Where a value fits nowhere, the row is the plain one.
    return whole.convert([plain, *(row for row in rows if row != plain)])

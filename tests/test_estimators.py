"""Estimators of every shape, from the fitted object to the answer of the service."""

import json
import math
import warnings
from contextlib import suppress
from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest

from app.web.forms import build
from mlmodel import InvalidInput, dump, load
from mlmodel.schema import Schema
from tests.estimators import CASES, MUTE, built

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
def packaged(name, way, tmp_path):
    """A case, and the path of its file."""
    case = built(name)
    path = tmp_path / "model.flm"
    sample = case.data if way == "sample" else None
    dump(case.model, path, sample=sample, outputs=case.outputs)
    return case, path


def rows_of(case, path):
    """Return the data of a case as JSON rows, whole ones, as a table's owner would send them."""
    data = case.data.toarray() if hasattr(case.data, "toarray") else case.data
    if isinstance(data, pd.DataFrame):
        names = list(load(path).input_schema["properties"])
        # LightGBM has names of its own where those of the data are not plain.
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


def expected(case, method):
    """Return what the estimator itself answers, as plain lists; ``None`` if it does not."""
    if not hasattr(case.model, method):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = getattr(case.model, method)(case.data)
    parts = told if isinstance(told, list) else [told]
    return [np.asarray(part.toarray() if hasattr(part, "toarray") else part) for part in parts]


def flat(values):
    """Return the leaves of an answer's member, in their order."""
    if isinstance(values, dict):
        return [leaf for value in values.values() for leaf in flat(value)]
    return [values]


def told(answers, member):
    return [flat(answer[member]) for answer in answers]


def same(found, wanted):
    """Tell whether leaves are the same, numbers to nine digits, and NaN is null."""
    table = np.concatenate([part.reshape(len(found), -1) for part in wanted], axis=1)
    if table.dtype.kind == "f":
        return np.allclose(np.array(found, dtype=float), table, rtol=1e-9, equal_nan=True)
    return found == table.tolist()


@each_case
def test_every_row_that_a_model_was_fitted_on_fits_its_schema(packaged):
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
def test_every_column_that_a_model_reads_has_a_field(packaged):
    _, path = packaged
    schema = load(path).input_schema

    form = build(schema)
    assert [field.key for field in form.fields] == list(schema["properties"])
    assert "json" not in {field.kind for field in form.within()}


@each_case
def test_the_service_answers_what_the_estimator_answers(packaged, make_app):
    case, path = packaged
    client = make_app(f"models: [{{file: {json.dumps(str(path))}, name: m}}]").test_client()

    answers = client.post("/api/models/m/predict", json=rows_of(case, path)).get_json()

    method = "predict" if hasattr(case.model, "predict") else "transform"
    assert same(told(answers, "prediction"), expected(case, method))
    if "probabilities" in answers[0]:
        assert same(told(answers, "probabilities"), expected(case, "predict_proba"))
    if "scores" in answers[0]:
        assert same(told(answers, "scores"), expected(case, "decision_function"))


@each_case
def test_a_model_s_example_is_answered(packaged):
    _, path = packaged
    model = load(path)

    example = Schema(model.input_schema).example()
    answers = model.predict_rows([example, *model.examples])
    promise = Schema(model.output_schema)
    assert [each for answer in answers for each in promise.violations(answer)] == []


@each_case
def test_whatever_fits_the_schema_is_answered_or_refused_in_words(packaged):
    _, path = packaged
    model = load(path)
    promise = Schema(model.output_schema)

    for row in extreme_rows(model.input_schema):
        with suppress(InvalidInput):
            answer = json.loads(json.dumps(model.predict(row), allow_nan=False))
            assert promise.violations(answer) == []


def extreme_rows(schema):
    """Return rows that fit, each with another extreme value wherever that fits."""
    whole = Schema(schema)
    plain = whole.example()
    rows = [
        {name: value if fits(value, schema, name, plain) else plain[name] for name in plain}
        for value in EXTREMES
    ]
    return [whole.converted(row) for row in rows]


def fits(value, schema, name, plain):
    return not Schema(schema).violations({**plain, name: value})

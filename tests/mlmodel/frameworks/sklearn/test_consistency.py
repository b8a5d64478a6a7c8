"""A row's prediction equals the estimator's to the last digit, independent of other rows.

For every model of the test estimators: alone, in a batch in any order, written by columns, from a
CSV file, from the form, and during concurrent calls.
"""

import csv
import html
import io
import json
import math
import random
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from app import create_app
from app.serving.models.manager import ModelManager
from app.serving.tables.csv_cells import to_text
from mlmodel import dump
from tests.estimators import CASES, built
from tests.mlmodel.frameworks.sklearn.test_estimators import rows_of, trust_of
from tests.reference_answers import answers_of

#: Rows that are predicted each by itself, and callers at a time.
SOME = 6
CALLERS = 24


@pytest.fixture(scope="module", params=CASES)
def service(request, tmp_path_factory):
    """A case, its rows in JSON, and the application with its model."""
    case, folder = built(request.param), tmp_path_factory.mktemp("models")
    path, catalog = folder / f"{request.param}.flm", folder / "models.yaml"
    dump(case.model, path, sample=case.data, outputs=case.outputs)
    entry = {"file": str(path), "name": "m", "trust": trust_of(path)}
    catalog.write_text(json.dumps({"models": [entry]}), encoding="utf-8")
    environ = {
        "APP_SETTINGS": "testing",
        "MODELHOST_MODELS_FILE": str(catalog),
        "MODELHOST_MODEL_WAITING": str(CALLERS),
    }
    yield case, rows_of(case, path), create_app(environ)
    ModelManager().close()


def some_of(data, places):
    """Return rows of a case's data, in the type that it has."""
    if hasattr(data, "iloc"):
        return data.iloc[places]
    if hasattr(data, "tocsr"):
        return data.tocsr()[places]
    return data[places] if isinstance(data, np.ndarray) else [data[at] for at in places]


def own(case, places):
    """Return the estimator's own predictions for rows, in one call."""
    return exact(answers_of(case.model, some_of(case.data, places), case.outputs))


def exact(value):
    """Return a prediction as JSON: NaN is null."""
    if isinstance(value, dict):
        return {name: exact(member) for name, member in value.items()}
    if isinstance(value, list):
        return list(map(exact, value))
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return value.item() if isinstance(value, np.generic) else value


def ask(app, body):
    response = app.test_client().post("/api/models/m/predict", json=body)
    assert response.status_code == 200, response.get_json()
    return response.get_json()


def in_any_order(rows):
    places = list(range(len(rows)))
    random.Random(3).shuffle(places)
    return places


def test_predictions_do_not_depend_on_batch(service):
    case, rows, app = service
    places = in_any_order(rows)

    assert ask(app, [rows[at] for at in places]) == own(case, places)
    for at in places[:SOME]:
        assert ask(app, rows[at]) == own(case, [at])[0]

    names = list(rows[0])
    if all(list(row) == names for row in rows):
        lines = [[rows[at][name] for name in names] for at in places]
        assert ask(app, {"columns": names, "data": lines}) == own(case, places)


def test_csv_and_form_predictions_are_equal(service):
    case, rows, app = service
    names = list(rows[0])
    text = io.StringIO()
    csv.writer(text).writerows([names, *([cell(row.get(name)) for name in names] for row in rows)])

    client = app.test_client()
    sheet = client.post("/api/models/m/rows", data=text.getvalue(), content_type="text/csv")
    read = [row_of(sheet.get_json(), line) for line in sheet.get_json()["lines"]]
    assert ask(app, read) == own(case, range(len(rows)))

    page = client.post("/models/m/predict", data={"row": json.dumps(rows[0])}).get_data(
        as_text=True
    )
    (said,) = re.findall(r"<pre tabindex=\"0\"><code>(.*?)</code>", page, re.DOTALL)
    assert json.loads(html.unescape(said)) == own(case, [0])[0]


def test_predictions_do_not_depend_on_callers(service):
    case, rows, app = service
    places = in_any_order(rows)[:CALLERS]
    expected = [own(case, [at])[0] for at in places]

    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(lambda at: ask(app, rows[at]), places * 2))

    assert answers == expected * 2


def cell(value):
    return "" if value is None else to_text(value)


def row_of(sheet, line):
    pairs = enumerate(zip(sheet["columns"], line["cells"], strict=True))
    return {name: value for at, (name, value) in pairs if at not in line["blank"]}

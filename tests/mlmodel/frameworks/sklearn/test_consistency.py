"""A row's prediction equals the estimator's to the last digit, independent of other rows.

For every model of the test estimators: alone, in a batch in any order, written by columns, from a
CSV file, from the form, and during concurrent calls.
"""

import csv
import functools
import html
import io
import json
import math
import random
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from app import create_app
from app.serving.models.manager import ModelManager
from app.serving.tables.csv_cells import to_text
from tests.estimators import CASES, built
from tests.mlmodel.frameworks.sklearn.test_estimators import rows_of, trust_of
from tests.reference_answers import answers_of

#: Rows that are predicted each by itself, and callers at a time.
SOME = 3
CALLERS = 12


@dataclass(frozen=True)
class Service:
    """A case, its rows in JSON, and its model in an application."""

    case: Any
    rows: list[Any]
    app: Any
    name: str
    #: From the place of a row to the estimator's own prediction for this row alone.
    alone: Callable[[int], Any]

    def ask(self, body):
        path = f"/api/models/{self.name}/predict"
        response = self.app.test_client().post(path, json=body)
        assert response.status_code == 200, response.get_json()
        return response.get_json()


@pytest.fixture(scope="module")
def hosted(request, tmp_path_factory, case_file, without_trials):
    """One application with the models of all cases that are tested."""
    catalog, entries = tmp_path_factory.mktemp("models") / "models.yaml", []
    parameters = [
        each.callspec.params for each in request.session.items if hasattr(each, "callspec")
    ]
    for name in dict.fromkeys(each["service"] for each in parameters if "service" in each):
        with suppress(pytest.skip.Exception):  # its library is not installed
            path = case_file(name)
            entry = {"file": str(path), "name": in_url(name), "trust": trust_of(path)}
            entries.append(entry)
    catalog.write_text(json.dumps({"models": entries}), encoding="utf-8")
    environ = {
        "APP_SETTINGS": "testing",
        "MODELHOST_MODELS_FILE": str(catalog),
        "MODELHOST_MODEL_WAITING": str(CALLERS),
    }
    yield create_app(environ)
    ModelManager().close()


def in_url(name):
    return name.replace(" ", "-")


@pytest.fixture(scope="module", params=CASES)
def service(request, hosted, case_file):
    case = built(request.param)
    rows = rows_of(case, case_file(request.param))
    alone = functools.cache(lambda at: own(case, [at])[0])
    return Service(case, rows, hosted, in_url(request.param), alone)


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


def in_any_order(rows):
    places = list(range(len(rows)))
    random.Random(3).shuffle(places)
    return places


def test_predictions_do_not_depend_on_batch(service):
    case, rows = service.case, service.rows
    places = in_any_order(rows)

    assert service.ask([rows[at] for at in places]) == own(case, places)
    for at in places[:SOME]:
        assert service.ask(rows[at]) == service.alone(at)

    names = list(rows[0])
    if all(list(row) == names for row in rows):
        lines = [[rows[at][name] for name in names] for at in places]
        assert service.ask({"columns": names, "data": lines}) == own(case, places)


def test_csv_and_form_predictions_are_equal(service):
    case, rows = service.case, service.rows
    names = list(rows[0])
    text = io.StringIO()
    csv.writer(text).writerows([names, *([cell(row.get(name)) for name in names] for row in rows)])

    client = service.app.test_client()
    sheet = client.post(
        f"/api/models/{service.name}/rows", data=text.getvalue(), content_type="text/csv"
    )
    read = [row_of(sheet.get_json(), line) for line in sheet.get_json()["lines"]]
    assert service.ask(read) == own(case, range(len(rows)))

    form = {"row": json.dumps(rows[0])}
    page = client.post(f"/models/{service.name}/predict", data=form).get_data(as_text=True)
    (said,) = re.findall(r"<pre tabindex=\"0\"><code>(.*?)</code>", page, re.DOTALL)
    assert json.loads(html.unescape(said)) == service.alone(0)


def test_predictions_do_not_depend_on_callers(service):
    places = in_any_order(service.rows)[:CALLERS]
    expected = list(map(service.alone, places))

    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(lambda at: service.ask(service.rows[at]), places))

    assert answers == expected


def cell(value):
    return "" if value is None else to_text(value)


def row_of(sheet, line):
    pairs = enumerate(zip(sheet["columns"], line["cells"], strict=True))
    return {name: value for at, (name, value) in pairs if at not in line["blank"]}

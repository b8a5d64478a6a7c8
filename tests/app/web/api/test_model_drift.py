"""Drift in the prediction log, as JSON, as a page and as a metric."""

import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.serving.calls.caller import CALLER, Caller
from app.serving.monitoring.references import fill_defaults
from app.serving.prediction_log.policy import LogPolicy
from app.serving.prediction_log.writer import LoggedModel
from mlmodel.schema.validator import Schema
from tests.new_keys import NewKey

MODELS = "models: [{class: tests.models.simple.Doubler, log: true}]"
PATH = "/models/doubler/health"
DAY_SECONDS = 86_400


@pytest.fixture
def client(make_app):
    """A client with an admin key, which predictions do not require."""
    key = NewKey("admin")
    client = make_app(MODELS, KEYS=[key], KEYS_FOR="admin").test_client()
    client.environ_base |= key.environ
    return client


@pytest.fixture
def fill(client, monkeypatch):
    """A function that logs rows some days ago, as the predictor does."""
    prediction_log = client.application.extensions["modelhost"].predictor.prediction_log

    def fill(xs, days_ago=0):
        now = time.time() - days_ago * DAY_SECONDS
        token = CALLER.set(Caller("r", None, "api"))
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: now)
            rows = [{"x": x} for x in xs]
            predictions = [{"y": 2 * x} for x in xs]
            model = LoggedModel("doubler", "doubler", "1", "native")
            prediction_log.add(LogPolicy(), model, rows, predictions, seconds=0.1)
        CALLER.reset(token)
        prediction_log.flush()

    return fill


def drift(client, query=""):
    return client.get(f"/api{PATH}{query}").json["drift"]


def test_first_predictions_become_the_reference(client, fill):
    fill(range(900), days_ago=20)
    assert "Not measured yet" in client.get("/health").text
    assert drift(client)["state"] == "no-reference"
    assert "900 of 1,000 rows" in client.get("/health").text, "as on the page of the model"
    assert "100 more are needed" in client.get(PATH).text
    early = client.post(f"/api{PATH}/reference")
    assert (early.status_code, early.json["title"]) == (409, "Too few rows")
    fill(range(900, 1_000), days_ago=19)
    anonymous = client.application.test_client()
    assert anonymous.post(f"/api{PATH}/reference").status_code == 401
    assert '<button class="btn btn-primary"' not in anonymous.get(PATH).text

    assert client.post(f"{PATH}/reference").location == PATH

    assert client.post(f"/api{PATH}/reference").json == {"source": "log", "rows": 1_000}
    few = drift(client)
    assert (few["state"], few["rows"], few["missing_rows"]) == ("too-few-rows", 0, 1_000)
    assert "1,000 more are needed" in client.get(PATH).text
    assert drift(client, "?days=30")["rows"] == 0, "those of the reference are not compared"


def test_reference_is_created_by_two_requests_at_once(client, fill, monkeypatch):
    fill(range(1000))
    replace_file = Path.replace
    statuses = []

    def replace_second(path, target):
        """Replace the file after another request has done the same."""
        monkeypatch.setattr(Path, "replace", replace_file)
        statuses.append(client.post(f"/api{PATH}/reference").status_code)
        return path.replace(target)

    monkeypatch.setattr(Path, "replace", replace_second)
    statuses.append(client.post(f"/api{PATH}/reference").status_code)

    assert statuses == [200, 200]
    assert drift(client)["reference"]["source"] == "log"


def test_rows_after_the_first_are_compared_even_of_the_same_request(client, fill):
    fill(range(800), days_ago=2)
    fill(range(500), days_ago=1)
    fill([1])

    client.post(f"/api{PATH}/reference")

    assert drift(client)["rows"] == 301


def test_member_with_a_default_is_not_missing(make_app):
    model = make_app("models: [{class: tests.models.simple.Doubler}]").extensions["modelhost"]
    hosted = model.manager.get("doubler")
    schema = {"properties": {"x": {"type": "number", "default": 4}}}
    target = replace(hosted.endpoints["predict"], input=Schema(schema))
    hosted.about = replace(hosted.about, endpoints={"predict": target})

    assert fill_defaults(hosted, [{}, {"x": 1}]) == [{"x": 4.0}, {"x": 1.0}]


def test_drift_is_found_on_page_and_in_metrics(client, fill):
    fill(range(1_000), days_ago=20)
    client.post(f"{PATH}/reference")
    fill(range(500, 2_000))
    monitor = client.application.extensions["modelhost"].health

    found = drift(client)
    monitor.measure_drift(time.time())

    assert found["state"] == "compared"
    first = found["fields"][0]
    assert (first["name"], first["level"], first["prediction"]) == ("x", "large", False)
    assert first["outside"] == pytest.approx(2 / 3, abs=0.01)
    assert sum(first["chart"]["current"]) == pytest.approx(1)
    page = client.get(PATH).text
    assert "1 of 1 input and 1 of 1 output have drifted." in page
    assert f"{datetime.now(UTC):%-d %B %Y}" in page
    line = next(
        line
        for line in client.get("/metrics").text.splitlines()
        if line.startswith('modelhost_drift_psi{field="x",model="doubler"}')
    )
    assert float(line.split()[-1]) == pytest.approx(first["psi"], abs=1e-6)
    overview = client.get("/health").text
    assert "1 of 1 input<" in overview
    assert "and is measured again at" in overview


@pytest.mark.parametrize("days", ["", "8", "-7"])
def test_unknown_period_is_rejected(client, days):
    answer = client.get(f"/api{PATH}?days={days}")

    assert answer.status_code == 400
    assert "days must be '7' or '30' or '90', got" in answer.json["detail"]
    assert client.get(f"{PATH}?days={days}").status_code == 400
    unknown = client.get(f"/api{PATH}?period=7")
    assert "unknown query parameter 'period'; expected days" in unknown.json["detail"]


def test_model_without_log_has_no_drift(make_app):
    client = make_app("models: [{class: tests.models.simple.Doubler}]").test_client()

    assert drift(client)["state"] == "not-logged"
    assert "modelhost_drift_psi{" not in client.get("/metrics").text
    assert "log: true" in client.get(PATH).text


def test_unreadable_log_is_reported(client, fill):
    fill(range(10))
    folder = client.application.extensions["modelhost"].health.store.folder
    (path,) = folder.glob("doubler/*.db")
    path.unlink()
    path.mkdir()

    assert drift(client)["state"] == "unreadable"
    assert "The prediction log cannot be read" in client.get(PATH).text
    assert client.post(f"/api{PATH}/reference").status_code == 503


def test_page_shows_metrics_by_week(client, fill):
    def give(truths):
        return client.post("/api/models/doubler/truth", json={"request_id": "r", "truth": truths})

    assert "No truths are stored yet" in client.get(PATH).text
    fill(range(4))
    assert give([0, 2, 4, 8]).json["stored"] == 4

    page = client.get(PATH).text

    assert f"Week of {_get_monday():%-d %b}" in page
    assert re.search(r"Mean absolute error.*<td[^>]*>0.5</td>", page, re.DOTALL)


def _get_monday():
    now = datetime.now(UTC)
    return now - timedelta(days=now.weekday())

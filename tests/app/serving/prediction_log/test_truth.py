"""Truths of logged predictions: how they are given, and the metrics that follow."""

import json
import sqlite3
import time
from contextlib import closing
from datetime import UTC, date, datetime

import pytest

from app.serving.monitoring.truth_metrics import compute_metrics
from app.serving.prediction_log import month_files, truths, writer
from app.serving.prediction_log.export import to_iso
from app.serving.prediction_log.store import PredictionStore, Record
from app.serving.prediction_log.truths import Truth
from tests.new_keys import NewKey

MODELS = """
models:
  - {class: tests.models.simple.Doubler, log: true}
  - {class: examples.iris.IrisModel, log: true}
  - {class: tests.models.simple.Echo}
  - {class: tests.models.typical.Labels, log: true}
"""
TRUTH = "/api/models/doubler/truth"
LOAN = {"income": 60, "note": ""}
FLOWER = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}


@pytest.fixture(autouse=True)
def _no_other_process(monkeypatch):
    monkeypatch.setattr(truths, "COMMIT_SECONDS", -0.1)


@pytest.fixture
def client(make_app):
    """A client that has predicted two rows as request ``a``, an iris as ``b``, labels as ``c``."""
    client = make_app(MODELS).test_client()
    predict(client, "doubler", [{"x": 1}, {"x": 2}], "a")
    predict(client, "iris", FLOWER, "b")
    predict(client, "labels", [{**LOAN, "term": 12}, {**LOAN, "term": 24}], "c")
    return client


def predict(client, model, rows, request_id):
    headers = {"X-Request-ID": request_id}
    assert (
        client.post(f"/api/models/{model}/predict", json=rows, headers=headers).status_code == 200
    )


def read(tmp_path, model="doubler"):
    return [each.truth for each in PredictionStore(tmp_path / "prediction-log").read(model)]


def test_truth_is_not_stored_with_another_row(client, tmp_path):
    folder = tmp_path / "prediction-log"
    client.application.extensions["modelhost"].predictor.prediction_log.flush()
    known = [Truth("a", 0, 2), Truth("a", 1, 4)]
    logged = truths._find(folder, "doubler", known, None)
    found = {place: each for place, [each] in logged.items()}
    truths._write({0: found[0]}, {0: {"y": 2}}, "ada")

    with pytest.raises(sqlite3.OperationalError, match="changed these predictions"):
        truths._write(found, {0: {"y": 3}, 1: {"y": 4}}, "bob")

    assert read(tmp_path) == [{"y": 2}, None]


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        ({"request_id": "a", "truth": 2}, [2, None]),
        ({"request_id": "a", "row": 1, "truth": 4.5}, [None, 4.5]),
        ({"request_id": "a", "truth": [1, 2]}, [1, 2]),
        ({"request_id": "a", "truth": {"y": 3}}, [{"y": 3}, None]),
        ({"request_id": "a", "truth": 10**30}, [1e30, None]),
        (
            [{"request_id": "a", "truth": 0}, {"request_id": "a", "row": 1, "truth": 4}],
            [0, 4],
        ),
    ],
)
def test_truth_is_stored_with_its_prediction(client, tmp_path, body, stored):
    answer = client.post(TRUTH, json=body)

    count = len([each for each in stored if each is not None])
    assert (answer.status_code, answer.json) == (200, {"stored": count, "not_logged": 0})
    assert read(tmp_path) == stored


@pytest.mark.parametrize(
    ("sent", "metrics"),
    [
        ({"json": {"request_id": "c", "truth": {"rich": 1}}}, {"rich.accuracy": 1}),
        (
            {"json": {"request_id": "c", "truth": [{"rich": 1, "young": 1}, {"young": 1}]}},
            {"rich.accuracy": 1, "young.accuracy": 0.5},
        ),
        (
            {"data": b'request_id,truth\nc,"{""rich"": 0}"\n', "content_type": "text/csv"},
            {"rich.accuracy": 0},
        ),
    ],
)
def test_truth_of_several_outputs_is_measured_for_each(client, sent, metrics):
    stored = client.post("/api/models/labels/truth", **sent)

    assert stored.status_code == 200, stored.json
    assert client.get("/api/models/labels/truth").json["total"]["metrics"] == metrics


def test_later_truth_replaces_and_null_removes(client, tmp_path):
    for value in (1, 2):
        client.post(TRUTH, json={"request_id": "a", "truth": value})
    assert read(tmp_path) == [2, None]

    client.post(TRUTH, json={"request_id": "a", "truth": None})
    assert read(tmp_path) == [None, None]


@pytest.mark.parametrize(
    "table",
    [
        "request_id,row,truth\na,0,2.5\na,1,1000\nz,0,1\nb,0,\n",
        "request_id;index;row;row.x;truth\na;0;text;1;2,5\na;1;;2;1.000,0\nz;0;;1;1\n",
    ],
    ids=["as documented", "export with decimal commas"],
)
def test_truths_come_from_csv(client, tmp_path, table):
    answer = client.post(TRUTH, data=table, content_type="text/csv")

    assert answer.json == {"stored": 2, "not_logged": 1}
    assert read(tmp_path) == [2.5, 1000]


def test_only_author_or_admin_replaces_a_truth(make_app, tmp_path):
    author, other, admin = NewKey(), NewKey(), NewKey("admin")
    client = make_app(MODELS, KEYS=[author, other, admin]).test_client()
    headers = {**other.headers, "X-Request-ID": "a"}
    client.post("/api/models/doubler/predict", json={"x": 1}, headers=headers)

    def give(key, truth):
        body = {"request_id": "a", "truth": truth}
        return client.post(TRUTH, json=body, headers=key.headers)

    assert [give(author, 2).status_code, give(author, 3).status_code] == [200, 200]
    [first] = PredictionStore(tmp_path / "prediction-log").read("doubler")
    assert give(other, 3.0).status_code == 200, "the same truth"
    assert PredictionStore(tmp_path / "prediction-log").read_last("doubler", 1) == [first]
    refused = [give(other, truth) for truth in (4, None)]
    assert [each.status_code for each in refused] == [409, 409]
    assert (
        "another user has already stored a truth for request 'a', row 0"
        in refused[0].json["detail"]
    )
    assert read(tmp_path) == [3]
    assert give(admin, 4).status_code == 200
    assert read(tmp_path) == [4]


def test_truth_is_for_the_prediction_of_its_giver(make_app, tmp_path):
    ada, bob, office = NewKey(), NewKey(), NewKey()
    client = make_app(MODELS, KEYS=[ada, bob, office]).test_client()
    for key, rows in ((ada, [{"x": 1}]), (bob, [{"x": 2}, {"x": 3}])):
        headers = {**key.headers, "X-Request-ID": "a"}
        client.post("/api/models/doubler/predict", json=rows, headers=headers)
        time.sleep(0.002)  # exports have milliseconds

    def give(key, **body):
        return client.post(TRUTH, json={"request_id": "a"} | body, headers=key.headers)

    assert give(ada, truth=[7]).json == {"stored": 1, "not_logged": 0}
    assert read(tmp_path) == [7, None, None]
    assert give(ada, row=1, truth=8).status_code == 404
    refused = give(office, truth=9)
    assert (refused.status_code, refused.json["type"]) == (
        409,
        "/docs/problems#ambiguous-prediction",
    )
    assert refused.json["detail"] == (
        "2 predictions of different users have the request id 'a' and row 0: send the "
        "'time' of one too, as exports of the log have it"
    )
    [_, second, _] = PredictionStore(tmp_path / "prediction-log").read("doubler")
    assert give(office, truth=9, time=to_iso(second.time)).status_code == 200
    assert give(office, row=1, truth=5).status_code == 200
    assert read(tmp_path) == [7, 9, 5]


def test_truth_of_a_retry_is_for_its_last_prediction(client, tmp_path):
    predict(client, "doubler", [{"x": 1}, {"x": 20}], "a")

    answers = [
        client.post(TRUTH, json={"request_id": "a", "row": row, "truth": 2}) for row in (0, 1)
    ]

    assert [each.status_code for each in answers] == [200, 409]
    assert "2 predictions of one user with different inputs have" in answers[1].json["detail"]
    assert read(tmp_path) == [None, None, 2, None]


def read_times(client, tmp_path):
    client.application.extensions["modelhost"].predictor.prediction_log.flush()
    return [
        to_iso(each.time) for each in PredictionStore(tmp_path / "prediction-log").read("doubler")
    ]


def test_array_has_the_rows_of_its_own_request(client, tmp_path):
    predict(client, "doubler", [{"x": 7}], "a")
    first, _, second = read_times(client, tmp_path)

    def give(truth, time):
        body = {"request_id": "a", "truth": truth, "time": time}
        return client.post(TRUTH, json=body).status_code

    assert [give([1], first), give([2, 3], second)] == [422, 422]
    assert [give([4], second), give([5, 6], first)] == [200, 200]
    assert read(tmp_path) == [5, 6, 4]


def test_array_has_the_rows_of_a_shorter_retry(client, tmp_path):
    predict(client, "doubler", [{"x": 1}], "a")

    assert client.post(TRUTH, json={"request_id": "a", "truth": [3]}).status_code == 200
    assert read(tmp_path) == [None, None, 3]


def test_two_truths_of_a_prediction_are_rejected(client, tmp_path):
    [when, _] = read_times(client, tmp_path)

    body = [{"request_id": "a", "truth": 2}, {"request_id": "a", "truth": 3, "time": when}]
    answer = client.post(TRUTH, json=body)

    assert answer.status_code == 422
    assert "/1/truth: is for the same prediction as /0/truth" in answer.json["detail"]


def test_truth_of_an_unknown_time_is_not_stored(client, tmp_path):
    [when, _] = read_times(client, tmp_path)

    table = f"request_id,row,truth,time\na,0,3,{when}\na,1,5,{when[:16]}\n"
    answer = client.post(TRUTH, data=table, content_type="text/csv")

    assert answer.json == {"stored": 1, "not_logged": 1}
    assert read(tmp_path) == [3, None]


def test_truth_of_another_user_is_stored_without_waiting(make_app, monkeypatch):
    monkeypatch.setattr(truths, "COMMIT_SECONDS", -1)  # a wait raises an error
    user, office = NewKey(), NewKey()
    client = make_app(MODELS, KEYS=[user, office]).test_client()
    headers = {**user.headers, "X-Request-ID": "a"}
    client.post("/api/models/doubler/predict", json={"x": 1}, headers=headers)

    body = {"request_id": "a", "truth": 2}
    assert client.post(TRUTH, json=body, headers=office.headers).status_code == 200


def test_export_with_truths_selects_by_time(client, tmp_path):
    predict(client, "doubler", {"x": 20}, "a")
    client.application.extensions["modelhost"].predictor.prediction_log.flush()
    records = list(PredictionStore(tmp_path / "prediction-log").read("doubler"))
    lines = [f"{to_iso(each.time)},a,{each.index},{at}\n" for at, each in enumerate(records)]
    # Two rows of a call have one time.
    sent = {"data": "time,request_id,index,truth\n" + "".join(lines), "content_type": "text/csv"}

    assert client.post(TRUTH, **sent).json == {"stored": 3, "not_logged": 0}

    assert read(tmp_path) == [0, 1, 2]


def test_export_with_escaped_texts_identifies_predictions(make_app, tmp_path):
    client = make_app(MODELS.replace("Echo}", "Echo, log: true}")).test_client()
    predict(client, "echo", {"kind": "=x"}, "-a")

    table = "request_id,truth\n'-a,'=y\n"
    answer = client.post("/api/models/echo/truth", data=table, content_type="text/csv")

    assert answer.status_code == 200, answer.json
    assert read(tmp_path, "echo") == ["=y"]


def test_truths_of_two_months_are_stored_together(tmp_path):
    for month, request_id in enumerate("ab"):
        time = month * 40 * 86_400.0
        row = (time, request_id, 0, "m", "1", "{}", "1", 0.1, "", None, "api")
        with closing(month_files.create(month_files.get_path(tmp_path, "m", time))) as connection:
            connection.execute(writer.INSERT + writer.VALUES, row)
    known = [Truth("a", 0, 1), Truth("b", 0, 1)]
    found = {at: each for at, [each] in truths._find(tmp_path, "m", known, None).items()}
    truths._write(found, {1: 2}, "ada")

    with pytest.raises(sqlite3.OperationalError, match="changed these predictions"):
        truths._write(found, {0: 3, 1: 3}, "bob")

    assert [each.truth for each in PredictionStore(tmp_path).read("m")] == [None, 2]


def test_version_gets_the_truth_of_its_prediction(make_app, tmp_path):
    entry = (
        "{name: doubler, class: tests.models.simple.Doubler, log: true, version: '%d', default: %s}"
    )
    client = make_app(f"models: [{entry % (1, 'false')}, {entry % (2, 'true')}]").test_client()
    for version in ("@1", ""):
        predict(client, f"doubler{version}", {"x": 1}, "a")

    for version, truth in (("@1", 1), ("", 2)):
        path = f"/api/models/doubler{version}/truth"
        assert client.post(path, json={"request_id": "a", "truth": truth}).status_code == 200

    assert read(tmp_path) == [1, 2]


def test_left_out_prediction_has_no_truth(make_app):
    client = make_app(
        "models: [{class: examples.iris.IrisModel, log: {leave_out: [species]}}]"
    ).test_client()
    predict(client, "iris", FLOWER, "a")

    for truth in ("setosa", {"species": "setosa"}):
        sent = {"request_id": "a", "truth": truth}
        response = client.post("/api/models/iris/truth", json=sent)

        assert response.status_code == 422
        assert "the log leaves out the member 'species'" in response.json["detail"]
    assert "Was this right?" not in client.get("/models/iris/predict").text


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("", [{"x": 1}] * 100),
        ("?partial=true", [{"x": 1}] * 100),
        ("?partial=true", [{"x": 1}, {"x": "no"}] * 75),
    ],
)
def test_response_counts_sampled_rows(make_app, query, rows):
    models = "models: [{class: tests.models.simple.Doubler, log: {rows: 0.5}}]"
    client = make_app(models).test_client()

    path, headers = f"/api/models/doubler/predict{query}", {"X-Request-ID": "a"}
    response = client.post(path, json=rows, headers=headers)

    logged = int(response.headers["X-Logged-Rows"])
    assert 20 < logged < 80
    client.application.extensions["modelhost"].predictor.prediction_log.flush()
    assert client.get("/api/models/doubler/health").json["drift"]["rows"] == logged


def test_response_of_other_endpoint_counts_no_logged_rows(make_app):
    models = "models: [{class: tests.models.typical.Own, log: {rows: 0.5}}]"
    client = make_app(models).test_client()

    row = {"income": 30, "term": 36, "note": ""}
    response = client.post("/api/models/own/explain", json=row)

    assert response.status_code == 200
    assert "X-Logged-Rows" not in response.headers


@pytest.mark.parametrize(
    ("model", "body", "status", "message"),
    [
        ("doubler", {"request_id": "z", "truth": 2}, 404, "no prediction with this request id"),
        ("echo", {"request_id": "a", "truth": 2}, 404, "'echo' has no prediction log"),
        ("doubler", {"request_id": "a"}, 422, "/truth: is required"),
        (
            "doubler",
            {"request_id": "a", "truth": [2, "4"]},
            422,
            "/truth/1: must be a number, as the prediction is, got a string",
        ),
        ("iris", {"request_id": "b", "truth": 1}, 422, "/truth: must be a string"),
        ("iris", {"request_id": "b", "truth": [[]]}, 422, "/truth/0: must be one value"),
        ("iris", {"request_id": "b", "truth": {"kind": "x"}}, 422, "/truth: must be one value"),
        ("labels", {"request_id": "c", "truth": 1}, 422, "one or more of 'rich', 'young'"),
        ("labels", {"request_id": "c", "truth": {"rich": 1, "old": 0}}, 422, "one or more of"),
        ("labels", {"request_id": "c", "truth": {}}, 422, "one or more of"),
        ("labels", {"request_id": "c", "truth": {"rich": "1"}}, 422, "'rich' must be a number"),
        ("labels", {"request_id": "c", "truth": {"rich": 1, "young": 2}}, 422, "'young' must be"),
        ("iris", {"request_id": "b", "truth": "rose"}, 422, 'must be one of "setosa", "vers'),
        ("iris", {"request_id": "b", "truth": {"species": "rose"}}, 422, 'got "rose"'),
        ("doubler", b"request_id,truth\na,1" + b"0" * 400 + b"\n", 422, "/0: must be a"),
        ("doubler", b"request_id,truth\na,52.000\n", 422, "Write 52000, or 52.0 for"),
        ("doubler", b"request_id,truth\na,1\na,2\n", 422, "line 3 has the same row as line 2"),
        ("doubler", [{"request_id": "a", "truth": 2}, {"row": 1}], 422, "/1/request_id: is req"),
        (
            "doubler",
            [{"request_id": "a", "row": 0, "line": 1, "truth": 2}],
            422,
            "/0: must have only one of 'row' and 'line'",
        ),
        ("doubler", [{"request_id": "a", "truth": 2}] * 2, 422, "/1: has the same row as /0"),
        (
            "doubler",
            {"request_id": "a", "truth": 2, "time": "2001-01-01T00:00:00Z"},
            404,
            "no prediction with this request id, row and time is in the log",
        ),
        (
            "doubler",
            [{"request_id": "a", "truth": 2, "time": "2016-12-31T23:59:60Z"}],
            422,
            "/0/time: must be the time of the prediction as exports of the log have it, such as "
            "2026-11-29T14:30:00.125+00:00, got '2016-12-31T23:59:60Z'",
        ),
        (
            "doubler",
            b"request_id,truth,time\na,2,29.11.2026 06:50\n",
            422,
            "+00:00, got '29.11.2026 06:50' (line 2)",
        ),
        ("doubler", b"PK\x03\x04", 400, "the file is not a readable .xlsx workbook"),
        ("doubler", {"request_id": "a", "row": 2**63, "truth": 2}, 422, "/row: must be at most"),
        ("doubler", b"request_id,row,truth\na,9223372036854775808,3\n", 422, "/row: must be at"),
        ("doubler", {"request_id": "a", "truth": [2]}, 422, "/truth: must have a value or null"),
        ("doubler", {"request_id": "a", "truth": [2, 4, 6]}, 422, "each row: 2 logged, got 3"),
        ("doubler", b"request_id\na\n", 422, "must have a column 'truth'"),
        (
            "doubler",
            b"request_id,row,truth\na,-1,3\n",
            422,
            "/row: must be at least 0, got -1 (line 2)",
        ),
        ("doubler", b"request_id,truth\na,two\n", 422, "got a string (line 2)"),
        (
            "doubler",
            b"request_id,row,line,truth\na,0,2,3\n",
            422,
            "must have only one of the columns 'row' and 'line'",
        ),
    ],
)
def test_mistakes_are_named(client, model, body, status, message):
    sent = {"data": body, "content_type": "text/csv"} if isinstance(body, bytes) else {"json": body}

    answer = client.post(f"/api/models/{model}/truth", **sent)

    assert (answer.status_code, message in answer.json["detail"]) == (status, True), answer.json


def test_truth_needs_a_key_for_the_model(make_app):
    key, other = NewKey(models=["doubler"]), NewKey(models=["iris"])
    client = make_app(MODELS, KEYS=f"[{key!r}, {other!r}]").test_client()
    body = {"request_id": "a", "truth": 2}

    statuses = [
        client.post(TRUTH, json=body, headers=headers).status_code
        for headers in ({}, other.headers, key.headers)
    ]

    assert statuses == [401, 403, 404]


def test_broken_log_is_a_problem(client, tmp_path):
    [file] = (tmp_path / "prediction-log" / "doubler").glob("*.db") if read(tmp_path) else [None]
    client.application.extensions["modelhost"].predictor.prediction_log.flush()
    [file] = (tmp_path / "prediction-log" / "doubler").glob("*.db")
    for path in file.parent.iterdir():
        path.unlink()
    file.write_bytes(b"no database" * 1000)

    given = client.post(TRUTH, json={"request_id": "a", "truth": 2})
    got = client.get(TRUTH)

    assert (given.status_code, got.status_code) == (503, 503)
    assert given.json["type"].endswith("log-unavailable")


def test_metrics_are_returned_per_week(client):
    client.post("/api/models/iris/truth", json={"request_id": "b", "truth": "setosa"})

    answer = client.get("/api/models/iris/truth").json

    today = datetime.now(UTC).date()
    monday = date.fromordinal(today.toordinal() - today.weekday()).isoformat()
    assert answer["weeks"] == [{"start": monday, "rows": 1, "metrics": {"accuracy": 1.0}}]
    assert answer["total"] == {"start": None, "rows": 1, "metrics": {"accuracy": 1.0}}


def test_command_stores_and_shows(client, run_command, tmp_path):
    client.application.extensions["modelhost"].predictor.prediction_log.flush()
    file = tmp_path / "truths.csv"
    file.write_text("request_id;row;truth\na;0;3\na;1;4\n")

    stored = run_command("models", "truth", "doubler", file, models=MODELS, MAX_ROWS=1)
    shown = run_command("models", "truth", "doubler", "--json", models=MODELS)

    assert "Stored 2 truths" in stored.output
    assert json.loads(shown.stdout)["total"] == {
        "start": None,
        "rows": 2,
        "metrics": {"mean_absolute_error": 0.5, "bias": -0.5, "r2": -1.0},
    }


def test_command_stores_parts_of_a_file(client, run_command, tmp_path):
    client.application.extensions["modelhost"].predictor.prediction_log.flush()
    file = tmp_path / "truths.csv"

    def give(lines):
        file.write_text(f"request_id,row,truth\n{lines}")
        return run_command("models", "truth", "doubler", file, models=MODELS, MAX_ROWS=1)

    partly = give("z,0,1\na,0,3\n")
    wrong = give("a,1,4\na,0,two\n")
    none = give("z,0,1\nz,1,1\n")

    assert "Stored 1 truth; predictions that are not logged: 1" in partly.stderr
    assert "1 must be a number, as the prediction is, got a string (line 3)" in wrong.stderr
    assert "only the first 1 of 2 truths are stored" in wrong.stderr
    assert "no prediction with this request id and row is in the log" in none.stderr
    assert [each.exit_code for each in (partly, wrong, none)] == [0, 1, 1]
    assert read(tmp_path) == [3, 4]


def test_requests_have_a_limit_of_truths(make_app):
    client = make_app(MODELS, MAX_ROWS=1).test_client()
    table = "request_id,row,truth\n" + "a,0,1\n" * 3

    response = client.post(TRUTH, data=table, content_type="text/csv")

    assert (response.status_code, response.json["type"]) == (413, "/docs/problems#too-many-rows")
    assert response.json["detail"].endswith("expected at most 1 rows, got 3")


def record(prediction, truth, day="2026-01-07"):
    moment = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
    return Record(moment, "r", 0, "m", "1", {}, prediction, 0.1, "", None, "api", truth)


def likely(name, share):
    other = {"good": "bad", "bad": "good"}[name]
    return {"prediction": name, "probabilities": {name: share, other: 1 - share}}


def test_metrics_of_classes_equal_hand_computed_ones():
    records = [
        record(likely("good", 0.8), "good"),
        record(likely("good", 0.8), "bad"),
        record(likely("bad", 0.6), "bad"),
        record(likely("bad", 0.6), "bad", "2026-01-12"),
    ]

    total, weeks = compute_metrics(records, None)

    assert total.metrics["accuracy"] == 0.75
    assert total.metrics["log_loss"] == pytest.approx(0.7135581)  # -mean(ln(.8, .2, .6, .6))
    assert total.metrics["roc_auc"] == pytest.approx(5 / 6)
    assert total.metrics["calibration_error"] == pytest.approx((0.6 + 0.8) / 4)
    assert [(str(each.start), each.rows) for each in weeks] == [
        ("2026-01-05", 3),
        ("2026-01-12", 1),
    ]
    assert "roc_auc" not in weeks[1].metrics


def test_unknown_class_is_a_wrong_prediction():
    total, _ = compute_metrics([record(likely("good", 0.8), "late")], None)

    assert total.metrics["accuracy"] == 0
    assert total.metrics["log_loss"] > 30


def test_classes_are_compared_by_value():
    prediction = {"prediction": 1.0, "probabilities": {"0.0": 0.2, "1.0": 0.8}}

    total, _ = compute_metrics([record(prediction, 1), record(prediction, 1.0)], None)

    assert total.metrics["accuracy"] == 1
    assert total.metrics["log_loss"] == pytest.approx(0.2231436)  # -ln(.8)


def test_outputs_have_their_own_probabilities():
    prediction = {"prediction": {"a": 1, "b": 2.5}, "probabilities": {"a": {"0": 0.2, "1": 0.8}}}

    total, _ = compute_metrics([record(prediction, {"a": 1, "b": 2.0})], None)

    assert total.metrics["a.log_loss"] == pytest.approx(0.2231436)  # -ln(.8)
    assert (total.rows, total.metrics["b.bias"]) == (1, 0.5)


def test_numbers_may_be_classes_by_schema():
    schema = {"type": "object", "properties": {"prediction": {"enum": [0, 1]}}}
    records = [record({"prediction": 1}, 1), record({"prediction": 1}, 0)]

    assert compute_metrics(records, schema)[0].metrics == {"accuracy": 0.5}
    assert "bias" in compute_metrics(records, {"type": "object"})[0].metrics

"""Predictions for a CSV file or a workbook, and as CSV."""

import gzip
import io

import openpyxl
import pytest

MODELS = """
models:
  - class: tests.models.simple.Doubler
  - class: tests.models.simple.Household
  - class: tests.models.simple.Echo
    name: echo
  - class: tests.models.hostile.Told
    name: constant
    settings:
      input_schema:
        properties: {a: {type: number}, b: {type: string}, c: {type: string}}
        required: [a, b]
  - class: tests.models.hostile.Told
    name: either
    settings:
      input_schema:
        properties: {a: {type: number}, b: {type: number}, c: {type: number}}
        anyOf: [{required: [a]}, {required: [b]}]
"""
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.fixture
def client(same_app):
    return same_app(MODELS).test_client()


def send(client, content, name="doubler", kind="text/csv", **options):
    return client.post(f"/api/models/{name}/predict", data=content, content_type=kind, **options)


def test_csv_file_is_predicted(client):
    answer = send(client, b"id,x\n7,1\n8,2.5\n")

    assert answer.json == [{"y": 2}, {"y": 5}]
    assert answer.content_type == "application/json"


def test_csv_request_returns_csv(client):
    answer = send(client, b"x\n1\n2.5\n", headers={"Accept": "text/csv"})

    assert answer.text == "y\n2.0\n5.0\n"
    assert answer.content_type == "text/csv; charset=utf-8"
    assert "predict;dur=" in answer.headers["Server-Timing"]


def test_workbook_is_predicted(client):
    book = openpyxl.Workbook()
    book.active.append(["x"])
    book.active.append([3])
    stream = io.BytesIO()
    book.save(stream)

    assert send(client, stream.getvalue(), kind=XLSX).json == [{"y": 6}]


def test_compressed_csv_is_predicted(client):
    content = gzip.compress(b"x\n1\n")

    assert send(client, content, headers={"Content-Encoding": "gzip"}).json == [{"y": 2}]


def test_decimal_mark_is_read_from_the_query(client):
    assert send(client, b"x\n1.5\n", query_string={"decimal": "."}).json == [{"y": 3}]
    assert send(client, b"x\n1.5\n", query_string={"decimal": ","}).status_code == 422
    assert send(client, b"x\n1\n", query_string={"decimal": "x"}).status_code == 400


def test_partial_response_has_a_problem_for_an_unreadable_line(client):
    content = b'id,x\na,1\nb\nc,no\nd,2\ne,"'

    found = send(client, content, query_string="partial=true").json
    table = send(client, content, query_string="partial=true", headers={"Accept": "text/csv"})

    assert [each.get("prediction") for each in found] == [{"y": 2}, None, None, {"y": 4}, None]
    details = [each["problem"]["errors"][0]["detail"] for each in found if "problem" in each]
    assert details == [
        "has 1 cells, but the header has 2 (line 3)",
        'must be a number, got "no" (line 4)',
        "is not CSV: a quote is never closed (line 6)",
    ]
    assert table.text.splitlines()[1:3] == [",2.0", '"has 1 cells, but the header has 2 (line 3)",']
    assert (
        send(client, b"x\n1,2\n", query_string="partial=true").json[0]["problem"]["status"] == 422
    )


@pytest.mark.parametrize("body", [{"x": 1}, [{"x": 1}], {"instances": [1]}], ids=str)
def test_json_request_returns_csv(client, body):
    answer = client.post("/api/models/doubler/predict", json=body, headers={"Accept": "text/csv"})

    assert answer.text == "y\n2.0\n"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("text/*", "application/json"),
        ("application/json", "application/json"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("text/csv, */*;q=0.1", "text/csv; charset=utf-8"),
        ("image/png", "application/json"),
        ("nonsense", "application/json"),
    ],
)
def test_accept_selects_the_format(client, accept, kind):
    answer = client.post("/api/models/doubler/predict", json={"x": 1}, headers={"Accept": accept})

    assert (answer.status_code, answer.content_type) == (200, kind)


def test_formulas_are_escaped(client):
    answer = client.post(
        "/api/models/echo/predict", json={"a": "=1+1"}, headers={"Accept": "text/csv"}
    )

    assert answer.text == "a\n'=1+1\n"


def test_violations_name_the_line(client):
    answer = send(client, b"x\n1\n\nlong\n", headers={"Accept": "text/csv"})

    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    [violation] = answer.json["errors"]
    assert violation["pointer"] == "/1/x"
    assert violation["detail"].startswith("must be a number")
    assert violation["detail"].endswith("(line 4)")


def test_missing_columns_and_unreadable_lines_are_all_listed(client):
    answer = send(client, b"z,c\n1,x\n1,2,3\n1\n", "constant")

    assert answer.status_code == 422
    assert [(each["pointer"], each["detail"]) for each in answer.json["errors"]] == [
        ("", 'the file must have a column "a"'),
        ("", 'the file must have a column "b"'),
        ("/1", "has 3 cells, but the header has 2 (line 3)"),
        ("/2", "has 1 cells, but the header has 2 (line 4)"),
    ]


def test_column_that_only_some_rows_need_may_be_missing(client):
    assert send(client, b"a\n1\n", "either").json == [{"a": 1}]
    assert send(client, b"c\n1\n", "either").status_code == 422


def test_file_without_lines_gives_no_predictions(client):
    assert send(client, b"x\n").json == []


def test_many_lines_are_rejected(client):
    assert send(client, b"x\n" + b"1\n" * 1001).status_code == 413


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", ""])
def test_other_media_type_is_rejected(client, kind):
    assert send(client, b"x\n1\n", kind=kind).status_code == 415


def test_missing_model_is_not_found(client):
    assert send(client, b"x\n1\n", "nothing").status_code == 404


def test_compressed_file_is_limited(client):
    client.application.config["MAX_BODY_BYTES"] = 1000
    allowed, too_large = gzip.compress(b"x\n1\n"), gzip.compress(b"x\n" + b"1" * 1000)

    assert send(client, allowed, kind="application/gzip").json == [{"y": 2}]
    answer = send(client, too_large)
    assert (answer.status_code, answer.json["detail"]) == (
        413,
        "the file expands to more than 1,000 bytes",
    )

import pandas
import pytest

from app.web.api.bodies.split_frames import to_rows


@pytest.fixture
def client(same_client):
    """A client of an application that no test here changes."""
    return same_client


def ask(client, name, body, endpoint="predict"):
    return client.post(f"/api/models/{name}/{endpoint}", json=body)


def errors(answer):
    return [(each["pointer"], each["detail"]) for each in answer.json["errors"]]


def test_pandas_frame_returns_predictions(client):
    frame = pandas.DataFrame({"x": [1, 2.5]}, index=["first", "second"])

    answer = client.post(
        "/api/models/doubler/predict",
        data=frame.to_json(orient="split"),
        headers={"Content-Type": "application/json"},
    )

    assert answer.json == [{"y": 2}, {"y": 5}]
    assert ask(client, "doubler", frame.to_dict(orient="split")).json == answer.json


@pytest.mark.parametrize(
    "body",
    [
        {"columns": ["b", "a"], "data": [[1, "x"], [None, [2]]]},
        {"data": [[1, "x"], [None, [2]]], "index": [7, 7], "columns": ["b", "a"]},
        {"data": [[1, "x"], [None, [2]]], "index": [], "columns": ["b", "a"]},
    ],
    ids=["without index", "with index", "with an empty index"],
)
def test_lines_become_rows(client, body):
    assert ask(client, "echo", body).json == [{"b": 1, "a": "x"}, {"b": None, "a": [2]}]


def test_empty_frame_returns_empty_array(client):
    assert ask(client, "doubler", {"columns": ["x"], "data": []}).json == []


def test_frame_and_rows_predict_the_same(example_app):
    client = example_app.test_client()
    examples = client.get("/api/models/loan/metadata").json["examples"]
    frame = pandas.DataFrame(examples)

    by_columns = ask(client, "loan", frame.astype(object).to_dict(orient="split"))

    assert by_columns.data == ask(client, "loan", examples).data


@pytest.mark.parametrize(
    "body",
    [
        {"columns": ["x"], "data": [[1]], "more": 1},
        {"columns": ["x"], "data": {"x": 1}},
        {"columns": "x", "data": []},
        {"columns": ["x"], "index": [0]},
    ],
    ids=["another member", "data no list", "columns no list", "no data"],
)
def test_any_other_object_is_a_row(client, body):
    assert ask(client, "echo", body).json == body


@pytest.mark.parametrize(
    "schema",
    [
        "{properties: {columns: {}}}",
        "{required: [data]}",
        '{$ref: "#/$defs/Row", $defs: {Row: {properties: {data: {}}}}}',
        "{type: array}",
    ],
)
def test_row_with_columns_member_stays_row(make_app, schema):
    app = make_app(f"models: [{{class: tests.models.simple.Echo, input_schema: {schema}}}]")

    answer = ask(app.test_client(), "echo", {"columns": ["x"], "data": [[1]]})

    assert answer.json == {"columns": ["x"], "data": [[1]]} or errors(answer)[0][0] == ""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"columns": ["x", "y"], "data": [[1, 2], [1], [1, 2, 3], 5]},
            [
                ("/data/1", "must be a list of 2, one for each of columns, got a list of 1"),
                ("/data/2", "must be a list of 2, one for each of columns, got a list of 3"),
                ("/data/3", "must be a list of 2, one for each of columns, got 5"),
            ],
        ),
        (
            {"columns": ["x", 0, "x"], "data": []},
            [("/columns/1", "must be text, got 0"), ("/columns/2", 'duplicates the column "x"')],
        ),
        (
            {"columns": ["x"], "index": [0, 1], "data": [[1]]},
            [("/index", "must be a list of 1, one for each of data, got a list of 2")],
        ),
        (
            {"columns": ["x"], "index": None, "data": []},
            [("/index", "must be a list of 0, one for each of data, got null")],
        ),
    ],
    ids=["lines", "names", "index", "no index"],
)
def test_mismatched_frame_is_rejected(client, body, expected):
    answer = ask(client, "doubler", body)

    assert answer.status_code == 422
    assert errors(answer) == expected


def test_violations_point_into_the_frame(client):
    body = {
        "columns": ["home", "head"],
        "data": [
            ["flat", {"name": "Ann", "age": 5}],
            ["tent", {"name": "Bo", "age": -4}],
            [None, 7],
        ],
    }

    assert [pointer for pointer, _ in errors(ask(client, "household", body))] == [
        "/data/1/1/age",
        "/data/1/0",
        "/data/2/1",
        "/data/2/0",
    ]


def test_missing_column_is_reported_once(client):
    answer = ask(client, "household", {"columns": ["home"], "data": [["flat"], ["tent"]]})

    assert answer.json["detail"] == '/columns: "head" is required (and 1 more)'
    assert errors(answer) == [
        ("/columns", '"head" is required'),
        ("/data/1/0", 'must be one of "flat", "house", got "tent"'),
    ]


def test_unknown_column_has_its_pointer(client):
    answer = ask(client, "doubler", {"columns": ["x", "z/~"], "data": [[1, 2]]})

    assert errors(answer) == [("/data/0/1", "is unknown; valid names: x")]


def test_error_of_model_points_to_line(client):
    answer = ask(client, "ordered", {"columns": ["start", "end"], "data": [[1, 2], [2, 1]]})

    assert errors(answer) == [("/data/1/1", "must not be before start")]


def test_null_is_validated(client):
    answer = ask(client, "doubler", {"columns": ["x"], "data": [[1], [None]]})

    assert errors(answer) == [("/data/1/0", "must be a number, got null")]


def test_too_many_lines_are_rejected(client):
    answer = ask(client, "doubler", {"columns": ["x"], "data": [[1]] * 1_001})

    assert (answer.status_code, answer.json["detail"]) == (
        413,
        "expected at most 1,000 rows, got 1,001",
    )


def test_an_endpoint_reads_columns_too(client):
    answer = ask(client, "explained", {"columns": ["x"], "data": [[2]]}, endpoint="explain")

    assert answer.json == ask(client, "explained", [{"x": 2}], endpoint="explain").json


def test_unknown_model_is_404(client):
    answer = ask(client, "raises-at-load", {"columns": ["x"], "data": [[2]]})

    assert answer.status_code == 503


def test_rows_share_names():
    rows = to_rows({"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}, most=2)

    assert rows == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    assert all(one is other for one, other in zip(*rows, strict=True))

"""Bodies in the forms of other model servers."""

import pytest

from app.web.api.bodies import envelopes

MODELS = """
models:
  - class: examples.iris.IrisModel
  - class: tests.models.simple.Doubler
  - class: tests.models.simple.Echo
    name: echo
  - class: tests.models.hostile.Told
    name: inputs
    settings: {input_schema: {properties: {inputs: {type: array}, b: {type: number}}, required: [b]}}
  - class: tests.models.hostile.Told
    name: open
    settings: {input_schema: {properties: {a: {type: number}}}}
  - class: tests.models.hostile.Told
    name: optional
    settings: {input_schema: {properties: {a: {type: number}, b: {type: number}}}}
  - class: tests.models.hostile.Told
    name: vector
    settings: {input_schema: {properties: {v: {type: array, items: {type: number}}}, required: [v]}}
  - class: tests.models.hostile.Told
    name: arrays
    settings: {input_schema: {type: array, items: {type: number}}}
  - class: tests.models.hostile.Told
    name: vectors
    settings:
      input_schema:
        properties: {a: &vector {type: array, items: {type: number}}, b: *vector}
        required: [a, b]
  - class: tests.models.hostile.Told
    name: either
    settings: {input_schema: {properties: {v: {type: [array, number]}}, required: [v]}}
"""
NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
LINES = [[5.1, 3.5, 1.4, 0.2], [6.9, 3.1, 5.4, 2.1]]
ROWS = [dict(zip(NAMES, line, strict=True)) for line in LINES]
COLUMNS = {name: [row[name] for row in ROWS] for name in NAMES}
SPLIT = {"columns": NAMES, "data": LINES, "index": [0, 1]}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    from app import create_app
    from app.serving.models.manager import ModelManager

    path = tmp_path_factory.mktemp("models") / "models.yaml"
    path.write_text(MODELS)
    environ = {"APP_SETTINGS": "testing", "MODELHOST_MODELS_FILE": str(path)}
    yield create_app(environ).test_client()
    ModelManager().close()


def predict(client, body, name="iris"):
    return client.post(f"/api/models/{name}/predict", json=body)


def problems(client, body, name="iris"):
    answer = predict(client, body, name)
    assert answer.status_code == 422
    return [(each["pointer"], each["detail"]) for each in answer.json["errors"]]


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": SPLIT},
        {"dataframe_split": {"columns": NAMES, "data": LINES}, "params": {}},
        {"dataframe_records": ROWS},
        {"inputs": ROWS},
        {"inputs": LINES, "params": None},
        {"inputs": COLUMNS, "signature_name": "serving_default"},
        {"instances": ROWS},
        {"instances": LINES},
        {"instances": ROWS, "parameters": {}},
        {"data": COLUMNS},
        {"data": ROWS},
        {"data": LINES},
        {"X": ROWS},
        {"X": LINES},
        {"X": COLUMNS},
    ],
    ids=str,
)
def test_other_servers_body_is_predicted(client, body):
    assert predict(client, body).json == predict(client, ROWS).json


def test_row_in_inputs_gives_a_list(client):
    assert predict(client, {"inputs": ROWS[0]}).json == predict(client, ROWS[:1]).json


@pytest.mark.parametrize("body", [{"instances": [1, 2]}, {"instances": [[1], [2]]}], ids=str)
def test_values_of_one_member_are_rows(client, body):
    assert predict(client, body, "doubler").json == [{"y": 2}, {"y": 4}]


def test_empty_list_gives_no_predictions(client):
    assert predict(client, {"instances": []}).json == []


def test_array_member_accepts_a_list(client):
    assert predict(client, {"instances": [[1, 2], [3]]}, "vector").status_code == 200


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("vectors", {"inputs": {"a": [1, 2], "b": [3]}}),
        ("vectors", {"inputs": {"a": [1] * 1001, "b": [2] * 1001}}),
        ("arrays", {"instances": [[1, 2]]}),
    ],
    ids=["arrays of any size", "long arrays", "row"],
)
def test_arrays_are_read_as_a_row(client, name, body):
    response = predict(client, body, name)

    assert (response.status_code, len(response.json)) == (200, 1)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("echo", {"inputs": [1]}),
        ("inputs", {"inputs": [1]}),
        ("open", {"a": 1, "inputs": [1]}),
    ],
)
def test_row_like_body_is_a_row(client, name, body):
    answer = predict(client, body, name)

    if name == "inputs":
        assert answer.json["errors"] == [{"pointer": "/b", "detail": "is required"}]
    else:
        assert answer.status_code == 200
        assert not isinstance(answer.json, list)


@pytest.mark.parametrize("value", [[[1, 2]], {"a": 1, "b": 2}, {"a": [1], "b": [2]}], ids=str)
@pytest.mark.parametrize("key", ["instances", "X", "features"])
def test_rows_of_optional_members_are_predicted(client, key, value):
    assert predict(client, {key: value}, "optional").json == [{"a": 1.0, "b": 2.0}]


def test_unclear_body_is_no_row_of_optional_members(client):
    [(pointer, detail)] = problems(client, {"features": [1]}, "optional")

    assert (pointer, detail[:14]) == ("/features", "cannot be read")


def test_single_value_is_a_row(client):
    assert predict(client, {"X": 5}, "optional").json == {"X": 5}


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [1, 2]},
        {"instances": [[1, 2]]},
        {"instances": [LINES[0], ROWS[0]]},
        {"instances": 5},
        {"instances": None},
        {"inputs": "text"},
        {"dataframe_split": ROWS},
        {"dataframe_split": {"columns": NAMES}},
        {"dataframe_records": LINES},
        {"dataframe_records": ROWS[0]},
    ],
    ids=str,
)
def test_unclear_body_shows_a_row(client, body):
    [(pointer, detail)] = problems(client, body)

    assert pointer == f"/{next(iter(body))}"
    assert detail.startswith('cannot be read as rows of this model; send a row such as {"sepal_len')


@pytest.mark.parametrize(
    "body",
    [
        {"foo": [1]},
        LINES,
        [{"foo": 1}],
        5,
        {"data": {"sepal_length": {"0": 5.1}}},
        {name: [value] for name, value in ROWS[0].items()},
        {"inputs": {"foo": [1]}},
    ],
    ids=str,
)
def test_body_without_a_row_shows_one(client, body):
    (pointer, detail), *others = problems(client, body)

    assert pointer == ""
    assert detail.startswith('cannot be read as rows of this model; send a row such as {"sepal_len')
    assert others


@pytest.mark.parametrize("body", [{}, {"sepal_length": "long"}, ROWS[0] | {"foo": 1}], ids=str)
def test_row_with_violations_needs_no_example(client, body):
    assert all("send a row" not in detail for _, detail in problems(client, body))


def test_array_member_with_violations_needs_no_example(client):
    assert [each for each, _ in problems(client, {"v": [1, "x"]}, "vector")] == ["/v/1"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (
            {"dataframe_records": ROWS, "params": {"top_k": 3}},
            ("/params", 'must be empty, got {"top_k": 3}'),
        ),
        (
            {"instances": ROWS, "signature_name": "other"},
            ("/signature_name", 'must be serving_default, got "other"'),
        ),
    ],
)
def test_members_beside_the_rows_are_named(client, body, problem):
    assert problems(client, body) == [problem]


def test_ambiguous_body_is_rejected(client):
    [(pointer, detail)] = problems(client, {"instances": [[1], [2]]}, "either")

    assert (pointer, detail[:14]) == ("/instances", "cannot be read")


@pytest.mark.parametrize(
    "body",
    [
        {"instances": ROWS, "signature_name": "other"},
        {"inputs": ROWS, "params": {"top_k": 3}},
        {"inputs": ROWS, "unknown": 1},
        {"inputs": ROWS, "instances": ROWS},
    ],
    ids=str,
)
def test_other_members_are_not_ignored(client, body):
    assert predict(client, body).status_code == 422


WRONG = ROWS[1] | {"petal_width": "wide"}
MISSING = {name: ROWS[0][name] for name in NAMES[:3]}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (
            {"dataframe_split": {"columns": NAMES, "data": [LINES[0], [*LINES[1][:3], "x"]]}},
            "/data/1/3",
        ),
        ({"dataframe_split": {"columns": NAMES, "data": [LINES[0][:3]]}}, "/data/0"),
        ({"dataframe_split": {"columns": NAMES[:3], "data": [LINES[0][:3]] * 2}}, "/columns"),
        ({"dataframe_records": [ROWS[0], WRONG]}, "/1/petal_width"),
        ({"inputs": [ROWS[0], WRONG]}, "/1/petal_width"),
        ({"inputs": WRONG}, "/petal_width"),
        ({"inputs": [LINES[0], [*LINES[1][:3], "x"]]}, "/1/3"),
        ({"inputs": COLUMNS | {"petal_width": [1, "x"]}}, "/petal_width/1"),
        ({"inputs": COLUMNS | {"petal_width": [1]}}, "/petal_width"),
        ({"inputs": {name: COLUMNS[name] for name in NAMES[:3]}}, ""),
        ({"inputs": COLUMNS | {"a/b": [1, 2]}}, "/a~1b/0"),
    ],
    ids=str,
)
def test_violations_point_into_the_body(client, body, pointer):
    assert problems(client, body)[0][0] == f"/{next(iter(body))}{pointer}"


def test_too_many_rows_are_rejected(client):
    for value in ([ROWS[0]] * 1001, {name: [1] * 1001 for name in NAMES}):
        assert predict(client, {"inputs": value}).status_code == 413


@pytest.mark.parametrize("body", [{}, [], None, 1, "inputs", {"a": 1}, {"inputs": 1, "b": 1}])
def test_usual_body_is_not_likely(body):
    assert not envelopes.is_likely(body)

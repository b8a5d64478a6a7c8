"""The predict page without JavaScript: a text area for the row, the prediction, and problems."""

import html
import json
import re

import pytest

from tests.models.forms import HOSTILE

POINT = {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]}


ANYTHING = {"class": "tests.models.forms.Anything"}
MODELS = json.dumps(
    {
        "models": [
            {**ANYTHING, "name": "point", "input_schema": POINT},
            {**ANYTHING, "name": "points", "input_schema": {"type": "array", "items": POINT}},
            {**ANYTHING, "name": "any", "input_schema": {}},
            {"class": "tests.models.forms.Loan"},
            {
                "class": "tests.models.broken.RaisesAtPredict",
                "name": "failing",
                "input_schema": POINT,
            },
        ]
    }
)
NAMES = ["point", "points", "any", "loan", "failing"]


@pytest.fixture
def client(same_app, models):
    return same_app(models, MAX_BODY_BYTES=10_000).test_client()


def post(client, name, text):
    return client.post(f"/models/{name}/predict", data={"row": text})


def typed(response):
    """Return the text in the text area of a page."""
    found = re.search(r'<textarea[^>]*name="row".*?>\n(.*?)</textarea>', response.text, re.S)
    return html.unescape(found[1])


@pytest.mark.parametrize(
    ("name", "row"),
    [("point", {"a": 1.5}), ("points", [{"a": 1}, {"a": 2}]), ("any", None), ("any", "é\n<b>")],
)
def test_prediction_is_shown(client, name, row):
    response = post(client, name, json.dumps(row))

    assert response.status_code == 200
    prediction = re.search(r"<pre.*?><code>(.*?)</code>", response.text, re.S)[1]
    assert json.loads(html.unescape(prediction)) == row


def test_text_area_starts_with_the_example(client):
    example = client.get("/api/models/loan/metadata").json["examples"][0]

    text = typed(client.get("/models/loan/predict"))

    assert json.loads(text) == example


def test_example_can_be_posted(client):
    text = typed(client.get("/models/loan/predict"))

    assert post(client, "loan", text).status_code == 200


@pytest.mark.parametrize(
    ("name", "text", "status", "words"),
    [
        ("point", '{"a": "1"}', 422, '<code>/a</code>: must be a number, got "1"'),
        ("point", "{}", 422, "<code>/a</code>: is required"),
        ("point", "[1]", 422, "must be an object"),
        ("point", "{'a': 1}", 400, "line 1, column 2"),
        ("point", '{"a": 1e400}', 400, "double"),
        ("point", "[" * 500, 400, ""),
        ("point", "", 400, "line 1, column 1"),
        ("point", json.dumps(HOSTILE), 422, "must be an object"),
    ],
)
def test_problem_is_shown_with_the_text(client, name, text, status, words):
    response = post(client, name, text)

    assert response.status_code == status
    assert 'role="alert"' in response.text
    assert words in response.text.replace("&#34;", '"')
    assert typed(response) == text
    assert HOSTILE not in response.text


def test_failure_is_shown_with_the_text(client, models):
    response = post(client, "failing", '{"a": 1}')

    # The failure of a model on another server may be that of the server.
    assert response.status_code == (500 if models == MODELS else 503)
    assert "Request <code>" in response.text
    assert typed(response) == '{"a": 1}'


@pytest.mark.parametrize(
    "form", ["", "other=1", "row=1&row=2", "row=1&other=2", "row=%ff", b"\xff"]
)
def test_form_without_the_row_is_rejected(client, form):
    content_type = "application/x-www-form-urlencoded"

    response = client.post("/models/any/predict", data=form, content_type=content_type)

    assert response.status_code == 400
    assert "Expected a form with the field" in response.text


def test_other_kinds_of_form_are_rejected(client):
    response = client.post(
        "/models/any/predict", data={"row": "1"}, content_type="multipart/form-data"
    )

    assert response.status_code == 415


def test_large_form_is_rejected(client):
    assert post(client, "any", f'"{"a" * 10_000}"').status_code == 413

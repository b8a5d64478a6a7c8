import inspect
import re

import pytest
from flask import abort

import config
from app.serving import errors as serving
from app.web.http.problems import PROBLEMS, all_problems, get_problem
from mlmodel import errors as models

DOCS = (config.ROOT / "docs" / "api.md").read_text(encoding="utf-8")

#: Errors that prevent the start, and reach no request.
AT_START = {serving.InvalidCatalog}

RAISED = [
    error
    for _, error in inspect.getmembers(serving, inspect.isclass)
    if issubclass(error, serving.ServingError) and error not in AT_START
]


@pytest.mark.parametrize("error", [*RAISED, models.InvalidInput], ids=lambda error: error.__name__)
def test_serving_errors_have_problems(error):
    assert error in PROBLEMS


@pytest.mark.parametrize("problem", all_problems(), ids=lambda problem: problem.slug)
def test_problems_equal_the_docs(problem):
    assert f"### `{problem.slug}`: {problem.status} {problem.meaning}" in re.sub(r"\s+", " ", DOCS)


def test_type_links_to_description(client):
    answer = client.get("/api/models/nobody/metadata").json

    page, _, slug = answer["type"].partition("#")
    assert f'id="{slug}"' in client.get(page).text


def test_unlisted_http_error_keeps_status(app):
    app.add_url_rule("/api/teapot", view_func=lambda: abort(418))

    answer = app.test_client().get("/api/teapot")

    assert (answer.status_code, answer.json["title"]) == (418, "I'm a Teapot")
    assert answer.json["type"] == "about:blank"


def test_internal_error_hides_its_message(app, caplog):
    app.add_url_rule("/api/bug", view_func=lambda: {}["secret"])

    answer = app.test_client().get("/api/bug")

    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "KeyError: 'secret'" in caplog.text
    assert answer.json["request_id"] in caplog.text


def test_error_of_a_page_is_html(client):
    answer = client.get("/nothing")

    assert (answer.status_code, answer.mimetype) == (404, "text/html")


def test_unknown_exception_is_internal_error():
    assert get_problem(KeyError()).status == 500


def test_form_gets_page_and_program_gets_json(client):
    program = client.post("/invocations", json={"inputs": []})
    browser = client.post("/invocations", headers={"Accept": "text/html,*/*;q=0.8"})

    assert (program.status_code, program.mimetype) == (404, "application/problem+json")
    assert (browser.status_code, browser.mimetype) == (404, "text/html")

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
def test_every_error_that_a_request_can_meet_has_a_row_of_its_own(error):
    assert error in PROBLEMS


@pytest.mark.parametrize("problem", all_problems(), ids=lambda problem: problem.slug)
def test_every_problem_is_in_the_docs_in_the_same_words(problem):
    assert f"### `{problem.slug}`: {problem.status} {problem.meaning}" in re.sub(r"\s+", " ", DOCS)


def test_the_type_of_a_problem_leads_to_its_description(client):
    answer = client.get("/api/models/nobody/metadata").json

    page, _, slug = answer["type"].partition("#")
    assert f'id="{slug}"' in client.get(page).text


def test_an_error_of_http_without_a_row_keeps_its_status(app):
    app.add_url_rule("/api/teapot", view_func=lambda: abort(418))

    answer = app.test_client().get("/api/teapot")

    assert (answer.status_code, answer.json["title"]) == (418, "I'm a Teapot")
    assert answer.json["type"] == "about:blank"


def test_an_error_of_our_own_making_tells_nothing(app, caplog):
    app.add_url_rule("/api/bug", view_func=lambda: {}["secret"])

    answer = app.test_client().get("/api/bug")

    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "KeyError: 'secret'" in caplog.text
    assert answer.json["request_id"] in caplog.text


def test_an_error_on_a_page_is_a_page(client):
    answer = client.get("/nothing")

    assert (answer.status_code, answer.mimetype) == (404, "text/html")


def test_a_plain_bug_is_an_internal_error():
    assert get_problem(KeyError()).status == 500

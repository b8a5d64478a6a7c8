"""Headers of all answers."""

import pytest

from app.web import guard

PATHS = ["/", "/nothing", "/docs", "/api/models", "/api/nothing", "/metrics", "/static/site.css"]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_carries_the_headers(client, path):
    with client.get(path) as response:
        headers = dict(response.headers)

    assert guard.HEADERS.items() <= headers.items()
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/api/models", "/static/favicon.svg", "/api/nothing"])
def test_what_is_no_page_may_do_nothing_as_one(client, path):
    with client.get(path) as response:
        policy = response.headers["Content-Security-Policy"]

    assert policy == "default-src 'none'; frame-ancestors 'none'"

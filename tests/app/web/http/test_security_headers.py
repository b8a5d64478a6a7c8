"""Security headers of all responses."""

import pytest
from werkzeug.test import create_environ, run_wsgi_app

from app.web.http import security_headers
from tests.new_keys import NewKey

THEME = "/static/1/theme.js"
PATHS = ["/", "/nothing", "/docs", "/api/models", "/api/nothing", "/metrics", THEME]


@pytest.fixture
def client(same_client):
    """A client of an application that no test here changes."""
    return same_client


@pytest.mark.parametrize("path", PATHS)
def test_responses_have_security_headers(client, path):
    with client.get(path) as response:
        headers = dict(response.headers)

    assert security_headers.HEADERS.items() <= headers.items()
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/api/models", THEME, "/api/nothing"])
def test_other_responses_forbid_all_content(client, path):
    with client.get(path) as response:
        policy = response.headers["Content-Security-Policy"]

    assert policy == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize("headers", [{}, {"X-Aside": "1"}], ids=["short", "normal"])
def test_predictions_are_not_cached(client, headers):
    answer = client.post("/api/models/doubler/predict", json={"x": 2}, headers=headers)

    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/api/models", "no-store"),
        ("/models/doubler/predict?x=2", "no-store"),
        ("/models/doubler/predict", "no-cache"),
        ("/api/nothing", "no-store"),
    ],
)
def test_pages_with_data_are_not_cached(client, path, kept):
    assert client.get(path).headers["Cache-Control"] == kept


def test_pages_with_key_are_not_cached(make_app):
    key = NewKey("predict")
    client = make_app(KEYS=f"[{key!r}]").test_client()

    assert client.get("/login").headers["Cache-Control"] == "no-store"
    assert client.get("/", headers=key.headers).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("headers", [{}, {"X-Aside": "1"}], ids=["short", "normal"])
def test_http_1_1_requires_host(same_app, headers):
    app = same_app()
    environ = create_environ("/api/models/doubler/predict", method="POST", json={"x": 2})
    del environ["HTTP_HOST"]
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in headers.items()}

    _, status, _ = run_wsgi_app(app, environ | {"SERVER_PROTOCOL": "HTTP/1.1"})
    _, of_1_0, _ = run_wsgi_app(app, environ | {"SERVER_PROTOCOL": "HTTP/1.0"})

    assert (status[:3], of_1_0[:3]) == ("400", "200")


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "GET"])
def test_predict_lists_its_methods(client, method):
    answer = client.open("/api/models/doubler/predict", method=method)

    assert {each.strip() for each in answer.headers["Allow"].split(",")} == {"OPTIONS", "POST"}

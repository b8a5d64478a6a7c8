"""Login to the pages, which other sites cannot use."""

import re
from urllib.parse import urlsplit

import pytest

from tests.new_keys import NewKey

MODELS = "models: [{class: tests.models.simple.Doubler}, {class: tests.models.simple.Echo}]"
OWN, ONE, ADMIN = NewKey(), NewKey(models=["echo"]), NewKey("admin")
#: Headers that a browser sends for a page of this server.
HERE = {"Origin": "http://localhost"}
SECRET = "a secret of thirty-two characters"


@pytest.fixture
def app(same_app):
    return same_app(MODELS, KEYS=[OWN, ONE, ADMIN], SECRET_KEY=SECRET)


@pytest.fixture
def client(app):
    return app.test_client()


def log_in(client, key=OWN, after="/", **options):
    typed = {"key": key.text, "next": after}
    return client.post("/login", data=typed, headers=HERE, **options)


def test_login_returns_to_the_page(client):
    asked = client.get("/models/echo/predict?a=1&b=2")
    typed = re.search('name="next" value="([^"]*)"', client.get(asked.location).text)[1]
    back = log_in(client, after=typed.replace("&amp;", "&"))

    assert (asked.status_code, asked.location.partition("?")[0]) == (303, "/login")
    assert (back.status_code, back.location) == (303, "/models/echo/predict?a=1&b=2")
    assert client.get(back.location).status_code == 200


def test_unknown_key_is_rejected_in_form(client):
    answer = log_in(client, NewKey())

    assert answer.status_code == 401
    assert "Unknown key." in answer.text
    assert "mh_" not in answer.text.replace("<code>mh_</code>", "")
    assert client.get("/").status_code == 303


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        "models",
        "",
        "http:///evil.example",
    ],
)
def test_login_redirects_only_to_this_site(client, elsewhere):
    assert log_in(client, after=elsewhere).location == "/"


def test_login_authorizes_pages_and_calls(client):
    log_in(client)

    page = client.post("/models/doubler/predict", data={"row": '{"x": 4}'}, headers=HERE)
    call = client.post("/api/models/doubler/predict", json={"x": 4}, headers=HERE)

    assert (page.status_code, call.json) == (200, {"y": 8})
    assert client.get("/openapi.json").status_code == 200
    assert "Log out" in page.text


def test_login_has_key_scopes(client):
    log_in(client, ONE)

    assert client.get("/models/doubler/predict").status_code == 403
    assert client.get("/metrics").status_code == 403
    assert client.post("/api/models/echo/unload", headers=HERE).status_code == 403
    assert client.get("/models/echo/predict").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://sub.localhost"},
        {"Referer": "http://localhost/"},
    ],
)
@pytest.mark.parametrize("path", ["/api/models/echo/load", "/api/models/echo/predict"])
def test_login_needs_proof_of_origin(client, path, headers):
    log_in(client, ADMIN)

    assert client.post(path, json={}, headers=headers).status_code in (401, 403)
    assert client.post(path, json={}, headers=HERE).status_code == 200


def test_other_sites_cannot_log_in(client):
    headers = {"Origin": "https://evil.example"}

    assert client.post("/login", data={"key": OWN.text}, headers=headers).status_code == 403
    log_in(client)
    assert client.post("/logout", headers=headers).status_code == 403
    assert client.get("/").status_code == 200


def test_cookie_has_secure_attributes(client):
    cookie = log_in(client).headers["Set-Cookie"]
    secure = log_in(client, base_url="https://localhost").headers["Set-Cookie"]

    assert "; HttpOnly" in cookie
    assert "; SameSite=Lax" in cookie
    assert "; Expires=" in cookie
    assert ("Secure" in cookie, "Secure" in secure) == (False, True)
    assert OWN.text[16:] not in cookie


def test_logout_ends_the_login(client):
    log_in(client)

    answer = client.post("/logout", headers=HERE)

    assert (answer.status_code, answer.location) == (303, "/login")
    assert client.get("/").status_code == 303


def test_revoked_key_ends_the_login(make_app, app, client):
    log_in(client)

    other = with_cookie_of(client, make_app(MODELS, KEYS=[ONE], SECRET_KEY=SECRET))

    assert other.get("/").status_code == 303


def with_cookie_of(client, app):
    """A client of another server with the cookie of this login."""
    cookie = client.get_cookie("modelhost_8000")
    other = app.test_client()
    other.set_cookie(cookie.key, cookie.value)
    return other


@pytest.mark.parametrize("secret", ["", "another secret of more than 32 characters"])
def test_forged_cookie_is_ignored(make_app, client, secret):
    log_in(client)

    other = with_cookie_of(client, make_app(MODELS, KEYS=[OWN], SECRET_KEY=secret))

    assert other.get("/").status_code == 303


def test_login_expires(make_app):
    client = make_app(MODELS, KEYS=[OWN], LOGIN_HOURS=0.01).test_client()
    log_in(client)

    assert client.application.permanent_session_lifetime.total_seconds() == 36


def test_expired_login_keeps_form_input(client):
    answer = client.post("/models/doubler/predict", data={"row": '{"x": 4}'}, headers=HERE)

    assert answer.status_code == 401
    assert "Your input is kept" in answer.text
    assert urlsplit(re.search(r'href="(/login[^"]*)"', answer.text)[1]).path == "/login"


def test_pages_after_login_are_not_cached(client):
    log_in(client)

    for path in ("/", "/api/models", "/models/echo/predict"):
        answer = client.get(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Cookie" in answer.headers["Vary"]


def test_login_redirects_without_keys(make_app):
    client = make_app(MODELS).test_client()

    assert client.get("/login").location == "/"
    assert "Log out" not in client.get("/").text
    assert "Set-Cookie" not in client.get("/").headers


def test_curl_example_includes_the_key(client):
    log_in(client)

    assert "Authorization: Bearer $MODELHOST_KEY" in client.get("/models/echo/metadata").text

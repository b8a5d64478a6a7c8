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
def app(make_app):
    return make_app(MODELS, KEYS=[OWN, ONE, ADMIN], SECRET_KEY=SECRET)


@pytest.fixture
def client(app):
    return app.test_client()


def log_in(client, key=OWN, after="/", **options):
    typed = {"key": key.text, "next": after}
    return client.post("/login", data=typed, headers=HERE, **options)


def test_a_page_leads_to_the_login_and_back(client):
    asked = client.get("/models/echo/predict?a=1&b=2")
    typed = re.search('name="next" value="([^"]*)"', client.get(asked.location).text)[1]
    back = log_in(client, after=typed.replace("&amp;", "&"))

    assert (asked.status_code, asked.location.partition("?")[0]) == (303, "/login")
    assert (back.status_code, back.location) == (303, "/models/echo/predict?a=1&b=2")
    assert client.get(back.location).status_code == 200


def test_a_wrong_key_is_told_beside_its_field_and_not_repeated(client):
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
def test_a_login_leads_nowhere_else(client, elsewhere):
    assert log_in(client, after=elsewhere).location == "/"


def test_pages_and_their_calls_work_after_the_login(client):
    log_in(client)

    page = client.post("/models/doubler/predict", data={"row": '{"x": 4}'}, headers=HERE)
    call = client.post("/api/models/doubler/predict", json={"x": 4}, headers=HERE)

    assert (page.status_code, call.json) == (200, {"y": 8})
    assert client.get("/openapi.json").status_code == 200
    assert "Log out" in page.text


def test_a_login_is_worth_no_more_than_its_key(client):
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
@pytest.mark.parametrize("path", ["/api/models/echo/unload", "/api/models/echo/predict"])
def test_a_login_sends_nothing_that_this_servers_pages_do_not_send(client, path, headers):
    log_in(client, ADMIN)

    assert client.post(path, json={}, headers=headers).status_code in (401, 403)
    assert client.post(path, json={}, headers=HERE).status_code == 200


def test_nobody_is_logged_in_or_out_by_another_site(client):
    headers = {"Origin": "https://evil.example"}

    assert client.post("/login", data={"key": OWN.text}, headers=headers).status_code == 403
    log_in(client)
    assert client.post("/logout", headers=headers).status_code == 403
    assert client.get("/").status_code == 200


def test_the_cookie_is_kept_from_scripts_other_sites_and_plain_http(client):
    cookie = log_in(client).headers["Set-Cookie"]
    secure = log_in(client, base_url="https://localhost").headers["Set-Cookie"]

    assert "; HttpOnly" in cookie
    assert "; SameSite=Lax" in cookie
    assert "; Expires=" in cookie
    assert ("Secure" in cookie, "Secure" in secure) == (False, True)
    assert OWN.text[16:] not in cookie


def test_logging_out_forgets(client):
    log_in(client)

    answer = client.post("/logout", headers=HERE)

    assert (answer.status_code, answer.location) == (303, "/login")
    assert client.get("/").status_code == 303


def test_a_login_ends_with_its_key(make_app, app, client):
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
def test_a_cookie_that_was_not_signed_here_is_none(make_app, client, secret):
    log_in(client)

    other = with_cookie_of(client, make_app(MODELS, KEYS=[OWN], SECRET_KEY=secret))

    assert other.get("/").status_code == 303


def test_a_login_ends_with_its_time(make_app):
    client = make_app(MODELS, KEYS=[OWN], LOGIN_HOURS=0.01).test_client()
    log_in(client)

    assert client.application.permanent_session_lifetime.total_seconds() == 36


def test_a_form_whose_login_has_ended_says_that_nothing_is_lost(client):
    answer = client.post("/models/doubler/predict", data={"row": '{"x": 4}'}, headers=HERE)

    assert answer.status_code == 401
    assert "Your input is kept" in answer.text
    assert urlsplit(re.search(r'href="(/login[^"]*)"', answer.text)[1]).path == "/login"


def test_what_a_login_shows_is_kept_by_nobody_else(client):
    log_in(client)

    for path in ("/", "/api/models", "/models/echo/predict"):
        answer = client.get(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Cookie" in answer.headers["Vary"]


def test_there_is_no_login_where_there_are_no_keys(make_app):
    client = make_app(MODELS).test_client()

    assert client.get("/login").location == "/"
    assert "Log out" not in client.get("/").text
    assert "Set-Cookie" not in client.get("/").headers


def test_the_call_on_a_models_page_has_a_place_for_the_key(client):
    log_in(client)

    assert "Authorization: Bearer $MODELHOST_KEY" in client.get("/models/echo/metadata").text

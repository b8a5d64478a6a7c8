import re

import pytest
from flask import request

from app.web.http import security_headers
from tests.new_keys import NewKey


def test_an_answer_has_the_request_id_that_the_client_chose(client):
    answer = client.get("/healthz", headers={"X-Request-ID": "job-7.a_B"})

    assert answer.headers["X-Request-ID"] == "job-7.a_B"


@pytest.mark.parametrize("wanted", ["", "a b", "x" * 65, "<script>", "é"])
def test_a_request_id_that_may_forge_something_is_replaced(client, wanted):
    given = client.get("/api/nothing", headers={"X-Request-ID": wanted})

    assert given.headers["X-Request-ID"] == given.json["request_id"] != wanted
    assert len(given.json["request_id"]) == 32


def test_too_many_requests_are_told_when_to_come_back(make_app):
    client = make_app(RATE_LIMIT="2 per minute").test_client()

    answers = [client.get("/api/models") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[2].headers["Retry-After"]) <= 60
    assert "Retry-After" not in answers[0].headers
    assert answers[2].content_type == "application/problem+json"


def test_pages_and_health_are_not_counted(make_app):
    client = make_app(RATE_LIMIT="1 per minute").test_client()

    assert {client.get("/healthz").status_code for _ in range(5)} == {200}


@pytest.mark.parametrize("path", ["/api/models/echo/unload", "/models/echo/predict"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
    ],
)
def test_a_page_of_another_site_sends_nothing(client, path, headers):
    answer = client.post(path, headers=headers)

    assert answer.status_code == 403
    assert "POST requests from pages of" in answer.text


def test_a_refused_page_is_told_as_a_problem(client):
    headers = {"Origin": "https://evil.example"}

    answer = client.post("/api/models/echo/predict", json={}, headers=headers).json

    assert answer["type"] == "/docs/problems#forbidden"
    assert "from pages of the origin 'https://evil.example' are not allowed" in answer["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_its_own_pages_and_programs_may_send(client, headers):
    assert client.post("/api/models/echo/predict", json={}, headers=headers).status_code == 200


def test_another_site_may_read(client):
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}

    assert client.get("/models/echo/predict", headers=headers).status_code == 200


# Rates


def test_each_key_has_a_rate_of_its_own_and_so_has_each_address(make_app):
    one, two = NewKey(), NewKey()
    client = make_app(KEYS=[one, two], RATE_LIMIT="2 per minute").test_client()

    def statuses(headers, address="10.0.0.1"):
        environ = {"REMOTE_ADDR": address}
        return [
            client.get("/api/models", headers=headers, environ_base=environ).status_code
            for _ in range(3)
        ]

    assert statuses(one.headers) == statuses(two.headers) == [200, 200, 429]
    assert statuses(one.headers, "10.0.0.2") == [429, 429, 429]
    assert statuses({}) == [401, 401, 429]
    assert statuses({}, "10.0.0.2") == [401, 401, 429]


def test_who_tries_keys_is_told_to_wait(make_app):
    client = make_app(KEYS=[NewKey()], RATE_LIMIT="2 per minute").test_client()

    by_header = [client.get("/api/models", headers=NewKey().headers).status_code for _ in range(2)]
    by_page = client.post("/login", data={"key": NewKey().text})

    assert by_header == [401, 401]
    assert by_page.status_code == 429
    assert 0 < int(by_page.headers["Retry-After"]) <= 60


def test_forms_are_counted_like_calls(make_app):
    client = make_app(RATE_LIMIT="1 per minute").test_client()

    statuses = [
        client.post("/models/echo/predict", data={"row": "{}"}).status_code for _ in range(2)
    ]

    assert statuses[1] == 429


# Proxies

FORWARDED = {"X-Forwarded-For": "6.6.6.6, 10.1.1.1", "X-Forwarded-Proto": "https"}
SPOOFED = {"X-Forwarded-For": "7.7.7.7", "X-Real-IP": "7.7.7.7", "Forwarded": "for=7.7.7.7"}


@pytest.mark.parametrize(
    ("proxies", "address", "scheme"),
    [(0, "127.0.0.1", "http"), (1, "10.1.1.1", "https"), (2, "6.6.6.6", "http")],
)
def test_a_proxy_is_believed_only_as_the_settings_say(make_app, proxies, address, scheme):
    app = make_app(TRUSTED_PROXIES=proxies)
    app.add_url_rule("/who", view_func=lambda: f"{request.remote_addr} {request.scheme}")

    assert app.test_client().get("/who", headers=FORWARDED).text == f"{address} {scheme}"


@pytest.mark.parametrize("proxies", [0, 1])
def test_no_proxy_says_which_host_was_asked(make_app, proxies):
    client = make_app(TRUSTED_PROXIES=proxies).test_client()
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil"}

    answer = client.get("/models/echo/metadata", headers=headers)

    assert "evil" not in answer.text


def test_nobody_escapes_the_rate_by_another_address(make_app):
    client = make_app(RATE_LIMIT="1 per minute").test_client()

    statuses = [client.get("/api/models", headers=each).status_code for each in ({}, SPOOFED)]

    assert statuses == [200, 429]


# Other sites

FRIEND = {"Origin": "https://friend.example"}
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type",
}


def cors_headers(answer):
    return {name: value for name, value in answer.headers if name.startswith("Access-Control")}


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_no_other_site_reads_anything_unless_the_settings_say_so(client, method):
    answer = client.open("/api/models", method=method, headers=FRIEND | PREFLIGHT)

    assert cors_headers(answer) == {}


@pytest.fixture
def shared(make_app):
    """A client of a server with keys, and another site in CORS_ORIGINS."""
    key = NewKey("admin")
    app = make_app(KEYS=[key], CORS_ORIGINS="https://friend.example https://b.example:8443")
    client = app.test_client()
    client.key = key
    return client


def test_a_named_site_may_ask_with_a_key(shared):
    preflight = shared.options("/api/models/echo/predict", headers=FRIEND | PREFLIGHT)
    answer = shared.post(
        "/api/models/echo/predict",
        json={},
        headers=FRIEND | shared.key.headers | {"Sec-Fetch-Site": "cross-site"},
    )

    assert preflight.headers["Access-Control-Allow-Origin"] == FRIEND["Origin"]
    assert "authorization" in preflight.headers["Access-Control-Allow-Headers"].lower()
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (
        200,
        FRIEND["Origin"],
    )
    assert "X-Request-ID" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_named_site_reads_what_was_wrong(shared):
    answer = shared.post("/api/models/echo/predict", json={}, headers=FRIEND)

    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == FRIEND["Origin"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://friend.example.evil.example",
        "http://friend.example",
        "https://friend.example:444",
        "https://friendXexample",
        "null",
    ],
)
def test_no_site_but_those_that_are_named_may_ask(shared, origin):
    headers = {"Origin": origin, **shared.key.headers}

    read = shared.get("/api/models", headers=headers)
    sent = shared.post("/api/models/echo/predict", json={}, headers=headers)

    assert (cors_headers(read), cors_headers(sent), sent.status_code) == ({}, {}, 403)


def test_a_named_site_cannot_use_a_visitors_login(shared):
    home = {"Origin": "http://localhost"}
    shared.post("/login", data={"key": shared.key.text}, headers=home)

    assert shared.get("/api/models").status_code == 200
    assert shared.get("/api/models", headers=FRIEND).status_code == 401
    assert shared.post("/api/models/echo/unload", headers=FRIEND).status_code == 401
    assert shared.post("/models/echo/predict", headers=FRIEND).status_code == 403
    assert shared.post("/logout", headers=FRIEND).status_code == 403


def test_every_site_may_ask_where_the_settings_say_so(make_app):
    client = make_app(CORS_ORIGINS="*").test_client()

    answer = client.post("/api/models/echo/predict", json={}, headers=FRIEND)

    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (
        200,
        FRIEND["Origin"],
    )
    assert cors_headers(client.get("/", headers=FRIEND)) == {}


# Every response


def answers(client):
    """A response of each route and method, and of each kind of rejection."""
    for rule in client.application.url_map.iter_rules():
        path = re.sub("<[^>]*>", "echo", rule.rule)
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
            yield client.open(path, method=method)
    predict = "/api/models/echo/predict"
    yield client.get("/static/site.css")
    yield client.get("/static/../config.py")
    yield client.post(predict, data=b" " * 200_000, content_type="application/json")
    yield client.post("/models/echo/predict", data={"row": "x" * 200_000})
    yield client.post(predict, data=b"{", content_type="application/json")
    yield client.post(predict, json={}, headers={"Origin": "https://evil.example"})
    yield client.post(predict, json={})
    yield client.get("/bug")
    yield client.get("/api/bug")


@pytest.mark.parametrize("settings", [{}, {"KEYS": [NewKey()]}, {"RATE_LIMIT": "1 per day"}])
def test_every_answer_has_a_request_id_and_the_security_headers(make_app, settings):
    app = make_app(**settings)
    for path in ("/bug", "/api/bug"):
        app.add_url_rule(path, path, view_func=lambda: {}["a secret of ours"])
    client = app.test_client()
    client.environ_base["HTTP_X_REQUEST_ID"] = "mine"

    for answer in answers(client):
        with answer:
            assert answer.headers.getlist("X-Request-ID") == ["mine"], answer.request
            assert security_headers.HEADERS.items() <= dict(answer.headers).items(), answer.request
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            if answer.content_type == "application/problem+json" and answer.data:
                assert answer.json["request_id"] == "mine"


def test_no_answer_tells_a_trace_or_a_path_of_the_server(make_app):
    app = make_app()
    for path in ("/bug", "/api/bug"):
        app.add_url_rule(path, path, view_func=lambda: {}["a secret of ours"])

    for answer in answers(app.test_client()):
        with answer:
            told = answer.data.decode(errors="replace")
            assert "Traceback" not in told
            assert "a secret of ours" not in told
            assert app.root_path not in told


# Vulnerabilities of other servers: paths that leave their folder (MLflow, Gradio).

OUT = [
    "../config.py",
    "..%2fconfig.py",
    "%2e%2e/config.py",
    "..%5cconfig.py",
    "....//config.py",
    "/etc/passwd",
    "//etc/passwd",
    "file:///etc/passwd",
    "vendor/../../config.py",
    "a%00/../../config.py",
]


@pytest.mark.parametrize("path", OUT)
@pytest.mark.parametrize("folder", ["/static/", "/bootstrap/static/", "/models/echo/artifacts/"])
def test_no_path_leaves_its_folder(client, folder, path):
    with client.get(folder + path) as answer:
        assert answer.status_code == 404
        assert b"root:" not in answer.data
        assert b"class Production" not in answer.data


@pytest.mark.parametrize(
    "host", ["a..b", ".x", "x" * 64, "a b", "<x>", "[::1", "é", "a/b", "@", "a:b"]
)
@pytest.mark.parametrize("path", ["/", "/nope", "/models/echo/predict", "/api/models", "/healthz"])
def test_a_host_that_is_none_is_refused(client, path, host):
    answer = client.get(path, headers={"Host": host})

    assert answer.status_code == 400
    assert "malformed Host header" in answer.text


@pytest.mark.parametrize(
    "host", ["[::1]:8000", "10.0.0.1", "a.example.", "A_b-c:1", "xn--bcher-kva.example"]
)
def test_any_other_host_is_answered(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 200


def test_a_page_says_that_the_server_has_other_names(make_app):
    answer = make_app(HOST_NAMES="models.example").test_client().get("/", headers={"Host": "evil"})

    assert answer.status_code == 400
    assert "HOST_NAMES lists the accepted names" in answer.text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("models.example", 200),
        ("models.example:8000", 200),
        ("a.team.example", 200),
        ("evil.example", 400),
        ("models.example.evil.example", 400),
        ("", 400),
    ],
)
@pytest.mark.parametrize(
    "path", ["/api/models/echo/predict", "/api/models/echo/versions/1/predict"]
)
def test_only_the_named_hosts_are_answered(make_app, host, status, path):
    app = make_app(HOST_NAMES="models.example .team.example")

    answer = app.test_client().post(path, json={}, headers={"Host": host})

    known = status if status == 400 or path.endswith("echo/predict") else 404
    assert answer.status_code == known
    assert answer.content_type == (
        "application/json" if known == 200 else "application/problem+json"
    )

import re

import pytest
from flask import request

from app.web.http import security_headers
from tests.new_keys import NewKey


def test_client_can_set_request_id(same_client):
    answer = same_client.get("/healthz", headers={"X-Request-ID": "job-7.a_B"})

    assert answer.headers["X-Request-ID"] == "job-7.a_B"


@pytest.mark.parametrize("wanted", ["", "a b", "x" * 65, "<script>", "é"])
def test_unsafe_request_id_is_replaced(same_client, wanted):
    given = same_client.get("/api/nothing", headers={"X-Request-ID": wanted})

    assert given.headers["X-Request-ID"] == given.json["request_id"] != wanted
    assert len(given.json["request_id"]) == 32


def test_rate_limit_sends_retry_after(make_app):
    client = make_app(RATE_LIMIT="2 per minute").test_client()

    answers = [client.get("/api/models") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[2].headers["Retry-After"]) <= 60
    assert "Retry-After" not in answers[0].headers
    assert answers[2].content_type == "application/problem+json"


def test_pages_and_health_checks_are_unlimited(make_app):
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
def test_requests_of_other_sites_are_rejected(same_client, path, headers):
    answer = same_client.post(path, headers=headers)

    assert answer.status_code == 403
    assert "POST requests from pages of" in answer.text


def test_rejected_site_gets_a_problem(same_client):
    headers = {"Origin": "https://evil.example"}

    answer = same_client.post("/api/models/echo/predict", json={}, headers=headers).json

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
def test_own_pages_and_programs_are_accepted(same_client, headers):
    assert same_client.post("/api/models/echo/predict", json={}, headers=headers).status_code == 200


def test_links_from_other_sites_work(same_client):
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}

    assert same_client.get("/models/echo/predict", headers=headers).status_code == 200


# Rates


def test_keys_and_addresses_are_limited_separately(make_app):
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


def test_unknown_keys_are_rate_limited(make_app):
    client = make_app(KEYS=[NewKey()], RATE_LIMIT="2 per minute").test_client()

    by_header = [client.get("/api/models", headers=NewKey().headers).status_code for _ in range(2)]
    by_page = client.post("/login", data={"key": NewKey().text})

    assert by_header == [401, 401]
    assert by_page.status_code == 429
    assert 0 < int(by_page.headers["Retry-After"]) <= 60


def test_submitted_forms_are_rate_limited(make_app):
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
def test_forwarded_headers_need_trusted_proxies(make_app, proxies, address, scheme):
    app = make_app(TRUSTED_PROXIES=proxies)
    app.add_url_rule("/who", view_func=lambda: f"{request.remote_addr} {request.scheme}")

    assert app.test_client().get("/who", headers=FORWARDED).text == f"{address} {scheme}"


@pytest.mark.parametrize("proxies", [0, 1])
def test_forwarded_host_is_ignored(make_app, proxies):
    client = make_app(TRUSTED_PROXIES=proxies).test_client()
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/evil"}

    answer = client.get("/models/echo/metadata", headers=headers)

    assert "evil" not in answer.text


def test_forged_address_does_not_evade_limit(make_app):
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
def test_cors_is_off_by_default(same_client, method):
    answer = same_client.open("/api/models", method=method, headers=FRIEND | PREFLIGHT)

    assert cors_headers(answer) == {}


ADMIN = NewKey("admin")


@pytest.fixture
def shared(same_app):
    """A client of a server with keys, and another site in CORS_ORIGINS."""
    origins = "https://friend.example https://b.example:8443"
    return same_app(KEYS=[ADMIN], CORS_ORIGINS=origins).test_client()


def test_allowed_site_predicts_with_key(shared):
    preflight = shared.options("/api/models/echo/predict", headers=FRIEND | PREFLIGHT)
    answer = shared.post(
        "/api/models/echo/predict",
        json={},
        headers=FRIEND | ADMIN.headers | {"Sec-Fetch-Site": "cross-site"},
    )

    assert preflight.headers["Access-Control-Allow-Origin"] == FRIEND["Origin"]
    assert "authorization" in preflight.headers["Access-Control-Allow-Headers"].lower()
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (
        200,
        FRIEND["Origin"],
    )
    assert "X-Request-ID" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_allowed_site_reads_problems(shared):
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
def test_unlisted_sites_are_rejected(shared, origin):
    headers = {"Origin": origin, **ADMIN.headers}

    read = shared.get("/api/models", headers=headers)
    sent = shared.post("/api/models/echo/predict", json={}, headers=headers)

    assert (cors_headers(read), cors_headers(sent), sent.status_code) == ({}, {}, 403)


def test_allowed_site_cannot_use_login(shared):
    home = {"Origin": "http://localhost"}
    shared.post("/login", data={"key": ADMIN.text}, headers=home)

    assert shared.get("/api/models").status_code == 200
    assert shared.get("/api/models", headers=FRIEND).status_code == 401
    assert shared.post("/api/models/echo/unload", headers=FRIEND).status_code == 401
    assert shared.post("/models/echo/predict", headers=FRIEND).status_code == 403
    assert shared.post("/logout", headers=FRIEND).status_code == 403


def test_cors_can_allow_all_sites(make_app):
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
    yield client.get("/static/1/theme.js")
    yield client.get("/static/../config.py")
    yield client.post(predict, data=b" " * 200_000, content_type="application/json")
    yield client.post("/models/echo/predict", data={"row": "x" * 200_000})
    yield client.post(predict, data=b"{", content_type="application/json")
    yield client.post(predict, json={}, headers={"Origin": "https://evil.example"})
    yield client.post(predict, json={})
    yield client.get("/bug")
    yield client.get("/api/bug")


@pytest.mark.parametrize("settings", [{}, {"KEYS": [NewKey()]}, {"RATE_LIMIT": "1 per day"}])
def test_responses_have_headers_and_no_traces(make_app, settings):
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
@pytest.mark.parametrize("folder", ["/static/", "/static/1/", "/models/echo/artifacts/"])
def test_paths_cannot_leave_their_folder(same_client, folder, path):
    with same_client.get(folder + path) as answer:
        assert answer.status_code == 404
        assert b"root:" not in answer.data
        assert b"class Production" not in answer.data


@pytest.mark.parametrize(
    "host", ["a..b", ".x", "x" * 64, "a b", "<x>", "[::1", "é", "a/b", "@", "a:b"]
)
@pytest.mark.parametrize("path", ["/", "/nope", "/models/echo/predict", "/api/models", "/healthz"])
def test_malformed_host_is_rejected(same_client, path, host):
    answer = same_client.get(path, headers={"Host": host})

    assert answer.status_code == 400
    assert "malformed host header" in answer.text.lower()


@pytest.mark.parametrize(
    "host", ["[::1]:8000", "10.0.0.1", "a.example.", "A_b-c:1", "xn--bcher-kva.example"]
)
def test_well_formed_hosts_are_accepted(same_client, host):
    assert same_client.get("/", headers={"Host": host}).status_code == 200


def test_page_explains_rejected_host(make_app):
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
def test_host_names_restrict_hosts(same_app, host, status, path):
    app = same_app(HOST_NAMES="models.example .team.example")

    answer = app.test_client().post(path, json={}, headers={"Host": host})

    known = status if status == 400 or path.endswith("echo/predict") else 404
    assert answer.status_code == known
    assert answer.content_type == (
        "application/json" if known == 200 else "application/problem+json"
    )

import pytest


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
    assert "may not send POST requests here" in answer.text


def test_a_refused_page_is_told_as_a_problem(client):
    headers = {"Origin": "https://evil.example"}

    answer = client.post("/api/models/echo/predict", json={}, headers=headers).json

    assert answer["type"] == "/docs/problems#forbidden"
    assert "a page of the origin 'https://evil.example' may not" in answer["detail"]


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

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

"""The health of a model, as JSON and as pages."""

import pytest

from tests.new_keys import NewKey


def test_health_counts_calls_and_errors_by_hour(client):
    before = client.get("/api/models/doubler/health").json["traffic"]
    client.post("/api/models/doubler/predict", json=[{"x": 1}, {"x": 2}])
    client.post("/api/models/doubler/predict", json={})

    answer = client.get("/api/models/doubler/health").json

    assert answer["status"] == "ready"
    *_, hour = answer["traffic"]
    calls, errors = (before[-1]["calls"], before[-1]["errors"]) if before else (0, 0)
    assert (hour["calls"] - calls, hour["errors"] - errors) == (2, 1)
    assert hour["start"].endswith(":00:00+00:00")
    assert 0 < hour["median_seconds"] <= hour["p95_seconds"]
    page = client.get("/models/doubler/health").text
    assert "Calls in 24 hours" in page
    assert "Invalid input: " in page


def test_health_of_unknown_model_is_404(client):
    assert client.get("/api/models/none/health").status_code == 404
    assert client.get("/models/none/health").status_code == 404


@pytest.mark.parametrize("path", ["/models/echo/health", "/api/models/echo/health"])
def test_health_needs_a_key_for_the_model(make_app, path):
    key = NewKey("predict", models=["doubler"])
    client = make_app(KEYS=[key]).test_client()

    answer = client.get(path, headers=key.headers)

    assert answer.status_code == 403
    assert "/models/echo/health" not in client.get("/health", headers=key.headers).text

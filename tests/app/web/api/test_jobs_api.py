"""Who may see jobs."""

import json

import pytest

from tests.new_keys import NewKey

MODELS = "models:\n  - class: tests.models.simple.Doubler\n"
OWNER, OTHER, ADMIN = NewKey(), NewKey(), NewKey("predict", "admin")


@pytest.fixture
def client(make_app, tmp_path):
    keys = json.dumps([key.entry for key in (OWNER, OTHER, ADMIN)])
    settings = {"KEYS": keys, "KEYS_FOR": "admin", "JOBS_FOLDER": tmp_path / "jobs"}
    return make_app(MODELS, **settings).test_client()


def test_jobs_are_visible_to_their_key_and_admins(client):
    created = client.post(
        "/api/models/doubler/jobs", data="x\n1\n", content_type="text/csv", headers=OWNER.headers
    )
    path = created.headers["Location"]

    def visible(headers):
        found = client.get("/api/jobs", headers=headers)
        return len(found.json["jobs"]) if found.status_code == 200 else found.status_code

    assert [visible(key.headers) for key in (OWNER, OTHER, ADMIN)] == [1, 0, 1]
    assert visible({}) == 0
    for address in (path, f"{path}/problems", f"{path}/result"):
        assert client.get(address, headers=OTHER.headers).status_code == 404
        assert client.get(address).status_code == 404
    for address in (f"{path}/cancel", f"{path}/resume"):
        assert client.post(address, headers=OTHER.headers).status_code == 404
    assert client.post(f"{path}/cancel", headers=OWNER.headers).json["state"] == "cancelled"
    assert client.delete(path, headers=OTHER.headers).status_code == 404
    assert client.delete(path, headers=OWNER.headers).status_code == 204


def test_health_page_counts_the_jobs_of_the_key(client):
    client.post(
        "/api/models/doubler/jobs", data="x\n1\n", content_type="text/csv", headers=OWNER.headers
    )

    own, other, admin = (
        client.get("/health", headers=key.headers).text for key in (OWNER, OTHER, ADMIN)
    )

    assert "1 waiting, 0 running" in own
    assert "none waiting or running" in other
    assert "1 waiting, 0 running" in admin

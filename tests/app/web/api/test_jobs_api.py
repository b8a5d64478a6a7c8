"""Who may see jobs."""

import codecs
import json
from functools import partial

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


def test_admin_sees_the_owner_of_a_job(client):
    job = client.post(
        "/api/models/doubler/jobs", data="x\n1\n", content_type="text/csv", headers=OWNER.headers
    ).json

    listed = client.get("/api/jobs", headers=ADMIN.headers).json["jobs"]

    assert [each["owner"] for each in listed] == [OWNER.entry["name"]]
    assert "owner" not in job
    assert "owner" not in client.get(job["links"]["self"], headers=OWNER.headers).json


def test_csv_may_have_a_byte_order_mark(client):
    path = client.post("/api/models/doubler/jobs", data="x\n1\n", content_type="text/csv").headers[
        "Location"
    ]

    def problems(query):
        return client.get(f"{path}/problems{query}").data

    assert problems("?bom=true") == codecs.BOM_UTF8 + problems("")
    assert problems("?as=ndjson&bom=true") == b""
    assert client.get(f"{path}/problems?bom=yes").status_code == 400


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


def test_command_describes_a_job_as_the_api_does(run_command, make_app, tmp_path):
    folder = tmp_path / "jobs"
    file = tmp_path / "rows.csv"
    file.write_text("x\n1\n")
    run = partial(run_command, "jobs", models=MODELS, JOBS_FOLDER=folder)
    created = json.loads(run("submit", "doubler", file, "--json").stdout)

    shown = json.loads(run("show", created["id"], "--json").stdout)
    listed = json.loads(run("list", "--json").stdout)["jobs"]

    client = make_app(MODELS, JOBS_FOLDER=folder).test_client()
    job = client.get(f"/api/jobs/{created['id']}").json
    del job["links"]
    assert shown == created == job
    assert listed == [job]
    assert shown["progress"] == 0.0

import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

import config
from tests.models.simple import Waiting
from tests.waiting import wait_until

PREDICT = "/api/models/waiting/predict"


def test_healthz_returns_ok(client):
    assert client.get("/healthz").json == {"status": "ok"}


def test_readyz_gives_states_and_reasons(client):
    answer = client.get("/readyz")

    assert (answer.status_code, answer.json["status"]) == (200, "ready")
    assert answer.json["models"]["echo"] == {"status": "ready", "reason": None}
    assert answer.json["models"]["no-such"]["status"] == "failed"
    assert "No such file" in answer.json["models"]["no-such"]["reason"]


def test_not_ready_without_available_model(make_app):
    client = make_app("models: [{class: nowhere.Model}]").test_client()

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json["status"]) == (503, "not ready")


def test_server_without_models_is_ready(make_app):
    assert make_app("models: []").test_client().get("/readyz").status_code == 200


def test_metrics_count_calls_by_outcome(client):
    client.post("/api/models/doubler/predict", json=[{"x": 1}, {"x": 2}])
    client.post("/api/models/doubler/predict", json={})

    text = client.get("/metrics").text

    assert 'modelhost_predictions_total{endpoint="predict",model="doubler",outcome="ok"}' in text
    assert (
        'modelhost_predictions_total{endpoint="predict",model="doubler",outcome="InvalidInput"}'
        in text
    )
    assert 'modelhost_rows_total{endpoint="predict",model="doubler"}' in text
    assert (
        'modelhost_prediction_seconds_bucket{endpoint="predict",le="0.005",model="doubler"}' in text
    )


def test_metrics_count_rejected_calls(make_app):
    client = make_app(f"models: [{ABLE}, {UNABLE}]", MAX_ROWS=1).test_client()
    name = "modelhost_predictions_total"
    names = [
        f'{name}{{endpoint="{endpoint}",model="{model}",outcome="{outcome}"}}'
        for endpoint, model, outcome in [
            ("predict", "broken", "ModelUnavailable"),
            ("(other)", "broken", "ModelUnavailable"),
            ("predict", "echo", "TooManyRows"),
        ]
    ]
    before = [sample(client, name) or 0 for name in names]

    client.post("/api/models/broken/predict", json={})
    client.post("/api/models/broken/made-up", json={})
    client.post("/api/models/echo/predict", json=[{}, {}])

    assert [sample(client, name) - count for name, count in zip(names, before, strict=True)] == [
        1,
        1,
        1,
    ]


def test_processes_without_gunicorn_count_alone(make_app):
    client = make_app(WORKERS=2).test_client()

    answers = [client.get(path) for path in ("/", "/models/echo/metadata", "/metrics")]

    assert [answer.status_code for answer in answers] == [200, 200, 200]


ABLE = "{class: tests.models.simple.Echo}"
UNABLE = "{class: nowhere.Model, name: broken}"
LAZY = "{class: tests.models.simple.Doubler, load: lazy}"


@pytest.mark.parametrize(
    ("when", "models", "waits_for"),
    [
        ("any", [ABLE, UNABLE], []),
        ("any", [UNABLE], ["broken"]),
        ("any", [], []),
        ("all", [ABLE, LAZY], []),
        ("all", [ABLE, UNABLE], ["broken"]),
        ("all", [], []),
        ("echo", [ABLE, UNABLE], []),
        ("echo, broken", [ABLE, UNABLE], ["broken"]),
        ("echo nothing", [ABLE], ["nothing"]),
    ],
)
def test_ready_when_selects_required_models(make_app, when, models, waits_for):
    text = f"models: [{', '.join(models)}]"
    client = make_app(text, READY_WHEN=when).test_client()

    answer = client.get("/readyz")

    assert answer.status_code == (503 if waits_for else 200)
    assert answer.json["waits_for"] == waits_for


def sample(client, name):
    """The value of a sample, by its name and labels."""
    lines = client.get("/metrics").text.splitlines()
    found = [line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")]
    return float(found[0]) if found else None


def test_metrics_count_by_route_and_status(make_app):
    client = make_app().test_client()
    predict = '{method="POST",route="/api/models/<name>/predict",status="2xx"}'
    nowhere = '{method="GET",route="(none)",status="4xx"}'
    names = [f"modelhost_http_requests_total{each}" for each in (predict, nowhere)]
    before = [sample(client, name) or 0 for name in names]

    client.post("/api/models/echo/predict", json={})
    client.post("/api/models/echo/predict", json={}, headers={"X-Aside": "1"})
    client.get("/api/a-path-of-the-clients-own")

    assert [sample(client, name) for name in names] == [before[0] + 2, before[1] + 1]
    assert "clients-own" not in client.get("/metrics").text


def test_unknown_method_has_no_own_label(client):
    client.open("/healthz", method="EVIL")

    text = client.get("/metrics").text
    assert 'method="OTHER",route="(none)"' in text or 'method="OTHER",route="/healthz"' in text
    assert "EVIL" not in text


def test_metrics_contain_states_and_load_times(make_app):
    client = make_app(f"models: [{ABLE}, {UNABLE}, {LAZY}]").test_client()

    assert sample(client, 'modelhost_models{model="echo",state="ready"}') == 1
    assert sample(client, 'modelhost_models{model="broken",state="failed"}') == 1
    assert sample(client, 'modelhost_models{model="doubler",state="lazy"}') == 1
    client.post("/api/models/doubler/predict", json={"x": 1})
    assert sample(client, 'modelhost_models{model="doubler",state="lazy"}') == 0
    assert sample(client, 'modelhost_models{model="doubler",state="ready"}') == 1
    assert 0 <= sample(client, 'modelhost_load_seconds{model="doubler"}') < 60


def test_metrics_contain_calls_in_flight(make_app):
    client = make_app("models: [{class: tests.models.simple.Waiting}]").test_client()
    name = 'modelhost_calls{model="waiting"}'
    Waiting.go.clear()

    with ThreadPoolExecutor() as pool:
        asked = [
            pool.submit(client.application.test_client().post, PREDICT, json={}) for _ in range(2)
        ]
        wait_until(lambda: sample(client, name) == 2)
        Waiting.go.set()
        statuses = [each.result().status_code for each in asked]

    assert statuses == [200, 200]
    assert sample(client, name) == 0


def test_metrics_contain_process_memory(client):
    assert sample(client, f'modelhost_memory_bytes{{pid="{os.getpid()}"}}') > 10_000_000


def test_metrics_are_in_the_docs(client):
    docs = (config.ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    names = set(re.findall(r"# TYPE (modelhost_\w+)", client.get("/metrics").text))
    own = {name for name in names if not name.endswith("_created")}

    assert len(own) > 7
    assert {name for name in own if f"`{name}`" not in docs} == set()

def test_the_process_is_alive(client):
    assert client.get("/healthz").json == {"status": "ok"}


def test_readiness_names_each_model_and_why_it_failed(client):
    answer = client.get("/readyz")

    assert (answer.status_code, answer.json["status"]) == (200, "ready")
    assert answer.json["models"]["echo"] == {"status": "ready", "reason": None}
    assert answer.json["models"]["no-such"]["status"] == "failed"
    assert "No such file" in answer.json["models"]["no-such"]["reason"]


def test_a_process_in_which_no_model_answers_is_not_ready(make_app):
    client = make_app("models: [{class: nowhere.Model}]").test_client()

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json["status"]) == (503, "not ready")


def test_an_empty_portal_is_ready(make_app):
    assert make_app("models: []").test_client().get("/readyz").status_code == 200


def test_metrics_count_calls_by_model_and_outcome(client):
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


def test_several_workers_without_gunicorn_count_for_themselves(make_app):
    client = make_app(WORKERS=2).test_client()

    answers = [client.get(path) for path in ("/", "/models/echo/metadata", "/metrics")]

    assert [answer.status_code for answer in answers] == [200, 200, 200]

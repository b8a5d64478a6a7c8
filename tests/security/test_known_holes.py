"""Vulnerabilities of other model servers, tested on this one. SECURITY.md lists their sources."""

import os
import pickle

import psutil
import pytest

from app.serving.models.manager import ModelManager
from tests.running_server import serving

PICKLES = [
    "application/vnd.bentoml+pickle",
    "application/x-pickle",
    "application/python-pickle",
    "application/octet-stream",
    "application/x-python-serialize",
]


class Leaver:
    """Leaves a folder behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def app(same_app):
    return same_app()


@pytest.fixture
def trace(tmp_path):
    """A folder that is there if a pickle was loaded."""
    return tmp_path / "was-here"


@pytest.fixture
def posts(app):
    """The paths of all routes that take something."""
    values = {"name": "echo", "version": "1", "endpoint_name": "predict", "job_id": "a"}
    with app.test_request_context():
        urls = app.url_map.bind("localhost")
        return [
            urls.build(rule.endpoint, {name: values[name] for name in rule.arguments}, "POST")
            for rule in app.url_map.iter_rules()
            if "POST" in rule.methods
        ]


@pytest.mark.parametrize("media_type", PICKLES)
def test_no_body_is_unpickled(client, posts, trace, media_type):
    content = pickle.dumps(Leaver(trace))

    answers = {path: client.post(path, data=content, content_type=media_type) for path in posts}

    assert len(answers) > 6
    assert {
        path: said.status_code for path, said in answers.items() if said.status_code >= 500
    } == {}
    assert answers["/api/models/echo/predict"].status_code == 415
    assert not trace.exists()
    pickle.loads(content)
    assert trace.exists()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/models?url=http://127.0.0.1:1/evil.mar"),
        ("POST", "/api/models?url=http://127.0.0.1:1/evil.mar"),
        ("PUT", "/api/models/evil"),
        ("PUT", "/models/echo"),
        ("POST", "/api/models/evil/load?file=/tmp/evil.flm"),
        ("POST", "/v2/repository/models/evil/load"),
        ("POST", "/api/jobs/"),
        ("POST", "/api/2.0/mlflow/model-versions/create"),
        ("DELETE", "/api/models/echo"),
    ],
)
def test_no_route_accepts_a_model_file(client, method, path):
    before = [model.unique_name for model in ModelManager().models()]
    body = {"name": "evil", "file": "/tmp/evil.flm", "source": "http://127.0.0.1:1/evil"}

    answer = client.open(path, method=method, json=body)

    assert answer.status_code in {403, 404, 405}
    assert [model.unique_name for model in ModelManager().models()] == before


def test_server_listens_at_one_address(tmp_path):
    with serving("gthread", tmp_path, "models: []", WORKERS=2) as running:
        assert listening(running) == {("127.0.0.1", running.port)}


def listening(running):
    """Return the addresses at which the processes of a server listen."""
    master = psutil.Process(running.process.pid)
    return {
        (each.laddr.ip, each.laddr.port)
        for process in [master, *master.children(recursive=True)]
        for each in process.net_connections("inet")
        if each.status == psutil.CONN_LISTEN
    }

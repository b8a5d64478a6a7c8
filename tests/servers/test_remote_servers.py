import json
import re
import signal
import urllib.parse

import pytest

from app.serving.remote.http_client import HttpClient
from app.serving.remote.inference_api import InferenceApi
from tests import ROOT
from tests.app.serving.remote.stub_server import ROW, stub_server
from tests.ports import find_port
from tests.running_server import PATIENCE, serving
from tests.waiting import wait_until

NAMES = ("iris", "odd", "wine")
MODELS = f"""models:
  - {{class: examples.iris.IrisModel}}
  - {{class: tests.models.simple.Ordered, name: odd, examples: [{{start: 1, end: 2}}]}}
  - {{file: {ROOT / "examples/models/wine.flm"}}}
"""


def remote(port, name, **keys):
    more = "".join(f"\n    {key}: {value}" for key, value in keys.items())
    return f"  - remote: http://127.0.0.1:{port}\n    name: {name}{more}\n"


def catalog(port, *names):
    return "models:\n" + "".join(remote(port, name) for name in names)


@pytest.fixture(scope="module")
def back(tmp_path_factory):
    with serving(
        "granian", tmp_path_factory.mktemp("back"), MODELS, MODELHOST_WORKERS=1
    ) as running:
        yield running


class Front:
    """An application of this process, whose models another server runs."""

    def __init__(self, app):
        self.app = app

    def ask(self, path, rows=None):
        """Send the same request as :meth:`tests.running_server.Running.ask`."""
        client = self.app.test_client()
        answer = client.get(path) if rows is None else client.post(path, json=rows)
        return answer.status_code, answer.json if answer.data[:1] in b"[{" else answer.text


@pytest.fixture
def front(same_app, back):
    return Front(same_app(catalog(back.port, *NAMES)))


def compare(servers, path, rows):
    """Return the response of all servers, which must be equal except for the request's id."""
    answers = [server.ask(path, rows) for server in servers]
    for _, body in answers:
        if isinstance(body, dict):
            body.pop("request_id", None)
    assert answers[0] == answers[1]
    return answers[0]


@pytest.mark.parametrize("name", NAMES)
def test_predictions_equal_those_of_the_remote(back, front, name):
    row = back.ask(f"/api/models/{name}/metadata")[1]["examples"][0]

    assert compare([back, front], f"/api/models/{name}/predict", [row, row])[0] == 200
    assert compare([back, front], f"/api/models/{name}/predict", row)[0] == 200


@pytest.mark.parametrize("name", NAMES)
def test_schemas_equal_those_of_the_remote(back, front, name):
    there, here = (server.ask(f"/api/models/{name}/metadata")[1] for server in (back, front))

    for key in ("input_schema", "output_schema", "examples", "display_name", "metrics", "extra"):
        assert here.get(key) == there.get(key)


def test_explanation_equals_that_of_the_remote(back, front):
    row = back.ask("/api/models/iris/metadata")[1]["examples"][0]

    assert compare([back, front], "/api/models/iris/explain", row)[0] == 200


def test_violations_equal_those_of_the_remote(back, front):
    row = back.ask("/api/models/iris/metadata")[1]["examples"][0]
    rows = [row, {**row, "sepal_length": "long"}, {}]

    status, body = compare([back, front], "/api/models/iris/predict", rows)

    assert status == 422
    assert body["errors"][0]["pointer"] == "/1/sepal_length"


def test_model_violations_equal_the_remote(back, front):
    status, body = compare(
        [back, front], "/api/models/odd/predict", [{"start": 1, "end": 2}, {"start": 2, "end": 1}]
    )

    assert status == 422
    assert body["errors"] == [{"pointer": "/1/end", "detail": "must not be before start"}]


def test_page_equals_that_of_the_remote(back, front):
    there, here = (server.ask("/models/iris/predict")[1] for server in (back, front))

    fields = [re.findall(r'name="([^"]+)"', page) for page in (there, here)]
    assert any("sepal_length" in field for field in fields[0])
    assert fields[0] == fields[1]


@pytest.mark.parametrize(("value", "text"), [(5.1, "setosa"), ("long", "must be a number")])
def test_result_on_the_page_equals_that_of_the_remote(back, front, value, text):
    row = back.ask("/api/models/iris/metadata")[1]["examples"][0]
    form = {"row": json.dumps({**row, "sepal_length": value})}
    body = urllib.parse.urlencode(form)

    there = back.send(
        "POST /models/iris/predict HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    here = front.app.test_client().post("/models/iris/predict", data=form).text

    found = [[line.strip() for line in page.splitlines() if text in line] for page in (there, here)]
    assert found[0]
    assert found[0] == found[1]


def test_modelhost_tensors_are_read(back):
    client = HttpClient(f"http://127.0.0.1:{back.port}", {}, 10, "")
    api = InferenceApi(client, "iris")
    about = api.describe()
    row = back.ask("/api/models/iris/metadata")[1]["examples"][0]

    assert list(about.input_schema["properties"]) == list(row)
    assert (
        api.predict([row, row], about.input_schema)
        == back.ask("/api/models/iris/predict", [row, row])[1]
    )
    client.close()


def test_remote_may_be_down_or_call_back(tmp_path):
    folders = [tmp_path / "here", tmp_path / "there"]
    for folder in folders:
        folder.mkdir()
    own = "  - {class: examples.iris.IrisModel, name: own}\n"
    iris = "  - {class: examples.iris.IrisModel, name: iris}\n"
    port = find_port()

    def predict(server, name):
        return server.ask(f"/api/models/{name}/predict", row)

    models = catalog(port, "iris", "each-other") + own
    with serving("granian", folders[0], models, MODELHOST_WORKERS=2) as here:
        row = here.ask("/api/models/own/metadata")[1]["examples"][0]
        status, body = predict(here, "iris")
        assert status == 503
        assert body["detail"] == "the model 'iris' is loading: the remote server cannot be reached"
        assert predict(here, "own")[0] == 200

        models = catalog(here.port, "each-other") + own + iris
        with serving("granian", folders[1], models, MODELHOST_WORKERS=1, PORT=port) as there:
            there.port = port
            wait_until(lambda: {predict(here, "iris")[0] for _ in range(8)} == {200}, PATIENCE)
            for server in (here, there):
                assert predict(server, "own")[0] == 200
                status, body = predict(server, "each-other")
                assert status == 503
                assert body["detail"].startswith("the model 'each-other' is loading")

            (folders[1] / "models.yaml").write_text(catalog(here.port, "iris"))
            there.process.send_signal(signal.SIGHUP)
            wait_until(lambda: predict(here, "iris")[0] != 200, PATIENCE)
            status, body = predict(here, "iris")
            assert (status, body["title"]) == (508, "Loop detected")

        status, body = predict(here, "iris")
    assert (status, body["title"]) == (503, "Remote server unavailable")


def test_limits_of_the_remote_are_passed_on(make_app):
    with stub_server() as stub:
        client = make_app(catalog(stub.url.rpartition(":")[2], "m")).test_client()
        right = client.post("/api/models/m/predict", json=ROW)
        stub.infer = lambda _: (429, {"error": "slow down"}, {"Retry-After": "17"})
        busy = client.post("/api/models/m/predict", json=ROW)
        stub.infer = lambda _: (200, b"{", {})
        broken = client.post("/api/models/m/predict", json=ROW)

    assert right.json == {"score": 41.0, "pair": [0, 1]}
    assert (busy.status_code, busy.headers["Retry-After"]) == (503, "17")
    assert (broken.status_code, broken.json["title"]) == (
        502,
        "Invalid response of the remote server",
    )


@pytest.mark.parametrize("is_told", [False, True])
def test_errors_of_the_remote_follow_own_setting(make_app, caplog, is_told):
    with stub_server() as stub:
        models = catalog(stub.url.rpartition(":")[2], "m")
        client = make_app(models, TELL_MODEL_ERRORS=is_told).test_client()
        stub.infer = lambda _: (500, {"error": "ValueError: SECRET"}, {})
        failed = client.post("/api/models/m/predict", json=ROW)

    assert failed.status_code == 503
    assert failed.json["detail"].startswith("the remote server responded with status 500")
    assert ("SECRET" in failed.json["detail"]) == is_told
    assert "status 500: ValueError: SECRET" in caplog.text

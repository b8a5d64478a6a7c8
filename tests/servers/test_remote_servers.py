import json
import re
import signal
import socket
import urllib.parse

import pytest

from app.serving.remote.http_client import HttpClient
from app.serving.remote.inference_api import InferenceApi
from tests import ROOT
from tests.app.serving.remote.stub_server import ROW, stub_server
from tests.running_server import PATIENCE, serving, start
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
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp


@pytest.fixture(scope="module")
def back(folder):
    with serving("granian", folder("back"), MODELS, MODELHOST_WORKERS=1) as running:
        yield running


@pytest.fixture(scope="module")
def front(folder, back):
    models = catalog(back.port, *NAMES)
    with serving("granian", folder("front"), models, MODELHOST_WORKERS=2) as running:
        yield running


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


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

    for key in ("input_schema", "output_schema", "examples", "display_name", "description"):
        assert here[key] == there[key]


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
    form = urllib.parse.urlencode({"row": json.dumps({**row, "sepal_length": value})})

    there, here = (
        server.send(
            "POST /models/iris/predict HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(form)}\r\n\r\n{form}".encode()
        )
        for server in (back, front)
    )

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


def test_loop_is_detected(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    iris = "models:\n  - {class: examples.iris.IrisModel, name: iris}\n"
    with (
        serving("granian", tmp_path / "a", iris, MODELHOST_WORKERS=1) as last,
        serving(
            "granian", tmp_path / "b", catalog(last.port, "iris"), MODELHOST_WORKERS=1
        ) as first,
    ):
        row = first.ask("/api/models/iris/metadata")[1]["examples"][0]
        (tmp_path / "a" / "models.yaml").write_text(catalog(first.port, "iris"))
        last.process.send_signal(signal.SIGHUP)
        wait_until(lambda: first.ask("/api/models/iris/predict", row)[0] != 200, PATIENCE)

        status, body = first.ask("/api/models/iris/predict", row)

    assert (status, body["title"]) == (508, "Loop detected")


def test_entries_that_call_each_other_do_not_stop_the_servers(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    own = "  - {class: examples.iris.IrisModel, name: own}\n"
    port = free_port()
    with (
        serving(
            "granian", tmp_path / "a", f"{catalog(port, 'x')}{own}", MODELHOST_WORKERS=1
        ) as one,
        serving(
            "granian",
            tmp_path / "b",
            f"{catalog(one.port, 'x')}{own}",
            MODELHOST_WORKERS=1,
            PORT=port,
        ) as other,
    ):
        other.port = port
        for server in (one, other):
            row = server.ask("/api/models/own/metadata")[1]["examples"][0]
            assert server.ask("/api/models/own/predict", row)[0] == 200
            status, body = server.ask("/api/models/x/predict", row)
            assert status == 503
            assert body["detail"].startswith("the model 'x' is loading")


def test_remote_that_is_down_is_retried(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    with serving("granian", tmp_path / "a", MODELS, MODELHOST_WORKERS=1) as there:
        port = there.port
    models = f"{catalog(port, 'iris')}  - {{class: tests.models.simple.Ordered, name: own}}\n"
    with serving("granian", tmp_path / "b", models, MODELHOST_WORKERS=1) as here:
        status, body = here.ask("/api/models/iris/predict", {})
        assert status == 503
        assert body["detail"] == "the model 'iris' is loading: the remote server cannot be reached"
        assert here.ask("/api/models/own/predict", {"start": 1, "end": 2})[0] == 200

        back = start("granian", tmp_path / "a", MODELS, MODELHOST_WORKERS=1, PORT=port)
        try:
            wait_until(lambda: here.ask("/api/models/iris/predict", {})[0] == 422, PATIENCE)
        finally:
            back.stop()
        row = here.ask("/api/models/iris/metadata")[1]["examples"][0]
        status, body = here.ask("/api/models/iris/predict", row)
    assert (status, body["title"]) == (503, "Remote server unavailable")


def test_limits_of_the_remote_are_passed_on(tmp_path):
    with stub_server() as stub:
        models = catalog(stub.url.rpartition(":")[2], "m")
        with serving("gthread", tmp_path, models, MODELHOST_WORKERS=1) as here:
            assert here.ask("/api/models/m/predict", ROW) == (200, {"score": 41.0, "pair": [0, 1]})
            stub.infer = lambda _: (429, {"error": "slow down"}, {"Retry-After": "17"})
            body = json.dumps(ROW).encode()
            head = (
                "POST /api/models/m/predict HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            answer = here.send(head.encode() + body)
            stub.infer = lambda _: (200, b"{", {})
            broken = here.ask("/api/models/m/predict", ROW)

    assert "503" in answer.splitlines()[0]
    assert "\r\nRetry-After: 17\r\n" in answer.title()
    assert (broken[0], broken[1]["title"]) == (502, "Invalid response of the remote server")

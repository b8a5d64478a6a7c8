"""Random requests to every path and method get a correct response, or a problem with a 4xx status."""

import json
import re
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

MODELS = """
models:
  - class: examples.iris.IrisModel
    examples: [{sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2}]
  - class: tests.models.simple.Household
  - class: tests.models.hostile.Asked
  - class: tests.models.simple.Echo
    name: echo
"""
NAMES = st.sampled_from(["iris", "household", "asked", "echo"]) | st.text(max_size=5).map(quote)
LAST = ["predict", "metadata", "rows", "inspect", "load", "unload", "about", "artifacts", "x", ""]
PATHS = st.one_of(
    st.builds("/api/models/{}/{}".format, NAMES, st.sampled_from(LAST)),
    st.builds("/models/{}/{}".format, NAMES, st.sampled_from(LAST)),
    st.sampled_from(["/", "/docs", "/openapi.json", "/metrics", "/healthz", "/readyz", "/api"]),
    st.text(max_size=20).map(lambda text: f"/{quote(text)}"),
)
METHODS = st.sampled_from(
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "X"]
)
TYPES = st.one_of(
    st.sampled_from(
        [
            "application/json",
            "application/json; charset=utf-8",
            "text/csv",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "multipart/form-data",
            "",
        ]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
MEMBERS = st.sampled_from(["head", "home", "x", "columns", "data", "index"])


def nested(inner):
    return st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=3)


VALUES = SCALARS | nested(SCALARS | nested(SCALARS))
FIELDS = st.sampled_from(["change", "/head/name", "/others", "/home", "x", "/others/+0", "/~2"])
FORMS = st.lists(st.tuples(FIELDS, st.text(max_size=8)), max_size=4)
BODIES = st.one_of(
    st.binary(max_size=60),
    VALUES.map(lambda value: json.dumps(value).encode()),
    FORMS.map(lambda fields: "&".join(map("=".join, fields)).encode("utf-8", "replace")),
    st.text(max_size=40).map(lambda text: f"sepal_length,x\n{text}".encode("utf-8", "replace")),
    st.binary(max_size=20).map(
        lambda part: (
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + part + b"\r\n--x--"
        )
    ),
)
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Encoding", "Origin", "Sec-Fetch-Site", "X-Request-ID", "Range"])
    | st.sampled_from(["Accept", "Cookie", "X-Forwarded-For", "If-None-Match", "Host"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=12),
    max_size=2,
)


REQUESTS = st.fixed_dictionaries(
    {"path": PATHS, "method": METHODS, "data": BODIES, "content_type": TYPES},
    optional={"headers": HEADERS, "query_string": st.text(max_size=12)},
)
JSON = {"method": "POST", "content_type": "application/json"}
FORM = {"method": "POST", "path": "/models/household/predict"}
ABOUT = {"method": "GET", "path": "/api/models/asked/about"}


#: A multiple of the profile's number of examples.
MANY = settings().max_examples * 2


@pytest.fixture
def app(same_app):
    # Without keys, nothing is unloaded under the eyes of the other requests.
    return same_app(MODELS)


@settings(max_examples=MANY, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=REQUESTS)
@example(request=FORM | {"content_type": "multipart/form-data; boundary=x", "data": b"--x"})
@example(request=JSON | {"path": "/api/models/asked/predict", "data": b"[" * 100_000})
@example(request=ABOUT | {"query_string": "q=" + "[" * 100_000})
@example(request=ABOUT | {"query_string": "q=%ff&q=1e400&%ff=1"})
def test_no_request_causes_5xx(app, request):
    answer = app.test_client().open(**request)

    assert answer.status_code < 500
    assert not re.search(r'Traceback|File "|/site-packages|/app/', answer.text)
    is_api = re.match("/api(/|$)", answer.request.path) and request["method"] != "HEAD"
    if answer.status_code >= 400 and is_api:
        assert answer.content_type == "application/problem+json"
        assert answer.json["status"] == answer.status_code


#: Cells of CSV columns; lists and objects are JSON.
CELLS = st.one_of(
    st.sampled_from(["[" * 2_000, '{"a":' * 2_000, "1e400", "NaN", "-0", "9" * 5_000, "\x00"]),
    st.text(max_size=10),
    VALUES.map(json.dumps),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(["household", "iris", "echo"]), cells=st.lists(CELLS, max_size=4))
@example("household", ["[" * 90_000])
@example("household", ["[" * 40_000 + "]" * 40_000])
def test_no_csv_file_causes_5xx(app, name, cells):
    quoted = ",".join('"{}"'.format(cell.replace('"', '""')) for cell in cells)
    file = f"others,home,head.age,sepal_length\n{quoted}\n".encode("utf-8", "replace")

    answer = app.test_client().post(f"/api/models/{name}/rows", data=file, content_type="text/csv")

    assert answer.status_code in {200, 400, 413, 422}
    assert answer.content_type in {"application/json", "application/problem+json"}


def test_form_of_many_fields_is_rejected(app):
    fields = "row=1&" * 10_000

    answer = app.test_client().post(
        "/models/iris/predict", data=fields, content_type="application/x-www-form-urlencoded"
    )

    assert answer.status_code == 400
    assert "Expected a form with the field &#39;row&#39; only" in answer.text


@pytest.mark.parametrize(
    "path", ["/", "/models/iris/predict", "/api/models", "/api/models/iris/metadata", "/readyz"]
)
def test_server_error_discloses_nothing(app, monkeypatch, path):
    def fail(**_):
        raise RuntimeError("/srv/secret/place.py")

    for endpoint in app.view_functions:
        monkeypatch.setitem(app.view_functions, endpoint, fail)

    answer = app.test_client().get(path)

    assert answer.status_code == 500
    assert not re.search("secret|RuntimeError|Traceback|place.py", answer.text)

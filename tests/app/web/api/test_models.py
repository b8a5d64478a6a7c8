import bz2
import gzip
import hashlib
import json
import platform
import threading
import zlib
from http.client import HTTPConnection
from importlib.metadata import version

import pytest
from werkzeug.serving import make_server

from tests import ROOT
from tests.models.simple import Waiting
from tests.new_keys import NewKey

PROBLEM = "application/problem+json"


def predict(client, name, body, **options):
    return client.post(f"/api/models/{name}/predict", json=body, **options)


@pytest.fixture
def client(same_client):
    """A client of an application that no test here changes."""
    return same_client


def test_response_headers_describe_the_prediction(client):
    headers = predict(client, "echo", {}).headers

    assert headers["Server-Timing"].startswith("predict;dur=")
    assert headers["X-Model-Version"] == "2.1"
    assert headers["X-Model-Runtime"] == f"Python {platform.python_version()}"


def test_model_without_version_omits_its_header(client):
    fast = predict(client, "doubler", {"x": 1})
    through_flask = predict(client, "doubler", {"x": 1}, headers={"X-Other": "1"})

    assert "X-Model-Version" not in fast.headers
    assert "X-Model-Version" not in through_flask.headers


def test_runtime_header_names_installed_framework(example_app):
    client = example_app.test_client()
    [row, *_] = client.get("/api/models/loan/metadata").json["examples"]

    runtime = predict(client, "loan", row).headers["X-Model-Runtime"]

    said = runtime.split(", ")
    assert said[0] == f"scikit-learn {version('scikit-learn')}"
    assert said[-1] == f"Python {platform.python_version()}"


@pytest.mark.parametrize("endpoint", ["predict", "explain"])
def test_responses_and_page_identify_the_model_file(example_app, endpoint):
    client = example_app.test_client()
    described = client.get("/api/models/loan/metadata")

    response = client.post(f"/api/models/loan/{endpoint}", json=described.json["examples"][0])

    digest = hashlib.sha256((ROOT / "examples/models/loan.flm").read_bytes()).hexdigest()
    assert response.headers["X-Model-SHA256"] == digest
    assert described.headers["X-Model-SHA256"] == digest
    assert f'data-identity="{digest}"' in client.get("/models/loan/predict").text


def test_partial_response_has_a_result_for_each_row(make_app, caplog):
    client = make_app("models: [{class: tests.models.answers.Fragile}]").test_client()
    body = [{"x": 2}, {"x": "a"}, {"x": 0}]

    response = client.post("/api/models/fragile/predict?partial=true", json=body)

    good, invalid, failed = response.json
    assert response.status_code == 200
    assert response.headers["Server-Timing"].startswith("predict;dur=")
    assert good == {"prediction": 0.5}
    assert invalid["problem"]["status"] == 422
    assert invalid["problem"]["errors"][0]["pointer"] == "/x"
    assert failed["problem"]["title"] == "Model error"
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


def test_partial_response_for_a_row_is_one_result(client):
    assert predict(client, "doubler", {"x": 1}, query_string="partial=true").json == {
        "prediction": {"y": 2.0}
    }


@pytest.mark.parametrize(
    ("path", "content_type", "detail"),
    [
        ("doubler/predict?partial=yes", "json", "partial must be 'false' or 'true', got 'yes'"),
        ("doubler/predict?cautoin=true", "json", "'cautoin'; expected partial or caution"),
        ("doubler/predict?decimal=,", "json", "'decimal'; expected partial or caution"),
        ("doubler/predict?mark=,", "csv", "'mark'; expected partial or caution or decimal"),
        ("doubler/rows?a=1", "csv", "'a'; expected decimal"),
        ("explained/explain?class=a", "json", "'class'; expected none"),
        ("doubler/explain?Class=a", "json", "'Class'; expected class"),
    ],
)
def test_unknown_query_is_rejected(client, path, content_type, detail):
    kind = "application/json" if content_type == "json" else "text/csv"

    response = client.post(f"/api/models/{path}", data=b"x", content_type=kind)

    assert response.status_code == 400
    assert detail in response.json["detail"]


def test_version_header_stays_on_one_line(make_app):
    app = make_app(
        'models: [{class: tests.models.simple.Versioned, settings: {version: "1\\r\\nX: ü"}}]'
    )

    headers = predict(app.test_client(), "versioned", {}).headers

    assert headers["X-Model-Version"] == "1??X: ?"


def test_models_are_listed(client):
    models = client.get("/api/models").json["models"]

    assert models[1] == {
        "qualified_name": "echo",
        "display_name": "Echo",
        "description": "Answers what it was given.",
        "version": "2.1",
        "tags": [],
        "status": "ready",
        "reason": None,
    }
    assert {each["status"] for each in models} == {"ready", "lazy", "failed"}


def test_metadata_contains_whole_schemas(client):
    described = client.get("/api/models/household/metadata").json

    assert described["input_schema"]["$defs"]["Person"]["description"] == "Somebody."
    assert list(described["input_schema"]["properties"]) == ["head", "others", "home"]
    assert described["output_schema"]["$ref"] == "#/$defs/Size"
    assert described["loaded"] is True


def test_metadata_of_failed_model_has_reason(client):
    described = client.get("/api/models/raises-at-load/metadata")

    assert described.status_code == 200
    assert (described.json["loaded"], described.json["status"]) == (False, "failed")
    assert described.json["reason"].startswith("it raised RuntimeError")


def test_metadata_of_packaged_file(example_app):
    described = example_app.test_client().get("/api/models/loan/metadata").json

    assert described["id"] == "loan"
    assert described["framework"].startswith("scikit-learn ")
    assert described["metrics"]["roc_auc"] > 0.7
    assert described["artifacts"] == []
    assert len(described["examples"]) == 3


def test_one_row_gives_one_prediction(client):
    assert predict(client, "doubler", {"x": 5}).json == {"y": 10.0}


def test_array_gives_predictions_in_order(client):
    assert predict(client, "doubler", [{"x": 1}, {"x": 2.5}]).json == [{"y": 2}, {"y": 5}]
    assert predict(client, "doubler", []).json == []


@pytest.mark.parametrize("name", ["iris", "wine", "diabetes", "loan", "tickets"])
def test_example_models_predict_their_examples(example_app, name):
    client = example_app.test_client()
    examples = client.get(f"/api/models/{name}/metadata").json["examples"]

    answers = predict(client, name, examples)

    assert (answers.status_code, len(answers.json)) == (200, 3)
    assert predict(client, name, examples[0]).json.keys() == answers.json[0].keys()


def test_violations_point_into_the_row(client):
    answer = predict(client, "household", {"head": {"name": "", "age": -4}, "home": "tent"})

    assert (answer.status_code, answer.content_type) == (422, PROBLEM)
    assert answer.json["errors"] == [
        {"pointer": "/head/name", "detail": "must be at least 1 character long, got 0"},
        {"pointer": "/head/age", "detail": "must be at least 0, got -4"},
        {"pointer": "/home", "detail": 'must be one of "flat", "house", got "tent"'},
    ]


def test_violations_point_into_the_array(client):
    answer = predict(client, "doubler", [{"x": 1}, 7, {"x": 1001}])

    assert [each["pointer"] for each in answer.json["errors"]] == ["/1", "/2/x"]


def test_invalid_input_of_model_is_violation(client):
    answer = predict(client, "ordered", [{"start": 1, "end": 2}, {"start": 2, "end": 1}])

    assert answer.status_code == 422
    assert answer.json["errors"] == [{"pointer": "/1/end", "detail": "must not be before start"}]


def test_problem_has_type_and_request_id(client):
    answer = predict(client, "nobody", {}, headers={"X-Request-ID": "abc-1"})

    assert answer.json == {
        "type": "/docs/problems#model-not-found",
        "title": "Model not found",
        "status": 404,
        "detail": "unknown model 'nobody'",
        "request_id": "abc-1",
    }


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"NaN", "application/json", 400),
        (b'{"x": 1, "x": 2}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"{}", None, 415),
        (b"{}", "application/json; charset=latin-1", 415),
        (b"x=1", "application/x-www-form-urlencoded", 415),
        (b'{"x": "a"}', "application/json", 422),
        (b"3", "application/json", 422),
        (b"null", "application/json", 422),
        (b'"' + b"x" * 100_000 + b'"', "application/json", 413),
        (json.dumps([{"x": 1}] * 1001).encode(), "application/json", 413),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_invalid_requests_are_rejected(client, body, content_type, status):
    answer = client.post("/api/models/doubler/predict", data=body, content_type=content_type)

    assert (answer.status_code, answer.content_type) == (status, PROBLEM)
    assert answer.json["status"] == status


def test_number_of_objects_is_limited(make_app):
    client = make_app(MAX_BODY_BYTES=4_000_000).test_client()
    body = b"[" + b"[]," * 1_000_000 + b"[]]"

    answer = client.post("/api/models/doubler/predict", data=body, content_type="application/json")

    wanted = "expected at most 1,000,000 arrays and objects, got 1,000,002"
    assert (answer.status_code, answer.json["detail"]) == (413, wanted)


def gzipped(client, body, encoding="gzip"):
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    return client.post("/api/models/doubler/predict", data=body, headers=headers)


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("", bytes),
    ],
)
def test_compressed_body_is_expanded(client, encoding, compress):
    answer = gzipped(client, compress(b'{"x": 1}'), encoding)

    assert (answer.status_code, answer.json) == (200, {"y": 2})


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "zstd"])
def test_other_encoding_is_rejected(client, encoding):
    answer = gzipped(client, gzip.compress(b'{"x": 1}'), encoding)

    wanted = f"Content-Encoding must be gzip or deflate, got {encoding}"
    assert (answer.status_code, answer.json["detail"]) == (415, wanted)


@pytest.mark.parametrize("route", ["predict", "truth"])
def test_unsupported_type_names_all_others(client, route):
    headers = {"Content-Type": "application/octet-stream"}

    response = client.post(f"/api/models/doubler/{route}", data=b"x\n1\n", headers=headers)

    assert response.status_code == 415
    detail = response.json["detail"]
    assert detail.startswith("Content-Type must be application/json, text/csv, application/vnd.")
    assert detail.endswith(", application/gzip or application/zstd, got application/octet-stream")


@pytest.mark.parametrize(
    "body",
    [
        b'{"x": 1}',
        gzip.compress(b'{"x": 1}')[:-1],
        gzip.compress(b'{"x": 1}') + b"more",
        b"\x1f\x8b",
        b"",
    ],
)
def test_damaged_gzip_body_is_rejected(client, body):
    answer = gzipped(client, body)

    assert (answer.status_code, answer.json["detail"]) == (400, "the body does not decompress")


def test_gzip_body_is_limited(client):
    answer = gzipped(client, gzip.compress(b" " * 100_001))

    wanted = "the body expands to more than 100,000 bytes"
    assert (answer.status_code, answer.json["detail"]) == (413, wanted)


def test_gzip_csv_file_is_read(client):
    headers = {"Content-Encoding": "gzip", "Content-Type": "text/csv"}

    answer = client.post("/api/models/doubler/rows", data=gzip.compress(b"x\n1\n"), headers=headers)

    assert answer.json["lines"][0]["cells"] == [1]


def test_model_is_described_at_its_own_path(client):
    described = client.get("/api/models/doubler/metadata").json

    assert client.get("/api/models/doubler").json == described
    assert client.get("/api/models/nothing").status_code == 404


def test_chunked_body_is_rejected_at_limit(make_app):
    server = make_server("127.0.0.1", 0, make_app(MAX_BODY_BYTES=100), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    connection = HTTPConnection("127.0.0.1", server.server_port)
    body = iter([b'{"x": 1}', b" " * 200])
    headers = {"Content-Type": "application/json"}

    connection.request("POST", "/api/models/doubler/predict", body, headers, encode_chunked=True)
    status = connection.getresponse().status
    server.shutdown()
    thread.join()
    server.server_close()
    connection.close()

    assert status == 413


def test_integer_beyond_double_is_rejected(client):
    body = b'{"x": 1' + b"0" * 400 + b"}"

    answer = client.post("/api/models/doubler/predict", data=body, content_type="application/json")

    assert answer.status_code == 400


def test_charset_utf_8_is_accepted(client):
    answer = client.post(
        "/api/models/doubler/predict",
        data=b'{"x": 1}',
        content_type="application/json;charset=UTF-8",
    )

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api", 404),
        ("GET", "/api/nothing", 404),
        ("GET", "/api/models/", 404),
        ("GET", "/api//models", 404),
        ("GET", "/api/models/doubler/predict", 405),
        ("DELETE", "/api/models", 405),
    ],
)
def test_errors_under_api_are_json(client, method, path, status):
    answer = client.open(path, method=method)

    assert (answer.status_code, answer.content_type) == (status, PROBLEM)


def test_wrong_method_lists_allowed_ones(client):
    assert "POST" in client.get("/api/models/doubler/predict").headers["Allow"]


def test_model_error_hides_its_message(client):
    answer = predict(client, "raises-at-predict", {})

    assert (answer.status_code, answer.json["detail"]) == (
        500,
        "the model 'raises-at-predict' failed",
    )
    assert "secret" not in answer.text


def test_model_error_can_be_shown(make_app):
    client = make_app(TELL_MODEL_ERRORS=True).test_client()

    answer = predict(client, "raises-at-predict", {})

    assert answer.json["detail"].endswith("KeyError: 'secret'")


@pytest.mark.parametrize("is_told", [False, True])
def test_rejected_value_follows_setting(make_app, caplog, is_told):
    client = make_app(TELL_MODEL_ERRORS=is_told).test_client()

    answer = predict(client, "breaks-its-schema", {"a": 1})

    message = "the prediction violates the output schema: /y: must be a number"
    value = ', got "high"'
    assert answer.json["detail"] == message + (value if is_told else "")
    assert message + value in caplog.text


def test_invalid_prediction_is_a_problem(client):
    answer = predict(client, "breaks-its-schema", {})

    assert (answer.status_code, answer.json["type"]) == (500, "/docs/problems#invalid-answer")


def test_nan_is_never_written(client):
    assert predict(client, "answers-nan", {}).text.strip() == "[1.5,null,null]"


def test_unavailable_model_sends_retry_after(client):
    answer = predict(client, "raises-at-load", {})

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json["type"] == "/docs/problems#model-unavailable"


def test_slow_model_times_out(make_app):
    text = "models: [{class: tests.models.simple.Waiting}]"
    client = make_app(text, PREDICT_SECONDS=0.05).test_client()
    Waiting.go.clear()

    answer = predict(client, "waiting", {})
    Waiting.go.set()

    assert (answer.status_code, answer.json["detail"]) == (
        504,
        "the model took longer than 0.05 seconds",
    )


def test_full_queue_sends_retry_after(make_app):
    text = "models: [{class: tests.models.simple.Waiting}]"
    app = make_app(text, PREDICT_SECONDS=0.05, MODEL_THREADS=1, MODEL_WAITING=0)
    Waiting.go.clear()
    predict(app.test_client(), "waiting", {})  # times out, and continues to run

    answer = predict(app.test_client(), "waiting", {})
    Waiting.go.set()

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json["type"] == "/docs/problems#queue-full"


@pytest.fixture
def admin(make_app):
    """A client with an admin key; only administration requires one."""
    key = NewKey("admin")
    client = make_app(KEYS=[key], KEYS_FOR="admin").test_client()
    client.environ_base.update(key.environ)
    return client


def test_models_are_unloaded_and_loaded(admin):
    unloaded = admin.post("/api/models/echo/unload").json
    refused = predict(admin, "echo", {})
    loaded = admin.post("/api/models/echo/load").json

    assert (unloaded["status"], unloaded["loaded"]) == ("unloaded", False)
    assert (refused.status_code, loaded["status"]) == (503, "ready")
    assert predict(admin, "echo", {"a": 1}).json == {"a": 1}


def test_load_of_broken_model_gives_reason(admin):
    answer = admin.post("/api/models/raises-at-load/load")

    assert answer.status_code == 503
    assert "it raised RuntimeError" in answer.json["detail"]


def rows(client, text, name="doubler", **options):
    options = {"content_type": "text/csv", "data": text} | options
    return client.post(f"/api/models/{name}/rows", **options)


def test_csv_file_is_converted_to_rows(client):
    read = rows(client, "\ufeffid;x\n7;1.5\n\n8\n").json

    assert read == {
        "columns": ["id", "x"],
        "known": ["x"],
        "unknown": ["id"],
        "missing": {},
        "decimal": ".",
        "encoding": "utf-8",
        "sheet": None,
        "lines": [
            {"line": 2, "cells": ["7", 1.5], "blank": [], "problem": ""},
            {"line": 4, "cells": None, "blank": [], "problem": "has 1 cells, but the header has 2"},
        ],
    }


def test_decimal_mark_can_be_specified(client):
    read = rows(client, "x\n52.000\n").json
    named = rows(client, "x\n52.000\n", query_string={"decimal": ","}).json

    assert (read["decimal"], read["lines"][0]["cells"]) == (None, ["52.000"])
    assert (named["decimal"], named["lines"][0]["cells"]) == (",", [52000])


def test_charset_of_csv_can_be_specified(client):
    text = "x;\u0142\n1;\u0142\n".encode("iso-8859-2")

    read = rows(client, text, content_type="text/csv; charset=iso-8859-2").json

    assert (read["encoding"], read["columns"]) == ("iso8859-2", ["x", "\u0142"])


def test_unreadable_workbook_is_rejected(client):
    answer = rows(
        client, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", content_type="application/vnd.ms-excel"
    )

    assert (answer.status_code, answer.json["title"]) == (400, "Unreadable file")
    assert "save it as .xlsx or CSV" in answer.json["detail"]


def test_invalid_cells_are_still_read(client):
    [line] = rows(client, "x\nmany\n").json["lines"]

    assert line["cells"] == ["many"]


def test_blank_cell_differs_from_null(client):
    [line] = rows(client, "id,x\n7,\n").json["lines"]

    assert (line["cells"], line["blank"]) == (["7", None], [1])


def test_long_header_gives_short_response(client):
    text = f"x,{'n' * 20_000}\n" + "1,2\n" * 900

    answer = rows(client, text)

    assert answer.status_code == 200
    assert len(answer.data) < 5 * len(text)


@pytest.mark.parametrize(
    ("options", "status", "detail"),
    [
        pytest.param(
            {"data": b"\xc3\xa4\n\xff"}, 400, "the file is not UTF-8: see line 2", id="bytes"
        ),
        pytest.param(
            {"content_type": "text/csv; charset=klingon"},
            400,
            "unknown charset 'klingon'",
            id="charset",
        ),
        pytest.param(
            {"query_string": {"decimal": ";"}},
            400,
            "decimal must be '.' or ',', got ';'",
            id="decimal",
        ),
        pytest.param({"data": "1,2\n3,4\n"}, 422, "looks like values, not names", id="no header"),
        pytest.param({"data": "x\n" * 1002}, 413, "got 1,001", id="many"),
        pytest.param(
            {"content_type": "application/json"},
            415,
            "application/gzip, application/zstd or application/octet-stream, got application/json",
            id="type",
        ),
        pytest.param({"data": ""}, 422, "the file is empty", id="empty"),
        pytest.param({"data": "\n\n"}, 422, "the file is empty", id="blank"),
        pytest.param({"data": ","}, 422, "line 1 must name the columns", id="no name"),
        pytest.param(
            {"data": bz2.compress(b"x\n1\n")}, 400, "compress it with gzip or zstd", id="bzip2"
        ),
        pytest.param(
            {"data": "," * 40_000}, 422, "at most 1,001 columns, got 40,001", id="columns"
        ),
    ],
)
def test_invalid_csv_is_rejected_with_reason(client, options, status, detail):
    answer = rows(client, "x\n1\n", **options)

    assert answer.status_code == status
    assert detail in answer.json["detail"]


def test_csv_header_can_be_downloaded(client):
    header = client.get("/api/models/household/rows")

    assert (header.mimetype, header.text) == ("text/csv", "head,others,home\n")
    assert header.headers["Content-Disposition"] == "attachment; filename=household.csv"


@pytest.mark.parametrize(
    "time",
    [
        pytest.param({"format": "date-time-local"}, id="local"),
        pytest.param({"format": "date-time", "x-dtype": "datetime64[ns]"}, id="earlier releases"),
    ],
)
def test_offset_in_local_time_is_rejected(make_app, time):
    schema = json.dumps({"properties": {"at": {"type": "string", **time}}})
    app = make_app(f"models: [{{class: tests.models.simple.Echo, input_schema: {schema}}}]")

    def predict(at):
        return app.test_client().post("/api/models/echo/predict", json={"at": at})

    assert predict("2026-01-31T14:30:00").json == {"at": "2026-01-31T14:30:00"}
    response = predict("2026-01-31T14:30:00+02:00")
    assert response.status_code == 422
    assert "a date and time without a zone" in response.json["errors"][0]["detail"]


SAMPLED = "models: [{class: tests.models.answers.Sampled}, {class: tests.models.simple.Doubler}]"


@pytest.fixture
def sampled(make_app):
    """A client of a portal with a model that has a reference profile, and one that has none."""
    return make_app(SAMPLED).test_client()


def test_cautious_response_has_a_result_for_each_row(sampled):
    rows = [{"x": 500, "home": "boat", "years": None}, {"x": 5, "home": "own", "years": 2}]

    unusual, usual = predict(sampled, "sampled", rows, query_string="caution=true").json

    assert unusual["prediction"] == {"y": 500}
    assert [(each["pointer"], each["kind"]) for each in unusual["cautions"]] == [
        ("/x", "outside-range"),
        ("/home", "unseen-category"),
        ("/years", "blank"),
    ]
    assert usual == {"prediction": {"y": 5}, "cautions": []}


def test_cautions_of_partial_results_are_beside_predictions(sampled):
    query = "partial=true&caution=true"

    good, bad = predict(sampled, "sampled", [{"x": 500}, {}], query_string=query).json

    assert len(good["cautions"]) == 3
    assert bad.keys() == {"problem"}


def test_partial_csv_has_a_column_of_problems(sampled):
    usual, csv = {"x": 5, "home": "own", "years": 2}, {"Accept": "text/csv"}
    rows = [{"x": "a"}, usual, usual | {"x": 500}]

    partial, both = (
        predict(sampled, "sampled", rows, query_string=f"partial=true{more}", headers=csv)
        for more in ("", "&caution=true")
    )

    assert partial.content_type == "text/csv; charset=utf-8"
    assert partial.text.splitlines() == [
        "problem,y",
        '"x must be a number, got ""a""",',
        ",5.0",
        ",500.0",
    ]
    header, bad, good, cautioned = both.text.splitlines()
    assert (header, good) == ("problem,y,caution", ",5.0,")
    assert bad.endswith(",,")
    assert "is outside the training data" in cautioned


def test_model_failure_is_a_problem_in_csv(make_app):
    client = make_app("models: [{class: tests.models.answers.Fragile}]").test_client()
    query = "partial=true"

    response = predict(
        client, "fragile", [{"x": 0}], query_string=query, headers={"Accept": "text/csv"}
    )

    assert response.text == "problem\nthe model 'fragile' failed\n"


def test_cautious_csv_has_a_column(sampled):
    lines = predict(
        sampled,
        "sampled",
        [{"x": 500, "home": "own", "years": 2}, {"x": 5, "home": "own", "years": 2}],
        query_string="caution=true",
        headers={"Accept": "text/csv"},
    ).text.splitlines()

    assert lines[0] == "y,caution"
    assert lines[1].startswith('500.0,"x: 500 is outside the training data')
    assert lines[2] == "5.0,"


@pytest.mark.parametrize("headers", [{}, {"Accept": "text/csv"}], ids=["json", "csv"])
@pytest.mark.parametrize("route", ["predict", "jobs"])
def test_model_without_profile_rejects_cautions(sampled, route, headers):
    response = sampled.post(
        f"/api/models/doubler/{route}?caution=true",
        data=b"x\n1\n",
        headers={"Content-Type": "text/csv", **headers},
    )

    assert response.status_code == 400
    assert response.json["type"] == "/docs/problems#no-profile"
    assert "the model 'doubler' has no reference profile" in response.json["detail"]

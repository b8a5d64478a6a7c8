"""Jobs through the HTTP API, run by a runner in the test's process."""

import bz2
import csv
import datetime as dt
import gzip
import io
import json
import lzma
import math
import re
import resource
import shutil
import sqlite3
import time
import zipfile
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from threading import Timer
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from sqlalchemy.exc import ProgrammingError

from app.serving.errors import JobsUnavailable, Stopped, TooManyJobs
from app.serving.jobs import job_files, job_runner
from app.serving.jobs.chunks import chunk_rows
from app.serving.jobs.job import JobState, get_rate
from app.serving.jobs.job_runner import JobRunner, StopJob
from app.serving.jobs.jobs import remove_expired
from app.serving.jobs.queue import job_counts, job_database
from app.serving.jobs.queue.job_database import JobDatabase
from app.serving.jobs.queue.job_table import JobTable
from app.serving.jobs.submission import create_job, get_identity
from app.serving.models.model_calls import ModelCalls
from app.serving.prediction_log import month_files, writer
from app.serving.prediction_log.store import PredictionStore, Selection
from tests.app.serving.tables.test_workbooks import workbook
from tests.new_keys import NewKey

MODELS = """
models:
  - {class: tests.models.simple.Doubler}
  - {class: tests.models.simple.Ordered}
  - {class: tests.models.simple.Doubler, name: logged, log: true}
  - {class: tests.models.simple.Echo}
  - {class: tests.models.broken.RaisesAtPredict}
  - class: tests.models.forms.Anything
    name: strict
    input_schema: {properties: {x: {type: number}}, additionalProperties: false}
  - {class: tests.models.answers.Sampled}
  - {class: tests.models.typical.Labels}
  - class: tests.models.forms.Anything
    name: either
    input_schema:
      properties: {a: {type: number}, b: {type: number}}
      anyOf: [{required: [a]}, {required: [b]}]
"""
CSV = {"Content-Type": "text/csv"}
CALC = "vnd.oasis.opendocument.spreadsheet"
NDJSON = {"Content-Type": "application/x-ndjson"}


class Models:
    """The models of an application, as those of a job process."""

    def __init__(self, parts):
        self.predictor = parts.predictor

    def get_model(self, reference, identity):
        model = self.predictor.manager.get_loaded(reference)
        if get_identity(model) != identity:
            raise StopJob("the model was replaced")
        return model


@pytest.fixture
def app(make_app, tmp_path, jobs_database):
    settings = {"JOBS_FOLDER": tmp_path / "jobs", "JOBS_DATABASE": jobs_database}
    return make_app(MODELS, JOBS_FREE_BYTES=0, **settings)


@pytest.fixture
def parts(app):
    return app.extensions["modelhost"]


@pytest.fixture
def make_runner(parts):
    return lambda: JobRunner(parts.jobs, Models(parts), restart=pytest.fail)


@pytest.fixture
def submit(client):
    """A function that creates a job and returns its document."""

    def create(content, model="doubler", headers=CSV, query=""):
        response = client.post(f"/api/models/{model}/jobs{query}", data=content, headers=headers)
        assert response.status_code == 202, response.get_data(as_text=True)
        assert response.headers["Location"] == f"/api/jobs/{response.json['id']}"
        return response.json

    return create


def read_csv(response):
    assert response.status_code == 200, response.get_data(as_text=True)
    return list(csv.DictReader(io.StringIO(response.get_data(as_text=True))))


def test_valid_rows_are_predicted_and_others_listed(client, submit, make_runner):
    job = submit("id,x\na,1\nb,two\nc\n\nd,2.5\n", query="?file=numbers.csv")
    assert (job["state"], job["file"]) == ("waiting", "numbers.csv")

    make_runner().run(0)

    path = f"/api/jobs/{job['id']}"
    job = client.get(path).json
    assert (job["state"], job["progress"]) == ("done", 1.0)
    assert job["rows"] == {"read": 4, "valid": 2, "invalid": 2, "expected": 4}
    assert read_csv(client.get(f"{path}/result")) == [
        {"line": "2", "id": "a", "x": "1", "y": "2"},
        {"line": "6", "id": "d", "x": "2.5", "y": "5"},
    ]
    problems = client.get(f"{path}/problems").get_data(as_text=True)
    assert problems == (
        'line (job),problem (job),id,x\n3,"x must be a number, got ""two""",b,two\n'
        '4,"has 1 cells, but the header has 2",c\n'
    )
    second = submit(problems.replace(",b,two", ",b,3").replace(",c\n", ",c,4\n"))
    make_runner().run(0)
    again = read_csv(client.get(f"/api/jobs/{second['id']}/result"))
    assert [(row["id"], row["y"]) for row in again] == [("b", "6"), ("c", "8")]
    assert client.get(f"/api/jobs/{second['id']}").json["rows"]["invalid"] == 0


def test_job_is_removed_while_it_runs(submit, parts, make_runner, monkeypatch, caplog):
    document, jobs = submit("x\n1\n"), parts.jobs
    write_outcome = job_runner.write_outcome

    def remove_and_write(*arguments):
        jobs.remove(jobs.cancel(jobs.table.get(document["id"])))
        write_outcome(*arguments)

    monkeypatch.setattr(job_runner, "write_outcome", remove_and_write)
    caplog.set_level("INFO")
    make_runner().run(0)

    assert "was released" in caplog.text
    assert "Traceback" not in caplog.text
    assert not jobs.table.has(document["id"])
    assert not (jobs.files.folder / document["id"]).exists()


def test_cautions_are_the_column_of_a_request(client, submit, make_runner):
    content = "x,home,years\n500,own,2\n5,own,2\n"
    job = submit(content, model="sampled", query="?caution=true")

    make_runner().run(0)

    found = read_csv(client.get(f"/api/jobs/{job['id']}/result"))
    path = "/api/models/sampled/predict?caution=true"
    response = client.post(path, data=content, headers=CSV | {"Accept": "text/csv"})
    assert found[0]["caution"].startswith("x: 500 is outside the training data")
    assert [each["caution"] for each in found] == [each["caution"] for each in read_csv(response)]


def test_reasons_are_columns_of_a_request(client, submit, make_runner, monkeypatch):
    monkeypatch.setattr(job_runner, "EXPLAINED_ROWS", 2)
    content = "income,term,note\n30,36,x\n70,12,x\n-1,12,x\n80,12,x\n"
    job = submit(content, model="labels", query="?output=young&caution=true")

    make_runner().run(0)

    job = client.get(f"/api/jobs/{job['id']}").json
    assert (job["explain"], job["rows"]["valid"], job["rows"]["invalid"]) == (True, 3, 1)
    found = read_csv(client.get(f"/api/jobs/{job['id']}/result"))
    assert [each["why_1"].partition(":")[0] for each in found] == ["term 36", "term 12", "term 12"]
    assert [each["why_2"] for each in found] == ["", "", ""]
    assert found[2]["caution"].startswith("income: 80 is outside the training data")


@pytest.mark.parametrize(
    ("model", "query", "detail"),
    [
        ("doubler", "", "the model 'doubler' cannot be explained: expected a reference profile"),
        ("labels", "", "with the parameter 'output': /prediction/rich, /prediction/young"),
        ("labels", "&output=old", "one of /prediction/rich, /prediction/young, got 'old'"),
    ],
)
def test_job_without_reasons_is_rejected(client, model, query, detail):
    path = f"/api/models/{model}/jobs?explain=true{query}"
    response = client.post(path, data="x\n1\n", headers=CSV)

    assert (response.status_code, response.json["type"]) == (422, "/docs/problems#cannot-explain")
    assert detail in response.json["detail"]


@pytest.mark.parametrize(
    ("flag", "detail"),
    [("false", "'output' selects what to explain; omit it"), ("nonsense", "explain must be")],
)
def test_output_needs_explanations(client, flag, detail):
    path = f"/api/models/labels/jobs?explain={flag}&output=young"
    response = client.post(path, data="income\n1\n", headers=CSV)

    assert response.status_code == 400
    assert detail in response.json["detail"]


GERMAN = "name;x\r\nMüller;1.000,5\r\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(GERMAN.encode("latin-1"), id="latin-1"),
        pytest.param(GERMAN.replace(";", "\t").encode("utf-16"), id="utf-16"),
        pytest.param(b"sep=;\r\n" + GERMAN.encode(), id="sep"),
        pytest.param(gzip.compress(GERMAN.encode("utf-8-sig")), id="gzip"),
        pytest.param(b"x,name\r1,a\r2,b", id="carriage return"),
        pytest.param(b'x,name\n1,"a ""b"",\nc"\n,\n\n2,d\0e\n', id="quoted"),
        pytest.param(b'x,name,\n1,a,\n2,b\nno,c,\n3,"d', id="broken lines"),
        pytest.param(b"Size,name\n007, a \n1e3,b\nNaN,c\n", id="label"),
        pytest.param(
            ",".join(["x", *map(str, range(499))]).encode() + b"\n1" + b"," * 499, id="500"
        ),
        pytest.param(b"x,name\n", id="only header"),
    ],
)
def test_request_and_job_predict_the_same_rows(client, submit, make_runner, content):
    job = submit(content, model="sampled")
    make_runner().run(0)

    results = client.post("/api/models/sampled/predict?partial=true", data=content, headers=CSV)

    path = f"/api/jobs/{job['id']}"
    lines = client.get(f"{path}/result?as=ndjson").text.splitlines()
    found = [json.loads(line)["prediction"] for line in lines]
    assert found == [each["prediction"] for each in results.json if "prediction" in each]
    invalid = client.get(f"{path}/problems?as=ndjson").text.splitlines()
    problems = [each["problem"]["errors"] for each in results.json if "problem" in each]
    for line, [error] in zip(invalid, problems, strict=True):
        found = json.loads(line)
        assert error["detail"] == f"{found['problems'][0]['detail']} (line {found['line']})"


def test_columns_of_a_result_have_unique_names(client, submit, make_runner):
    job = submit("text,line\na,b\n", model="echo")

    make_runner().run(0)

    path = f"/api/jobs/{job['id']}/result"
    assert read_csv(client.get(path)) == [
        {"line": "2", "text (file)": "a", "line (file)": "b", "text": "a", "model line": "b"}
    ]
    [row] = client.get(f"{path}?as=ndjson").get_data(as_text=True).splitlines()
    assert json.loads(row)["prediction"] == {"text": "a", "line": "b"}


def test_corrected_problems_are_the_cells_of_the_file(client, submit, make_runner):
    job = submit('text;x;line\n"a"b;1;2\n+49 30;-1,5;\'=;4\n', model="echo")
    make_runner().run(0)
    problems = client.get(f"/api/jobs/{job['id']}/problems").get_data(as_text=True)
    assert problems == (
        "line (job),problem (job),text,x,line\n"
        '2,"is not CSV: \';\' expected after \'""\'","""a""b;1;2"\n'
        '3,"has 4 cells, but the header has 3",\'+49 30,"-1,5",\'\'=,4\n'
    )

    second = submit(problems.replace('"""a""b;1;2"', "a,1,2").replace(",4\n", "\n"), model="echo")
    make_runner().run(0)

    lines = client.get(f"/api/jobs/{second['id']}/result?as=ndjson").get_data(as_text=True)
    assert [json.loads(line)["prediction"] for line in lines.splitlines()] == [
        {"text": "a", "x": 1, "line": 2},
        {"text": "+49 30", "x": "-1,5", "line": "'="},
    ]


def test_own_columns_are_no_file_of_problems(client, submit, make_runner):
    job = submit("line,problem,x\n7,late,1\n8,'=lost,two\n")
    make_runner().run(0)
    path = f"/api/jobs/{job['id']}"

    assert client.get(f"{path}/result").text == "line,line (file),problem,x,y\n2,7,late,1,2\n"
    problems = client.get(f"{path}/problems").text
    header, row = problems.splitlines()
    assert header == "line (job),problem (job),line,problem,x"
    assert row.endswith(",8,''=lost,two")
    second = submit(problems.replace("two", "2"))
    make_runner().run(0)
    [result] = read_csv(client.get(f"/api/jobs/{second['id']}/result"))
    assert (result["line (file)"], result["problem"], result["y"]) == ("8", "''=lost", "4")


def test_carriage_returns_stay_in_their_cells(client, submit, make_runner):
    content = 'text,"no\rte"\n"x\ry",1,2\n'
    job = submit(content, model="echo")
    make_runner().run(0)
    problems = client.get(f"/api/jobs/{job['id']}/problems").get_data(as_text=True)
    header = client.get(f"/api/jobs/{job['id']}/result").get_data(as_text=True)
    assert header == 'line,text,"no\rte"\n'

    second = submit(problems.replace(",1,2", ",1"), model="echo")
    make_runner().run(0)

    line = client.get(f"/api/jobs/{second['id']}/result?as=ndjson").get_data(as_text=True)
    assert json.loads(line)["prediction"] == {"text": "x\ry", "no\rte": 1}


def test_columns_of_open_schemas_are_members(client, submit, make_runner):
    job = submit("line,problem,x\n1,a,2\n", model="echo")
    make_runner().run(0)

    line = client.get(f"/api/jobs/{job['id']}/result?as=ndjson").get_data(as_text=True)

    assert json.loads(line)["prediction"] == {"line": 1, "problem": "a", "x": 2}


@pytest.mark.parametrize(
    ("rows", "names", "cells"),
    [
        (
            [{"a": "x", "b": {"c": 1}}, {"a": "y"}, {}, {"b": {"c": 2, "d": [None]}}],
            ["a", "b.c", "b.d"],
            [["x", "1", ""], ["y", "", ""], ["", "", ""], ["", "2", "[null]"]],
        ),
        (
            [{"a": {"b": 1}}, {"a": 1.5}, {"c": "x"}],
            ["a", "c"],
            [['{"b": 1}', ""], ["1.5", ""], ["", "x"]],
        ),
        ([{"a": 1}, {}, "x"], ["prediction"], [['{"a": 1}'], ["{}"], ["x"]]),
    ],
    ids=["objects", "one-member", "text"],
)
@pytest.mark.parametrize("size", [1, 2, 9])
def test_all_chunks_have_the_same_columns(
    client, submit, make_runner, monkeypatch, *, rows, names, cells, size
):
    monkeypatch.setattr(chunk_rows, "MAX_ROWS", size)
    job = submit("".join(json.dumps(row) + "\n" for row in rows), "echo", NDJSON)

    make_runner().run(0)

    path = f"/api/jobs/{job['id']}/result?as="
    header, *lines = csv.reader(io.StringIO(client.get(f"{path}csv").get_data(as_text=True)))
    assert header == ["line", "row", *names]
    assert [line[2:] for line in lines] == cells
    assert pq.read_table(io.BytesIO(client.get(f"{path}parquet").data)).column_names == header
    written = client.get(f"{path}ndjson").get_data(as_text=True).splitlines()
    assert [json.loads(line)["prediction"] for line in written] == rows


def test_stop_in_a_call_releases_the_chunk(client, submit, make_runner, monkeypatch):
    def stop(*_):
        raise Stopped

    job = submit("x\n1\n")
    runner = make_runner()
    with monkeypatch.context() as patch:
        patch.setattr(ModelCalls, "run", stop)
        with pytest.raises(Stopped):
            runner.run(0)

    make_runner().run(0)

    found = client.get(f"/api/jobs/{job['id']}").json
    assert (found["state"], found["rows"]["invalid"]) == ("done", 0)


def test_column_of_long_and_of_other_numbers_is_text(client, submit, make_runner, monkeypatch):
    monkeypatch.setattr(chunk_rows, "MAX_ROWS", 1)
    job = submit(
        '{"start": 0, "end": 9007199254740993}\n{"start": 0, "end": 1.5}\n{}', "ordered", NDJSON
    )

    make_runner().run(0)

    found = read_csv(client.get(f"/api/jobs/{job['id']}/result"))
    assert [row["prediction"] for row in found] == ["9007199254740993", "1.5"]


def test_repeated_chunk_is_in_the_prediction_log_once(submit, make_runner, parts, monkeypatch):
    job = submit("x\n1\n2\n", model="logged")
    make_runner().run_chunk()
    parts.jobs.queue.claim("a process that dies, after it has logged a row in another month")
    folder = parts.predictor.prediction_log.folder
    # A client may send the id of a job as its request id.
    for line, source in ((2, "job"), (3, "api"), (4, "job")):
        logged = (0.0, job["id"], line, "logged", "1", "{}", "{}", 0.1, "", None, source)
        with closing(month_files.create(month_files.get_path(folder, "logged", 0))) as connection:
            connection.execute(writer.INSERT + writer.VALUES, logged)
    monkeypatch.setattr(time, "time", lambda: job["created"] + 1000)

    make_runner().run(0)

    records = PredictionStore(folder).read("logged")
    assert [(each.request_id, each.index, each.row, each.source) for each in records] == [
        (job["id"], 3, {}, "api"),
        (job["id"], 4, {}, "job"),
        (job["id"], 2, {"x": 1}, "job"),
        (job["id"], 3, {"x": 2}, "job"),
    ]


@pytest.mark.parametrize("size", [1, 2, 9])
def test_logged_rows_have_the_lines_of_the_result(client, submit, make_runner, parts, *, size):
    content = 'x,note\n1,\n\nbroken\n2,"a\nb"\ntwo,\n3,\n'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunk_rows, "MAX_ROWS", size)
        job = submit(content, model="logged")
        make_runner().run(0)

    lines = read_csv(client.get(f"/api/jobs/{job['id']}/result"))
    logged = PredictionStore(parts.predictor.prediction_log.folder).read("logged")

    found = [(each.request_id, str(each.index), each.row["x"]) for each in logged]
    assert found == [(job["id"], each["line"], float(each["x"])) for each in lines]
    assert [each["line"] for each in lines] == ["2", "5", "8"]
    path = "/api/models/logged/truth"
    truth = {"request_id": job["id"], "row": 5, "truth": 4.0}
    assert client.post(path, json=truth).json == {"stored": 1, "not_logged": 0}
    assert client.post(path, json={**truth, "row": 4}).status_code == 404
    truth = {"request_id": job["id"], "line": 2, "truth": 2.0}
    assert client.post(path, json=truth).json == {"stored": 1, "not_logged": 0}
    table = f"request_id,line,truth\n{job['id']},8,6\n"
    assert client.post(path, data=table, headers=CSV).json == {"stored": 1, "not_logged": 0}


@pytest.mark.parametrize(
    ("truth", "problem"),
    [
        ({"truth": 4.0}, "/truth: needs 'line', as in the result: a file was predicted"),
        ({"truth": [4.0, 2.0]}, "/truth/0: needs 'line', as in the result"),
        (
            "request_id,truth\n%s,4\n",
            "/0: needs 'line', as in the result: a file was predicted (line 2)",
        ),
    ],
)
def test_truth_of_a_job_needs_a_line(client, submit, make_runner, truth, problem):
    job = submit('{"x": 1}\n{"x": 2}\n', model="logged", headers=NDJSON)["id"]
    make_runner().run(0)

    is_table = isinstance(truth, str)
    sent = (
        {"data": truth % job, "headers": CSV} if is_table else {"json": {"request_id": job} | truth}
    )
    response = client.post("/api/models/logged/truth", **sent)

    assert response.status_code == 422
    assert problem in response.json["detail"]


def test_reader_of_the_log_delays_no_repeated_chunk(
    submit, make_runner, parts, monkeypatch, caplog
):
    monkeypatch.setattr(month_files, "WAIT_SECONDS", 0.1)
    job = submit("x\n1\n", model="logged")
    make_runner().run_chunk()
    parts.jobs.queue.claim("a process that dies after it has logged the row")
    folder = parts.predictor.prediction_log.folder
    path = month_files.get_path(folder, "logged", job["created"])
    logged = (job["created"], job["id"], 2, "logged", "1", "{}", "{}", 0.1, "", None, "job")
    with closing(month_files.create(path)) as connection:
        connection.execute(writer.INSERT + writer.VALUES, logged)
    monkeypatch.setattr(time, "time", lambda: job["created"] + 1000)

    with PredictionStore(folder).snapshot("logged", Selection()):
        make_runner().run(0)

    assert [each.row for each in PredictionStore(folder).read("logged")] == [{"x": 1}]
    assert "in the prediction log twice" not in caplog.text


def test_results_have_three_formats(client, submit, make_runner):
    lines = [json.dumps({"x": number}) for number in range(5)]
    content = "\n".join([*lines, "{", '{"x": "y"}', '{"x": "\udcff"}', '{"x": "\\ud800"}'])
    job = submit(gzip.compress(content.encode(errors="surrogateescape")), headers=NDJSON)

    make_runner().run(0)

    path = f"/api/jobs/{job['id']}"
    rows = client.get(f"{path}/result?as=ndjson").get_data(as_text=True).splitlines()
    assert json.loads(rows[4]) == {"line": 5, "row": {"x": 4}, "prediction": {"y": 8.0}}
    table = pq.read_table(io.BytesIO(client.get(f"{path}/result?as=parquet").data))
    assert table.column("y").to_pylist() == [0.0, 2.0, 4.0, 6.0, 8.0]
    problems = client.get(f"{path}/problems?as=ndjson").get_data(as_text=True).splitlines()
    assert [json.loads(each)["line"] for each in problems] == [6, 7, 8, 9]
    assert json.loads(problems[2])["problems"][0]["detail"] == "is not UTF-8: invalid start byte"
    assert "has an unpaired surrogate" in json.loads(problems[3])["problems"][0]["detail"]
    assert json.loads(problems[1])["problems"] == [
        {"pointer": "/x", "detail": 'must be a number, got "y"'}
    ]
    assert client.get(f"{path}/result?as=xml").status_code == 400
    corrected = {**json.loads(problems[1]), "row": {"x": 9}}
    second = submit(json.dumps(corrected), headers=NDJSON)
    make_runner().run(0)
    rows = client.get(f"/api/jobs/{second['id']}/result?as=ndjson").get_data(as_text=True)
    assert json.loads(rows)["prediction"] == {"y": 18.0}


PARQUET = {"Content-Type": "application/vnd.apache.parquet"}


def to_parquet(columns, **options):
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, **options)
    return stream.getvalue()


@pytest.mark.parametrize("headers", [PARQUET, {"Content-Type": "application/octet-stream"}])
def test_parquet_file_is_predicted(client, submit, make_runner, monkeypatch, headers):
    monkeypatch.setattr(chunk_rows, "MAX_ROWS", 3)
    days = pa.array([dt.datetime(2026, 1, day) for day in range(1, 6)], pa.timestamp("ns", "UTC"))
    columns = {
        "id": ["a", "b", "c", "d", "e"],
        "x": [0.1, None, math.inf, math.nan, 0.3],
        "day": days,
        "tags": [[1], [], None, [2], [3, 4]],
    }
    job = submit(to_parquet(columns, row_group_size=4), headers=headers)

    make_runner().run(0)

    path = f"/api/jobs/{job['id']}"
    assert client.get(path).json["rows"] == {"read": 5, "valid": 2, "invalid": 3, "expected": 5}
    lines = client.get(f"{path}/result?as=ndjson").get_data(as_text=True).splitlines()
    row = {"id": "e", "x": 0.3, "day": "2026-01-05T00:00:00+00:00", "tags": [3, 4]}
    assert json.loads(lines[1]) == {"line": 5, "row": row, "prediction": {"y": 0.6}}
    assert read_csv(client.get(f"{path}/result"))[0]["tags"] == "[1]"
    problems = read_csv(client.get(f"{path}/problems"))
    assert [(each["line (job)"], each["id"], each["problem (job)"]) for each in problems] == [
        ("2", "b", "x is required"),
        ("3", "c", "x is infinite, which JSON does not have"),
        ("4", "d", "x is required"),
    ]


def test_workbook_keeps_all_columns(client, submit, make_runner):
    lines = [("id", "x", "day"), (7, 1, dt.date(2026, 1, 31)), ("a", 2.5, None), (8, "n", 1)]
    job = submit(workbook(*lines).getvalue(), headers={"Content-Type": "application/octet-stream"})

    make_runner().run(0)

    path = f"/api/jobs/{job['id']}"
    assert client.get(f"{path}/result").get_data(as_text=True) == (
        "line,id,x,day,y\n2,7,1,2026-01-31T00:00:00,2\n3,a,2.5,,5\n"
    )
    problems = client.get(f"{path}/problems").get_data(as_text=True)
    assert problems == (
        'line (job),problem (job),id,x,day\n4,"x must be a number, got ""n""",8,n,1\n'
    )


def test_formula_without_value_is_invalid_row(client, submit, make_runner):
    lines = [("id", "x", "day"), (7, 1, "=A2"), (8, "=A2", dt.date(2026, 1, 31))]
    job = submit(workbook(*lines).getvalue(), headers={"Content-Type": "application/octet-stream"})

    make_runner().run(0)

    path = f"/api/jobs/{job['id']}"
    assert client.get(f"{path}/result").text == "line,id,x,day,y\n2,7,1,,2\n"
    [problem] = read_csv(client.get(f"{path}/problems"))
    assert problem["problem (job)"].startswith("has a formula in 'x' without a value")
    assert (problem["id"], problem["x"], problem["day"]) == ("8", "", "2026-01-31T00:00:00")


X = to_parquet({"x": [1.0] * 9999})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (X[:-9], "not a readable Parquet file: "),
        (X[:20] + b"?" * 40 + X[60:], "the Parquet file cannot be read: "),
        (to_parquet({"z": [1]}), "the file must have columns of the model, such as x"),
        (to_parquet({"x": [Decimal("1.5")]}), "the column 'x' has the type decimal128(2, 1), "),
    ],
)
def test_unreadable_parquet_file_fails_the_job(client, submit, make_runner, content, reason):
    job = submit(content, headers=PARQUET)

    make_runner().run(0)

    job = client.get(f"/api/jobs/{job['id']}").json
    assert job["state"] == "failed"
    assert job["reason"].startswith(reason)


def test_file_of_only_a_header_has_an_empty_result(client, submit, make_runner):
    job = submit("x,y\n")

    make_runner().run(0)

    path = f"/api/jobs/{job['id']}"
    results = {form: client.get(f"{path}/result?as={form}").data for form in ("csv", "ndjson")}
    assert results == {"csv": b"line,x,y\n", "ndjson": b""}
    table = pq.read_table(io.BytesIO(client.get(f"{path}/result?as=parquet").data))
    assert table.column_names == ["line", "x", "y"]
    assert client.get(f"{path}/problems").text == "line (job),problem (job),x,y\n"


def test_unknown_members_of_ndjson_can_be_removed(client, submit, make_runner):
    job = submit('{"x": 1}\n\n{"x": 2, "z": 3}\n', "strict", NDJSON)
    make_runner().run(0)

    problems = client.get(f"/api/jobs/{job['id']}/problems?as=ndjson").text
    assert json.loads(problems) == {
        "line": 3,
        "problems": [{"pointer": "/z", "detail": "is unknown; valid names: x"}],
        "row": {"x": 2, "z": 3},
    }
    second = submit(problems.replace(', "z": 3', ""), "strict", NDJSON)
    make_runner().run(0)
    assert client.get(f"/api/jobs/{second['id']}").json["rows"]["valid"] == 1


def test_chunk_without_valid_rows_has_no_result(client, submit, make_runner, monkeypatch):
    monkeypatch.setattr(chunk_rows, "MAX_ROWS", 2)
    job = submit("x,y\nno,a\nnone,b\n1,c\nno,d\n")

    make_runner().run(0)

    path = f"/api/jobs/{job['id']}"
    row = {"line": "4", "x": "1", "y (file)": "c", "y": "2"}
    assert read_csv(client.get(f"{path}/result")) == [row]
    table = pq.read_table(io.BytesIO(client.get(f"{path}/result?as=parquet").data))
    assert table.to_pylist() == [{"line": 4, "x": "1", "y (file)": "c", "y": 2.0}]
    assert client.get(path).json["rows"]["invalid"] == 3
    assert len(client.get(f"{path}/result?as=ndjson").data.splitlines()) == 1


def test_dead_process_loses_no_row(client, submit, make_runner, parts, monkeypatch):
    monkeypatch.setattr(chunk_rows, "MAX_ROWS", 10)
    job = submit("x\n" + "".join(f"{number}\n" for number in range(95)))
    first = make_runner()
    for _ in range(4):  # the reading, and three chunks
        first.run_chunk()
    parts.jobs.queue.claim("a process that dies")
    monkeypatch.setattr(time, "time", lambda: job["created"] + 1000)

    make_runner().run(0)

    rows = read_csv(client.get(f"/api/jobs/{job['id']}/result"))
    assert [float(row["y"]) for row in rows] == [2.0 * number for number in range(95)]


def test_cancelled_job_is_resumed(client, submit, make_runner, monkeypatch):
    monkeypatch.setattr(chunk_rows, "MAX_ROWS", 10)
    job = submit("x\n" + "1\n" * 30)
    path = f"/api/jobs/{job['id']}"
    runner = make_runner()
    runner.run_chunk()
    runner.run_chunk()
    assert client.get(f"{path}/result").json["detail"] == "the job is running: it has no result yet"
    assert client.post(f"{path}/resume").status_code == 409

    assert client.delete(path).json["type"] == "/docs/problems#job-conflict"
    assert client.post(f"{path}/cancel").json["state"] == "cancelled"
    runner.run(0)
    assert client.get(path).json["rows"]["valid"] == 10
    assert client.post(f"{path}/resume").json["state"] == "waiting"
    runner.run(0)

    assert client.post(f"{path}/cancel").json["type"] == "/docs/problems#job-conflict"
    assert len(read_csv(client.get(f"{path}/result"))) == 30
    assert client.delete(path).status_code == 204
    assert client.get(path).json["type"] == "/docs/problems#job-not-found"


def test_file_without_readable_rows_is_rejected(client, parts):
    def reject(content, headers=CSV, model="doubler"):
        response = client.post(f"/api/models/{model}/jobs", data=content, headers=headers)
        return response.status_code, response.json["detail"]

    assert reject(b"") == (422, "the body: the file is empty")
    assert reject(b"\n") == (422, "the body: the file is empty")
    assert reject(b",\n") == (422, "the body: line 1 must name the columns")
    for compress in (bz2.compress, lzma.compress):
        for headers in (CSV, NDJSON):
            status, detail = reject(compress(b"x\n1\n"), headers)
            assert (status, detail[:32]) == (400, "the file is compressed with bzip")
    assert reject(b"z\n1\n")[0] == 422
    header = b"income,years\n1,2\n"
    assert reject(header, model="sampled") == (422, 'the body: the file must have a column "x"')
    assert reject(b"x\n\xff\xc3\xa9\n") == (400, "the file is not UTF-8: see line 2")
    assert reject(b"x\n1\n", PARQUET) == (400, "not a Parquet file, which begins with PAR1")
    calc = io.BytesIO()
    with zipfile.ZipFile(calc, "w") as archive:
        archive.writestr("content.xml", "x")
    reason = "it is an .ods or .xlsb workbook: save it as .xlsx or CSV"
    assert reject(calc.getvalue()) == (400, reason)
    status, detail = reject(calc.getvalue(), {"Content-Type": f"application/{CALC}"})
    assert (status, detail.count(CALC)) == (415, 1)
    assert list(parts.jobs.files.folder.glob("*/input")) == []


def test_column_that_only_some_rows_need_may_be_missing(client, submit, make_runner):
    job = submit("b\n1\n", "either")
    make_runner().run(0)

    assert client.get(f"/api/jobs/{job['id']}").json["rows"]["valid"] == 1


def test_file_with_unreadable_end_fails_the_job(client, submit, make_runner):
    job = submit(b"x\n" + b"1\n" * 150_000 + b"\xff\xc3\xa9\n")

    make_runner().run(0)

    job = client.get(f"/api/jobs/{job['id']}").json
    assert job["state"] == "failed"
    assert job["reason"].startswith("the file is not UTF-8: see line 150002. No row was predicted")


def test_wrong_query_is_rejected(client):
    for method, path in (
        ("post", "/api/models/doubler/jobs?name=x.csv"),
        ("get", "/api/jobs?limit=0"),
        ("get", "/api/jobs?limit=201"),
        ("get", "/api/jobs?page=2"),
        ("get", "/api/jobs?after=1"),
        ("get", "/api/jobs/0?as=csv"),
        ("get", "/api/jobs/0/result?format=csv"),
        ("get", "/api/jobs/0/problems?as=parquet"),
        ("post", "/api/jobs/0/cancel?now=1"),
        ("post", "/api/jobs/0/resume?from=1"),
        ("delete", "/api/jobs/0?force=true"),
    ):
        response = client.open(path, method=method, data=b"x\n1\n", headers=CSV)

        assert response.json["type"] == "/docs/problems#invalid-body", path


def test_long_reason_pads_no_line_of_the_list(submit, parts, run_command, tmp_path, jobs_database):
    failed, _ = submit("x\n1\n"), submit("x\n1\n")
    parts.jobs.table.finish(failed["id"], JobState.FAILED, "late " * 40)

    settings = {"JOBS_FOLDER": tmp_path / "jobs", "JOBS_DATABASE": jobs_database}
    header, *lines = run_command("jobs", "list", **settings).stdout.splitlines()

    assert header.endswith("  reason")
    assert sorted(len(line) > 200 for line in lines) == [False, True]


def test_jobs_are_listed_in_pages(client, submit):
    ids = [submit("x\n1\n")["id"] for _ in range(3)]

    first = client.get("/api/jobs?limit=2").json
    client.post(f"/api/jobs/{ids[1]}/cancel")
    client.delete(f"/api/jobs/{ids[1]}")
    second = client.get(first["next"]).json

    assert [job["id"] for job in first["jobs"] + second["jobs"]] == ids[::-1]
    assert second["next"] is None


def test_name_and_charset_are_cleaned(submit, parts):
    headers = {"Content-Type": f"text/csv; charset=iso8859{'_' * 60}15"}
    job = submit("x\n1\n", query=f"?file=a%00{'b' * 300}.csv", headers=headers)

    assert job["file"] == f"a\ufffd{'b' * 198}"
    assert parts.jobs.table.get(job["id"]).charset == "iso8859-15"


@pytest.mark.parametrize("jobs_database", ["sqlite"], indirect=True)
def test_interrupted_database_is_used_again(client, submit, make_runner, parts, monkeypatch):
    job = submit("x\n1\n")
    database = parts.jobs.files.folder / "jobs.sqlite"
    away = database.rename(database.with_suffix(".away"))
    database.mkdir()
    pauses = iter(range(100))

    def restore_at_the_third_pause(_):
        if next(pauses) == 2:
            database.rmdir()
            away.rename(database)

    assert client.get("/api/jobs").json["type"] == "/docs/problems#jobs-unavailable"
    monkeypatch.setattr(time, "sleep", restore_at_the_third_pause)
    make_runner().run(0)

    assert client.get(f"/api/jobs/{job['id']}").json["state"] == "done"


def test_rate_excludes_time_without_processes():
    at_once = [(10.0, 12.0, 100), (11.0, 13.0, 100)]

    assert get_rate([*at_once, (1000.0, 1001.0, 200)]) == 100.0


def test_concurrent_uploads_keep_the_quota(parts):
    jobs = parts.jobs
    jobs.limits = replace(jobs.limits, per_key=1)
    model = parts.manager.get("doubler")

    def upload_while_another_does():
        create_job(jobs, model, iter([b"x\n1\n"]), "csv")
        yield b"x\n2\n"

    with pytest.raises(TooManyJobs):
        create_job(jobs, model, upload_while_another_does(), "csv")
    assert len(jobs.table.find()) == 1


def test_rows_on_which_the_model_fails_are_separated(client, submit, make_runner):
    job = submit("x\n1\n", model="raises-at-predict")

    make_runner().run(0)

    job = client.get(f"/api/jobs/{job['id']}").json
    assert (job["state"], job["rows"]["invalid"]) == ("done", 1)


def test_failing_model_fails_the_job(client, submit, make_runner):
    job = submit("x\n" + "1\n" * 11, model="raises-at-predict")

    make_runner().run(0)

    job = client.get(f"/api/jobs/{job['id']}").json
    assert job["reason"] == "the model 'raises-at-predict' failed"


def test_replaced_model_stops_the_job(client, submit, make_runner, parts):
    job = submit("x\n1\n")
    parts.manager.get("doubler").spec.settings["factor"] = 3

    make_runner().run(0)

    assert client.get(f"/api/jobs/{job['id']}").json["reason"] == "the model was replaced"


def test_full_disk_stops_the_job(client, submit, make_runner, parts):
    job = submit("x\n1\n")
    parts.jobs.files._free_bytes = 10**18

    make_runner().run(0)

    assert "the disk has no room" in client.get(f"/api/jobs/{job['id']}").json["reason"]
    refused = client.post("/api/models/doubler/jobs", data="x\n1\n", headers=CSV)
    assert refused.status_code == 507
    parts.jobs.files._free_bytes = 0
    client.post(f"/api/jobs/{job['id']}/resume")
    make_runner().run(0)
    assert client.get(f"/api/jobs/{job['id']}").json["state"] == "done"


@pytest.fixture
def set_disk(parts, monkeypatch):
    """A function that sets the size of a disk on which only jobs have files."""
    folder = parts.jobs.files.folder

    def set_size(size):
        def usage(_):
            return SimpleNamespace(
                free=size - sum(file.stat().st_size for file in folder.glob("[0-9a-f]*/*"))
            )

        monkeypatch.setattr(shutil, "disk_usage", usage)

    return set_size


def test_unfinished_jobs_keep_their_room(client, submit, make_runner, set_disk):
    content = "id,x\n" + f"{'a' * 500},1\n" * 100
    set_disk(7 * len(content))
    jobs = [submit(content), submit(content)]

    refused = client.post("/api/models/doubler/jobs", data=content, headers=CSV)

    assert refused.status_code == 507
    needed = 2 * 2 * len(content) + 3 * len(content)
    assert f"and at least {needed:,} are needed for it and jobs before it" in refused.json["detail"]
    make_runner().run(0)
    assert [client.get(f"/api/jobs/{job['id']}").json["state"] for job in jobs] == ["done"] * 2


def test_whole_file_counts_before_it_arrives(client, set_disk):
    content = "x\n" + "1\n" * 1_000_000
    set_disk(100_000)

    refused = client.post("/api/models/doubler/jobs", data=content, headers=CSV)

    assert f"and at least {3 * len(content):,} are needed for it" in refused.json["detail"]


def test_resumed_job_needs_room_beside_unfinished_ones(client, submit, set_disk):
    content = "id,x\n" + f"{'a' * 500},1\n" * 100
    first, second = submit(content), submit(content)
    client.post(f"/api/jobs/{first['id']}/cancel")
    set_disk(5 * len(content))

    resume = f"/api/jobs/{first['id']}/resume"
    assert client.post(resume).status_code == 507
    assert client.get(f"/api/jobs/{first['id']}").json["state"] == "cancelled"
    client.post(f"/api/jobs/{second['id']}/cancel")
    assert client.post(resume).status_code == 200


def test_job_without_room_writes_nothing(client, submit, make_runner, parts, set_disk):
    content = "id,x\n" + f"{'a' * 500},1\n" * 100
    jobs = [submit(content), submit("x\n1\n")]
    set_disk(2 * len(content))

    make_runner().run(0)

    first, second = (client.get(f"/api/jobs/{job['id']}").json for job in jobs)
    assert (first["state"], second["state"]) == ("failed", "done")
    assert "the disk has no room" in first["reason"]
    assert [each.name for each in parts.jobs.files.source(first["id"]).parent.iterdir()] == [
        "input"
    ]


def test_room_is_checked_before_a_chunk_is_written(client, submit, make_runner, parts, set_disk):
    content = "x\n" + "1\n" * 5000
    job = submit(content)
    set_disk(4 * len(content))  # the chunk has 16 bytes for each row

    make_runner().run(0)

    assert client.get(f"/api/jobs/{job['id']}").json["state"] == "failed"
    assert not parts.jobs.files.rows(job["id"], 1).exists()


def test_job_continues_after_a_write_to_a_full_disk(client, submit, make_runner):
    values = [number**0.5 for number in range(20_000)]
    job = submit("x\n" + "".join(f"{value!r}\n" for value in values))
    path = f"/api/jobs/{job['id']}"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        make_runner().run(0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "remove finished jobs or other files" in client.get(path).json["reason"]

    client.post(f"{path}/resume")
    make_runner().run(0)

    rows = read_csv(client.get(f"{path}/result"))
    assert [float(row["y"]) for row in rows] == [2 * value for value in values]


def test_done_job_keeps_only_its_results(client, submit, make_runner, parts, monkeypatch):
    monkeypatch.setattr(chunk_rows, "MAX_ROWS", 2)
    job = submit("x\n1\n2\nthree\n")
    folder = parts.jobs.files.folder / job["id"]
    (folder / ".rows-00001.arrow.0a1b2c3d").write_bytes(b"of a process that was killed")
    runner = make_runner()
    runner.run_chunk()
    runner.run_chunk()
    client.post(f"/api/jobs/{job['id']}/cancel")
    assert {"input", "rows-00001.arrow"} <= {each.name for each in folder.iterdir()}

    client.post(f"/api/jobs/{job['id']}/resume")
    runner.run(0)

    assert sorted(each.name for each in folder.iterdir()) == [
        *("bad-00001.1.ndjson", "bad-00002.1.ndjson"),
        *("part-00001.1.arrow", "part-00002.1.arrow"),
    ]
    problems = client.get(f"/api/jobs/{job['id']}/problems").get_data(as_text=True)
    assert problems.startswith("line (job),problem (job),x\n4,")


def test_input_is_removed_after_its_process_died(submit, make_runner, parts, monkeypatch):
    job = submit("x\n1\n")
    monkeypatch.setattr("app.serving.jobs.job_runner.remove_inputs", lambda *_: None)
    make_runner().run(0)
    source = parts.jobs.files.source(job["id"])
    assert source.exists()

    remove_expired(parts.jobs)

    assert not source.exists()


def test_expired_results_are_removed(client, submit, make_runner, parts, monkeypatch):
    job = submit("x\n1\n")
    make_runner().run(0)
    expires = client.get(f"/api/jobs/{job['id']}").json["expires"]
    monkeypatch.setattr(time, "time", lambda: expires + 1)

    assert client.get(f"/api/jobs/{job['id']}/result").status_code == 404
    assert client.get("/api/jobs").json["jobs"] == []
    remove_expired(parts.jobs)

    assert not (parts.jobs.files.folder / job["id"]).exists()


def test_expanded_file_has_the_limit_of_a_file(client, submit, make_runner, parts):
    parts.jobs.limits = replace(parts.jobs.limits, max_bytes=1000)
    job = submit(gzip.compress(b"x\n" + b"1\n" * 500))

    make_runner().run(0)

    reason = client.get(f"/api/jobs/{job['id']}").json["reason"]
    assert reason == (
        "the file expands to more than the limit of 1,000 bytes. No row was predicted: send the "
        "corrected file as a new job"
    )


@pytest.mark.parametrize("encoding", ["gzip", "identity", ""])
def test_file_may_have_a_content_encoding(client, submit, make_runner, encoding):
    headers = {"Content-Type": "text/csv", "Content-Encoding": encoding}
    job = submit(gzip.compress(b"x\n1\n"), headers=headers)

    make_runner().run(0)

    assert [row["y"] for row in read_csv(client.get(f"/api/jobs/{job['id']}/result"))] == ["2"]


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_wrong_compressed_file_is_rejected(client, compress):
    def reject(content):
        headers = CSV | {"Content-Encoding": "gzip"}
        response = client.post("/api/models/doubler/jobs", data=content, headers=headers)
        return response.status_code, response.json["detail"]

    status, detail = reject(compress(b"x\n" + b"1\n" * 1000)[:-1])
    assert status == 400
    assert re.fullmatch(
        r"not a readable (gzip|zstd) file: it is cut off or damaged \(.+\): compress it again and "
        r"send all of it",
        detail,
    )
    status, detail = reject(compress(gzip.compress(b"x\n1\n")))
    assert status == 400
    assert detail.endswith("around gzip: compress it once")
    assert reject(compress(b"z\n1\n"))[0] == 422


def test_long_file_that_is_cut_off_fails_the_job(client, submit, make_runner, monkeypatch):
    monkeypatch.setattr(job_files, "EXPANDED_BYTES", 1000)
    job = submit(gzip.compress(b"x\n" + b"1\n" * 1_000_000)[:-1])

    make_runner().run(0)

    found = client.get(f"/api/jobs/{job['id']}").json
    assert (found["state"], found["rows"]["read"]) == ("failed", 0)
    assert "cut off or damaged" in found["reason"]
    assert found["reason"].endswith(
        "send all of it. No row was predicted: send the corrected file as a new job"
    )


def test_unreadable_end_names_the_rows_before(client, submit, make_runner, monkeypatch):
    monkeypatch.setattr(chunk_rows, "MAX_ROWS", 10)
    monkeypatch.setattr(chunk_rows, "MAX_LINE_BYTES", 20)
    job = submit('{"x": 1}\n' * 25 + '{"x": 1}' + " " * 20, headers=NDJSON)

    make_runner().run(0)

    reason = client.get(f"/api/jobs/{job['id']}").json["reason"]
    assert reason == (
        "a line has more than 20 bytes. 20 rows were read before, but a failed job has no result: "
        "send the corrected file as a new job"
    )


def test_progress_of_compressed_file_is_that_of_its_content(monkeypatch):
    monkeypatch.setattr(chunk_rows, "MAX_ROWS", 1000)
    content = gzip.compress(b"x\n" + b"1.5\n" * 500_000)

    with closing(chunk_rows.read_chunks(io.BytesIO(content), "csv", True, max_depth=9)) as chunks:
        assert 0 < next(chunks).read_bytes < len(content) / 2


def test_stopped_reading_that_adds_chunks_is_no_failure(client, submit, make_runner, parts):
    job, queue = submit("x\n1\n"), parts.jobs.queue
    for number in range(1, 4):
        queue.add(queue.claim("stopped"), number, rows=7, read_bytes=0)
        queue.release("stopped", failures=1)

    make_runner().run(0)

    reason = client.get(f"/api/jobs/{job['id']}").json["reason"]
    assert reason.startswith("another version of Modelhost has read the beginning of the file")


def test_keys_see_their_own_jobs(make_app, tmp_path):
    one, other, admin = NewKey(), NewKey(), NewKey("admin")
    keys = f"[{one!r}, {other!r}, {admin!r}]"
    app = make_app(
        MODELS, JOBS_FOLDER=tmp_path / "jobs", JOBS_FREE_BYTES=0, KEYS=keys, JOBS_PER_KEY=1
    )
    client = app.test_client()
    path = "/api/models/doubler/jobs"
    job = client.post(path, data="x\n1\n", headers=CSV | one.headers).json

    assert client.post(path, data="x\n1\n", headers=CSV | one.headers).status_code == 429
    assert client.post(path, data="x\n1\n", headers=CSV | other.headers).status_code == 202
    assert client.get(f"/api/jobs/{job['id']}", headers=other.headers).status_code == 404
    assert [
        len(client.get("/api/jobs", headers=key.headers).json["jobs"]) for key in (one, admin)
    ] == [1, 2]


def test_unsuitable_bodies_are_rejected(make_app, tmp_path):
    client = make_app(
        MODELS, JOBS_FOLDER=tmp_path / "jobs", JOBS_MAX_BYTES=10, JOBS_FREE_BYTES=0
    ).test_client()
    path = "/api/models/doubler/jobs"

    large = client.post(path, data="x\n" + "1\n" * 10, headers=CSV)
    assert (large.status_code, large.json["detail"]) == (
        413,
        "expected at most 10 bytes; see JOBS_MAX_BYTES",
    )
    environ = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    chunked = {"headers": CSV, "environ_overrides": environ}
    large = client.post(path, input_stream=io.BytesIO(b"x\n" + b"1\n" * 10), **chunked)
    assert large.json["detail"] == "expected at most 10 bytes; see JOBS_MAX_BYTES"
    json = client.post(path, data="{}", headers={"Content-Type": "application/json"})
    assert json.status_code == 415
    assert json.json["detail"].startswith("Content-Type must be one of text/csv, ")
    encoded = client.post(path, data="x\n1\n", headers=CSV | {"Content-Encoding": "br"})
    wanted = (415, "Content-Encoding must be gzip or zstd, got br")
    assert (encoded.status_code, encoded.json["detail"]) == wanted
    assert client.post("/api/models/none/jobs", data="x\n1\n", headers=CSV).status_code == 404
    assert list((tmp_path / "jobs").glob("*/input")) == []
    whole = client.post(path, input_stream=io.BytesIO(b"x\n" + b"1\n" * 4), **chunked)
    assert whole.status_code == 202


def test_first_use_waits_for_that_of_another_process(tmp_path):
    file = tmp_path / "jobs.sqlite"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    end = Timer(0.1, other.execute, ["COMMIT"])
    end.start()

    assert JobTable(JobDatabase(f"sqlite:///{file}"), 1.0).count_active() == 0

    end.join()
    other.close()


def test_full_disk_fails_at_once(tmp_path):
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    with JobDatabase(url).transaction():
        pass
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    start = time.monotonic()
    try:
        database = JobDatabase(url)
        with pytest.raises(JobsUnavailable, match="disk is full"), database.transaction():
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert time.monotonic() - start < job_database.BUSY_SECONDS / 2


def test_metrics_and_health_page_count_jobs(client, submit, make_runner):
    assert "modelhost_job" not in client.get("/metrics").text
    assert "waiting" not in client.get("/health").text
    done = submit("x\n1\n2\nthree\n")
    make_runner().run(0)
    submit("x\n1\n")
    client.post(f"/api/jobs/{submit('x')['id']}/cancel")

    page = client.get("/health").text
    client.delete(f"/api/jobs/{done['id']}")
    text = client.get("/metrics").text

    assert "1 waiting, 0 running; the oldest was created " in page
    numbers = {"waiting": 1, "running": 0, "done": 0, "failed": 0, "cancelled": 1}
    for state, number in numbers.items():
        assert f'modelhost_jobs{{model="doubler",state="{state}"}} {number}.0\n' in text
    assert 'modelhost_job_rows_total{model="doubler",outcome="valid"} 2.0\n' in text
    assert 'modelhost_job_rows_total{model="doubler",outcome="invalid"} 1.0\n' in text
    make_runner().run(0)
    assert "none waiting or running" in client.get("/health").text


def test_metrics_have_the_label_of_each_version(make_app, tmp_path):
    version = "{class: tests.models.simple.Doubler, name: doubler, version: "
    models = f"models:\n  - {version} '1', default: true}}\n  - {version} '2'}}\n"
    client = make_app(models, JOBS_FOLDER=tmp_path / "jobs", JOBS_FREE_BYTES=0).test_client()

    for path in ("/api/models/doubler/jobs", "/api/models/doubler/versions/2/jobs"):
        assert client.post(path, data="x\n1\n", headers=CSV).status_code == 202

    text = client.get("/metrics").text
    for label in ("doubler@1", "doubler@2"):
        assert f'modelhost_jobs{{model="{label}",state="waiting"}} 1.0\n' in text
    assert 'modelhost_jobs{model="doubler"' not in text


@pytest.mark.parametrize("jobs_database", ["sqlite"], indirect=True)
def test_removed_jobs_leave_no_rows_in_the_database(client, submit, make_runner, parts):
    def count_database_rows():
        with closing(sqlite3.connect(parts.jobs.files.folder / "jobs.sqlite")) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            counts = [
                connection.execute(f"SELECT count(*) FROM {name}").fetchone() for (name,) in names
            ]
        return sum(count for (count,) in counts)

    found = []
    for _ in range(2):
        job = submit("x\n1\n")
        make_runner().run(0)
        client.delete(f"/api/jobs/{job['id']}")
        found.append(count_database_rows())

    assert found == [1, 1]
    text = client.get("/metrics").text
    assert 'modelhost_job_rows_total{model="doubler",outcome="valid"} 2.0\n' in text


def check_jobs_are_not_counted(client):
    metrics = client.get("/metrics")
    assert metrics.status_code == 200
    assert "modelhost_jobs" not in metrics.text
    assert "modelhost_models" in metrics.text
    assert "their number is not available" in client.get("/health").text


@pytest.mark.parametrize("jobs_database", ["sqlite"], indirect=True)
def test_damaged_database_only_hides_the_counts_of_jobs(client, submit, parts, caplog):
    submit("x\n1\n")
    for each in parts.jobs.files.folder.glob("jobs.sqlite*"):
        each.unlink()
    (parts.jobs.files.folder / "jobs.sqlite").write_bytes(b"damaged " * 1000)

    check_jobs_are_not_counted(client)
    check_jobs_are_not_counted(client)

    assert caplog.text.count("the database of jobs is not available: file is not a database") == 1
    assert client.get("/api/jobs").json["type"] == "/docs/problems#jobs-unavailable"


def test_wrong_query_is_no_unavailable_database(tmp_path, caplog):
    database = JobDatabase(f"sqlite:///{tmp_path / 'jobs.sqlite'}")

    with pytest.raises(ProgrammingError), database.transaction() as connection:
        connection.exec_driver_sql("SELECT ?", (1, 2))

    assert not caplog.text


def test_unreadable_folder_only_hides_the_counts_of_jobs(make_app, tmp_path, caplog):
    app = make_app(MODELS, JOBS_FOLDER=tmp_path / ("a" * 300), JOBS_MAX_BYTES=0)

    check_jobs_are_not_counted(app.test_client())

    assert caplog.text.count("cannot count jobs: [Errno 36] File name too long") == 1


def test_counts_do_not_wait_for_the_database(make_app, tmp_path, monkeypatch):
    monkeypatch.setattr(job_counts, "WAIT_SECONDS", 0.1)
    folder = tmp_path / "jobs"
    client = make_app(MODELS, JOBS_FOLDER=folder).test_client()
    folder.mkdir()
    (folder / "wake").touch()
    other = sqlite3.connect(folder / "jobs.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()

    check_jobs_are_not_counted(client)

    assert time.monotonic() - started < 5
    other.close()
    monkeypatch.setattr(job_counts, "WAIT_SECONDS", 10)
    assert "none waiting or running" in client.get("/health").text

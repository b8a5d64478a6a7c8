import json
import subprocess
import sys

import psutil
import pytest

from benchmarks import answers, models, report, tree, wrk
from benchmarks.entries import flama, flask, mlserver, modelhost
from benchmarks.entry import COLUMNS, ROW, ROWS, Entry, Stage
from benchmarks.models import Answer
from benchmarks.results import Failed, Filled, Loaded, Results, Started, lines

MEASURED = (
    "Running 2s test @ http://127.0.0.1:8300/\n  1 threads and 16 connections\n"
    "measured: requests=3000 microseconds=2000000 p50=1500 p99=12000"
    " connect={connect} read=0 write=0 status={status} timeout=0\n"
)


@pytest.fixture(scope="module")
def logistic():
    return models.train("logistic")


@pytest.fixture(scope="module")
def pipeline():
    return models.train("pipeline")


def test_what_wrk_measured_is_read_from_its_last_line():
    load = wrk.parse(MEASURED.format(connect=0, status=0))

    assert load == wrk.Load(requests=3000, seconds=2.0, p50_ms=1.5, p99_ms=12.0)
    assert load.per_second == 1500


def test_errors_under_load_are_a_failure_that_counts_them():
    with pytest.raises(wrk.WrkFailed, match="of 3000 requests: 2 connect, 7 status"):
        wrk.parse(MEASURED.format(connect=2, status=7))


def test_no_answer_at_all_is_a_failure():
    nothing = MEASURED.format(connect=0, status=0).replace("requests=3000", "requests=0")

    with pytest.raises(wrk.WrkFailed, match="no request was answered"):
        wrk.parse(nothing)


def test_output_of_wrk_without_its_last_line_is_a_failure():
    with pytest.raises(wrk.WrkFailed, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1:8300 Connection refused")


BURN = "import time\nwhile time.process_time() < 0.3: pass"
#: A parent with a child that has burnt 0.3 s and ended, and one that waits as the parent does.
PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {BURN!r}])
child = subprocess.Popen(["cat"], stdout=subprocess.DEVNULL)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def parent():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], start_new_session=True, **pipes
    ) as process:
        process.stdout.readline()
        yield process
        process.stdin.close()


def test_processor_time_of_children_that_have_ended_counts(parent):
    own = sum(psutil.Process(parent.pid).cpu_times()[:2])

    assert tree.cpu_seconds(parent.pid) >= own + 0.29


def test_memory_of_a_tree_is_that_of_all_its_processes(parent):
    members = tree.members(parent.pid)

    assert {process.name() for process in members} >= {"cat"}
    assert tree.pss_bytes(parent.pid) > psutil.Process(parent.pid).memory_full_info().pss


def test_a_process_that_has_lost_its_parent_is_still_of_the_tree():
    orphan = "import subprocess, sys; subprocess.Popen(['sleep', '30'])"
    with subprocess.Popen([sys.executable, "-c", orphan], start_new_session=True) as process:
        process.wait()

    (left,) = tree.members(process.pid)
    name = left.name()
    left.kill()

    assert name == "sleep"


def test_a_process_that_is_gone_costs_nothing():
    gone = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    gone.wait()

    assert tree.cpu_seconds(gone.pid) == 0
    assert tree.pss_bytes(gone.pid) == 0


def loaded(server, cpu, per_second=1000.0):
    return Loaded(server, "forest", "1 row", 16, per_second, 1.0, 2.0, cpu, 100.0)


RUNS = [
    *(loaded("flask", cpu, per_second=500.0) for cpu in (900.0, 1000.0, 4000.0)),
    loaded("fastapi", 400.0),
    loaded("gunicorn", 200.0, per_second=2000.0),
]


def by_server(runs):
    return {line.server: line for line in lines(runs, "flask", lambda name: name == "gunicorn")}


def test_a_line_has_the_median_of_its_rounds():
    line = by_server(RUNS)["flask"]

    assert (line.rounds, line.cpu_microseconds) == (3, 1000.0)


def test_ratios_are_over_the_baseline_and_over_the_best_that_is_not_ours():
    line = by_server(RUNS)["gunicorn"]

    assert (line.faster_than_baseline, line.cheaper_than_baseline) == (4.0, 5.0)
    assert line.cheaper_than_best == 2.0


def test_without_baseline_there_are_no_ratios_over_it():
    line = by_server(RUNS[3:])["gunicorn"]

    assert line.cheaper_than_baseline is None
    assert line.cheaper_than_best == 2.0


def test_the_report_has_a_table_for_each_load_and_says_what_failed():
    results = Results(
        about={"machine": "2 cores"},
        loaded=RUNS,
        started=[Started("flask", "forest", 1.5, 2.25)],
        filled=[Filled("flask", 20, 2, 1000.0), Filled("gunicorn", 20, 2, 550.0)],
        failed=[Failed("litserve", "forest", "answered 500: a | b\nits log")],
    )

    text = report.markdown(results, "flask", lambda name: name == "gunicorn")

    assert "### forest: 1 row a request, 16 connections" in text
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["forest", "flask", "1.50", "2.25"] in cells
    assert ["gunicorn", "2", "550", "55%"] in cells
    assert r"answered 500: a \| b" in text
    assert "its log" not in text


def test_results_as_json_have_every_run():
    written = json.loads(json.dumps(Results(loaded=RUNS).to_json()))

    assert [run["cpu_microseconds"] for run in written["loaded"][:3]] == [900, 1000, 4000]


def test_all_rows_of_the_estimator_itself_are_right(logistic):
    expected = logistic.answers(3)
    body = json.dumps([{"prediction": a.label, "probabilities": a.probabilities} for a in expected])

    answers.compare(flask.ENTRY, logistic, ROWS, body.encode(), expected)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ('{"prediction": "b", "probabilities": {"a": 0.8, "b": 0.2}}', "the estimator says 'a'"),
        ('{"prediction": "a", "probabilities": {"a": 0.80001, "b": 0.2}}', "'a' has 0.80001"),
        ('{"prediction": "a", "probabilities": {"a": NaN, "b": 0.2}}', "'a' has nan"),
        ('{"prediction": "a", "probabilities": {"a": 0.8}}', r"probabilities of \['a'\]"),
        ('{"label": "a"}', "cannot be read"),
        ("<html>", "cannot be read"),
    ],
    ids=["label", "number", "nan", "missing label", "another shape", "no JSON"],
)
def test_an_answer_that_is_not_the_estimators_is_refused(logistic, body, complaint):
    expected = [Answer("a", {"a": 0.8, "b": 0.2})]

    with pytest.raises(answers.Wrong, match=complaint):
        answers.compare(flask.ENTRY, logistic, ROW, body.encode(), expected)


def test_an_answer_too_few_is_refused(logistic):
    with pytest.raises(answers.Wrong, match="2 rows were asked, 0 answered"):
        answers.compare(flask.ENTRY, logistic, ROWS, b"[]", [Answer("a"), Answer("b")])


def test_rows_asked_of_a_model_begin_again_where_they_end(logistic):
    assert logistic.rows(151)[150] == logistic.rows(1)[0]
    assert logistic.answers(151)[150] == logistic.answers(1)[0]


def test_rows_of_the_pipeline_have_what_is_missing_and_what_nobody_has_seen(pipeline):
    rows = pipeline.rows(200)

    assert any(row["savings"] is None for row in rows)
    assert any(row["region"] == "region Z" for row in rows)
    json.dumps(rows, allow_nan=False)


def test_columns_are_written_once_for_many_rows(logistic):
    (entry, *_) = modelhost.ENTRIES
    rows = logistic.rows(2)

    body = json.loads(entry.body(logistic, rows, COLUMNS))

    assert body == {"columns": models.IRIS, "data": [list(row.values()) for row in rows]}


def test_flama_is_asked_with_plain_lists_and_tells_labels(logistic):
    assert json.loads(flama.body(logistic, [{"a": 1, "b": 2}], ROW)) == {"input": [[1, 2]]}
    assert flama.answers(logistic, b'{"output": ["setosa"]}', ROW) == [Answer("setosa")]


def test_mlserver_is_asked_with_tensors_and_tells_probabilities(logistic, pipeline):
    asked = json.loads(mlserver.body(logistic, logistic.rows(2), ROWS))
    columns = json.loads(mlserver.body(pipeline, pipeline.rows(2), ROWS))
    told = mlserver.answers(logistic, b'{"outputs": [{"data": [0.1, 0.2, 0.7]}]}', ROW)

    assert asked["inputs"][0]["shape"] == [2, 4]
    assert {each["name"]: each["datatype"] for each in columns["inputs"]}["region"] == "BYTES"
    assert told == [Answer("virginica", {"setosa": 0.1, "versicolor": 0.2, "virginica": 0.7})]


@pytest.mark.parametrize("entry", modelhost.ENTRIES, ids=lambda entry: entry.name)
def test_our_server_gets_a_catalog_of_packaged_models(entry: Entry, tmp_path):
    stage = Stage(["logistic"], tmp_path, tmp_path, workers=2, port=8300, programs=tmp_path)

    environ = entry.start(stage).environ
    (model,) = json.loads((tmp_path / "models.yaml").read_text())["models"]

    assert environ["MODELHOST_MODELS_FILE"] == str(tmp_path / "models.yaml")
    assert model["file"] == str(tmp_path / "logistic.flm")
    assert ("runtime" in model) == entry.name.endswith("-onnx")

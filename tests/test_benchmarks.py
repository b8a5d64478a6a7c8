import importlib
import json
import subprocess
import sys

import psutil
import pytest

from benchmarks import comparison, models, report, tree, wrk
from benchmarks.entries import flama, flask, mlserver, modelhost
from benchmarks.entry import COLUMNS, ROW, ROWS, Entry, Stage
from benchmarks.models import Prediction
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


@pytest.mark.parametrize(
    "name", ["beside_jobs", "drift", "faults", "jobs", "life", "rounds", "soak"]
)
def test_programs_can_be_imported(name):
    importlib.import_module(f"benchmarks.{name}")


def test_wrk_result_is_parsed():
    load = wrk.parse(MEASURED.format(connect=0, status=0))

    assert load == wrk.Load(requests=3000, seconds=2.0, p50_ms=1.5, p99_ms=12.0)
    assert load.per_second == 1500


def test_errors_under_load_are_counted():
    with pytest.raises(wrk.WrkFailed, match="in 3000 requests: 2 connect, 7 status"):
        wrk.parse(MEASURED.format(connect=2, status=7))


def test_load_without_responses_fails():
    nothing = MEASURED.format(connect=0, status=0).replace("requests=3000", "requests=0")

    with pytest.raises(wrk.WrkFailed, match="no request succeeded"):
        wrk.parse(nothing)


def test_incomplete_wrk_output_fails():
    with pytest.raises(wrk.WrkFailed, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1:8300 Connection refused")


BURN = "import time\nwhile time.process_time() < 0.3: pass"
#: A process with a child that has used 0.3 s of CPU and exited, and one that waits.
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


def test_cpu_time_includes_ended_children(parent):
    own = sum(psutil.Process(parent.pid).cpu_times()[:2])

    assert tree.cpu_seconds(parent.pid) >= own + 0.29


def test_memory_includes_all_processes(parent):
    members = tree.members(parent.pid)

    assert {process.name() for process in members} >= {"cat"}
    assert tree.pss_bytes(parent.pid) > psutil.Process(parent.pid).memory_full_info().pss


def test_orphan_belongs_to_the_tree():
    orphan = "import subprocess, sys; subprocess.Popen(['sleep', '30'])"
    with subprocess.Popen([sys.executable, "-c", orphan], start_new_session=True) as process:
        process.wait()

    (left,) = tree.members(process.pid)
    name = left.name()
    left.kill()

    assert name == "sleep"


def test_ended_process_costs_nothing():
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


def test_line_has_the_median():
    line = by_server(RUNS)["flask"]

    assert (line.rounds, line.cpu_microseconds) == (3, 1000.0)


def test_ratios_to_baseline_and_best_peer():
    line = by_server(RUNS)["gunicorn"]

    assert (line.faster_than_baseline, line.cheaper_than_baseline) == (4.0, 5.0)
    assert line.cheaper_than_best == 2.0


def test_ratio_needs_a_baseline():
    line = by_server(RUNS[3:])["gunicorn"]

    assert line.cheaper_than_baseline is None
    assert line.cheaper_than_best == 2.0


def test_report_has_loads_and_failures():
    results = Results(
        about={"machine": "2 cores"},
        loaded=RUNS,
        started=[Started("flask", "forest", 1.5, 2.25)],
        filled=[Filled("flask", 20, 2, 1000.0), Filled("gunicorn", 20, 2, 550.0)],
        failed=[Failed("litserve", "forest", "status 500: a | b\nits log")],
    )

    text = report.markdown(results, "flask", lambda name: name == "gunicorn")

    assert "### forest: 1 row per request, 16 connections" in text
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["forest", "flask", "1.50", "2.25"] in cells
    assert ["gunicorn", "2", "550", "55%"] in cells
    assert r"status 500: a \| b" in text
    assert "its log" not in text


def test_json_results_have_every_run():
    written = json.loads(json.dumps(Results(loaded=RUNS).to_json()))

    assert [run["cpu_microseconds"] for run in written["loaded"][:3]] == [900, 1000, 4000]


def test_estimator_predictions_are_correct(logistic):
    expected = logistic.predictions(3)
    body = json.dumps([{"prediction": a.label, "probabilities": a.probabilities} for a in expected])

    comparison.compare(flask.ENTRY, logistic, ROWS, body.encode(), expected)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ('{"prediction": "b", "probabilities": {"a": 0.8, "b": 0.2}}', "expected the label 'a'"),
        ('{"prediction": "a", "probabilities": {"a": 0.80001, "b": 0.2}}', "of 'a', got 0.80001"),
        ('{"prediction": "a", "probabilities": {"a": NaN, "b": 0.2}}', "of 'a', got nan"),
        ('{"prediction": "a", "probabilities": {"a": 0.8}}', r"probabilities of \['a'\]"),
        ('{"label": "a"}', "cannot be parsed"),
        ("<html>", "cannot be parsed"),
    ],
    ids=["label", "number", "nan", "missing label", "another shape", "no JSON"],
)
def test_wrong_prediction_is_rejected(logistic, body, complaint):
    expected = [Prediction("a", {"a": 0.8, "b": 0.2})]

    with pytest.raises(comparison.WrongPrediction, match=complaint):
        comparison.compare(flask.ENTRY, logistic, ROW, body.encode(), expected)


def test_missing_prediction_is_rejected(logistic):
    with pytest.raises(comparison.WrongPrediction, match="expected 2 predictions, got 0"):
        comparison.compare(flask.ENTRY, logistic, ROWS, b"[]", [Prediction("a"), Prediction("b")])


def test_rows_of_a_model_repeat(logistic):
    assert logistic.rows(151)[150] == logistic.rows(1)[0]
    assert logistic.predictions(151)[150] == logistic.predictions(1)[0]


def test_pipeline_rows_include_unusual_values(pipeline):
    rows = pipeline.rows(200)

    assert any(row["savings"] is None for row in rows)
    assert any(row["region"] == "region Z" for row in rows)
    json.dumps(rows, allow_nan=False)


def test_columns_are_named_once(logistic):
    (entry, *_) = modelhost.ENTRIES
    rows = logistic.rows(2)

    body = json.loads(entry.body(logistic, rows, COLUMNS))

    assert body == {"columns": models.IRIS, "data": [list(row.values()) for row in rows]}


def test_flama_gets_lists_and_returns_labels(logistic):
    assert json.loads(flama.body(logistic, [{"a": 1, "b": 2}], ROW)) == {"input": [[1, 2]]}
    assert flama.parse(logistic, b'{"output": ["setosa"]}', ROW) == [Prediction("setosa")]


def test_mlserver_gets_tensors_and_returns_probabilities(logistic, pipeline):
    body = json.loads(mlserver.body(logistic, logistic.rows(2), ROWS))
    columns = json.loads(mlserver.body(pipeline, pipeline.rows(2), ROWS))
    predictions = mlserver.parse(logistic, b'{"outputs": [{"data": [0.1, 0.2, 0.7]}]}', ROW)

    assert body["inputs"][0]["shape"] == [2, 4]
    assert {each["name"]: each["datatype"] for each in columns["inputs"]}["region"] == "BYTES"
    assert predictions == [
        Prediction("virginica", {"setosa": 0.1, "versicolor": 0.2, "virginica": 0.7})
    ]


@pytest.mark.parametrize("entry", modelhost.ENTRIES, ids=lambda entry: entry.name)
def test_modelhost_serves_packaged_models(entry: Entry, tmp_path):
    stage = Stage(["logistic"], tmp_path, tmp_path, workers=2, port=8300, programs=tmp_path)

    environ = entry.start(stage).environ
    (model,) = json.loads((tmp_path / "models.yaml").read_text())["models"]

    assert environ["MODELHOST_MODELS_FILE"] == str(tmp_path / "models.yaml")
    assert model["file"] == str(tmp_path / "logistic.flm")
    assert ("runtime" in model) == entry.name.endswith("-onnx")

"""What is logged of predictions on every path, and what is not."""

import json
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import pytest

from app.serving.calls.caller import CALLER, Caller
from app.serving.prediction_log import month_files, writer
from app.serving.prediction_log.policy import LogPolicy
from app.serving.prediction_log.retention import delete_old
from app.serving.prediction_log.store import PredictionStore, Selection
from app.serving.prediction_log.writer import LoggedModel, PredictionLog
from app.serving.process.metrics import LOGGED_ROWS
from tests.new_keys import NewKey

MODELS = """
models:
  - {class: tests.models.simple.Doubler, log: true}
  - {class: tests.models.simple.Echo, log: {leave_out: [name, iban]}}
  - {class: tests.models.simple.Ordered}
"""
PATH = "/api/models/doubler/predict"
ALL = LogPolicy()
MODEL = LoggedModel("m", "m@1", "1", "native")


@pytest.fixture
def make_client(make_app):
    """A function that returns the test client of an application with logged models."""
    return lambda **settings: make_app(MODELS, **settings).test_client()


@pytest.fixture
def read(tmp_path):
    """A function that returns the records of a model, written now."""

    def read(client, model="doubler"):
        client.application.extensions["modelhost"].predictor.prediction_log.flush()
        return list(PredictionStore(tmp_path / "prediction-log").read(model))

    return read


@pytest.fixture
def prediction_log(tmp_path):
    return PredictionLog(tmp_path)


def add(prediction_log, rows, policy=ALL, **caller):
    token = CALLER.set(Caller(**{"request_id": "r"} | caller))
    prediction_log.add(policy, MODEL, rows, rows, seconds=0.5)
    CALLER.reset(token)


def count(outcome):
    return LOGGED_ROWS.labels("m@1", outcome)._value.get()


SENT = {
    "fast path": ({"json": {"x": 1}}, "api"),
    "flask": ({"json": {"x": 1}, "headers": {"Expect": "100-continue"}}, "api"),
    "page": ({"json": {"x": 1}, "headers": {"Sec-Fetch-Site": "same-origin"}}, "page"),
    "form": ({"path": "/models/doubler/predict", "data": {"row": '{"x": 1}'}}, "page"),
    "csv": ({"data": b"x\n1\n", "content_type": "text/csv"}, "csv"),
    "v2": (
        {
            "path": "/v2/models/doubler/infer",
            "json": {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]},
        },
        "v2",
    ),
    "mcp": (
        {
            "path": "/mcp",
            "json": {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": "doubler", "arguments": {"x": 1}},
            },
        },
        "mcp",
    ),
}


@pytest.mark.parametrize(("sent", "source"), SENT.values(), ids=SENT)
def test_every_path_is_logged(make_client, read, sent, source):
    client = make_client()
    headers = {"X-Request-ID": "abc", **sent.get("headers", {})}

    answer = client.post(**({"path": PATH} | sent | {"headers": headers}))

    assert answer.status_code == 200
    [record] = read(client)
    assert (record.request_id, record.index, record.row, record.prediction) == (
        "abc",
        0,
        {"x": 1},
        {"y": 2},
    )
    assert (record.model, record.source, record.who) == ("doubler", source, None)
    assert abs(record.time - time.time()) < 10
    assert 0 < record.seconds < 10


@pytest.mark.parametrize(
    "body",
    [
        {"json": [{"x": 1}, {"x": "a"}, {"x": 3}]},
        {"data": b"id,x\na,1\nb\nc,3\n", "content_type": "text/csv"},
    ],
    ids=["json", "csv"],
)
def test_partial_predictions_keep_their_indexes(make_client, read, body):
    client = make_client()

    client.post(f"{PATH}?partial=true", **body)

    assert [(each.index, each.row) for each in read(client)] == [(0, {"x": 1}), (2, {"x": 3})]


def test_rows_of_a_partial_request_have_one_time(make_app, read):
    models = "models: [{class: tests.models.answers.Fragile, log: true}]"
    client = make_app(models).test_client()

    rows = [{"x": 1}, {"x": 0}, {"x": 3}]
    client.post("/api/models/fragile/predict?partial=true", json=rows)

    assert [each.index for each in read(client, "fragile")] == [0, 2]
    assert len({each.time for each in read(client, "fragile")}) == 1


def test_command_logs_all_chunks_under_one_id(run_command, tmp_path):
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps([{"x": 1}] * 3))

    run_command("models", "predict", "doubler", "--input", rows, models=MODELS, MAX_ROWS=2)
    records = list(PredictionStore(tmp_path / "prediction-log").read("doubler"))

    assert [(each.index, each.source) for each in records] == [(1, "cli"), (2, "cli"), (3, "cli")]
    assert len({each.request_id for each in records}) == 1


def test_only_successful_predictions_of_logged_models_are_kept(make_client, read, tmp_path):
    client = make_client()

    client.post(PATH, json={"x": "a"})
    client.post("/api/models/ordered/predict", json={"start": 1, "end": 2})

    assert read(client) == []
    assert PredictionStore(tmp_path / "prediction-log").models() == []


def test_left_out_fields_are_in_no_file(make_client, read, tmp_path):
    client = make_client()
    row = {"age": 41, "name": "Ada-Secret", "more": [{"iban": "DE-Secret", "kept": 1}]}

    client.post("/api/models/echo/predict", json=row)

    [record] = read(client, "echo")
    assert record.row == record.prediction == {"age": 41, "more": [{"kept": 1}]}
    files = [path.read_bytes() for path in tmp_path.rglob("prediction-log/**/*") if path.is_file()]
    assert len(files) == 4  # the database, its two companions, and a lock
    assert not any(b"Secret" in content for content in files)


@pytest.mark.parametrize(
    ("extra", "hint"),
    [
        ("log: {leave_out: [y, xx]}", "did you mean 'x'?"),
        ("log: {leave_out: [x, iban]}, load: lazy", "their fields: 'x', 'y'"),
    ],
)
def test_unknown_left_out_field_fails_the_model(make_app, extra, hint):
    client = make_app(f"models: [{{class: tests.models.simple.Doubler, {extra}}}]").test_client()

    found = client.get("/api/models/doubler").json

    assert found["status"] == "failed"
    assert "'leave_out' of 'log' names" in found["reason"]
    assert found["reason"].endswith(f", which is no field of the model's schemas; {hint}")


def test_open_schema_accepts_any_left_out_field(make_app, read, caplog):
    models = "models: [{class: tests.models.simple.Defaulted, log: {leave_out: [iban]}}]"
    client = make_app(models).test_client()

    response = client.post("/api/models/defaulted/predict", json={"z": 1, "iban": "DE-Secret"})

    assert response.status_code == 200
    assert [each.row for each in read(client, "defaulted")] == [{"z": 1}]
    [note] = client.get("/api/models/defaulted/metadata").json["notes"]
    assert "names 'iban', which is no field of the model's schemas; their fields: 'z'" in note
    assert note in caplog.text


@pytest.mark.parametrize(
    ("named", "status", "logged"),
    [("[total]", "failed", []), ("[total, iban]", "ready", [{"total": 1}])],
)
def test_left_out_member_of_a_prediction_must_be_named(make_app, read, named, status, logged):
    account = f"class: tests.models.simple.Account, settings: {{named: {named}}}"
    client = make_app(f"models: [{{{account}, log: {{leave_out: [iban]}}}}]").test_client()

    client.post("/api/models/account/predict", json={"total": 1})

    assert client.get("/api/models/account").json["status"] == status
    assert [each.prediction for each in read(client, "account")] == logged


def test_left_out_member_of_any_prediction_is_accepted(make_app, read):
    client = make_app(
        "models: [{class: tests.models.simple.Statement, log: {leave_out: [iban]}}]"
    ).test_client()

    response = client.post("/api/models/statement/predict", json={"accounts": [{"iban": "DE"}]})

    assert response.json == {"iban": "DE"}
    [record] = read(client, "statement")
    assert (record.row, record.prediction) == ({"accounts": [{}]}, {})
    [note] = client.get("/api/models/statement/metadata").json["notes"]
    assert "names 'iban', which is no field of the model's schemas" in note


def test_unread_columns_of_a_sample_can_be_left_out():
    row = {"properties": {"a": {}}, "patternProperties": {"^name$": {}}}

    assert "'names'" in LogPolicy(leave_out={"name", "names"}).find_unknown(row, True)


def test_user_of_trusted_proxy_is_logged(make_client, read):
    key = NewKey()
    settings = {"KEYS": f"[{key!r}]", "TRUSTED_PROXIES": 1, "USER_HEADER": "X-Forwarded-User"}
    client = make_client(**settings)
    user = {"X-Forwarded-User": "josé@bank.example".encode().decode("latin-1")}

    client.post(PATH, json={"x": 1}, headers=key.headers)
    client.post(PATH, json={"x": 1}, headers={**key.headers, **user})
    client.post(PATH, json={"x": 1}, headers={**key.headers, **user, "Expect": "100-continue"})

    assert [each.who for each in read(client)] == [key.id, *["josé@bank.example"] * 2]


@pytest.mark.parametrize(
    ("header", "who"),
    [
        ("Zo%C3%AB%0A", "Zoë?"),
        ("=?utf-8?b?5pel5pys?=", "日本"),
        ("=?nope?q?a?= b", "=?nope?q?a?= b"),
    ],
)
def test_encoded_user_is_logged(make_client, read, header, who):
    client = make_client(TRUSTED_PROXIES=1, USER_HEADER="Remote-User")

    client.post(PATH, json={"x": 1}, headers={"Remote-User": header})

    assert read(client)[0].who == who


def test_lost_user_is_warned_of_once(make_client, caplog):
    client = make_client(TRUSTED_PROXIES=1, USER_HEADER="Lost-User")

    for name in ("", ""):
        client.post(PATH, json={"x": 1}, headers={"Lost-User": name})

    [warning] = [each for each in caplog.messages if "USER_HEADER" in each]
    assert "Lost-User, which USER_HEADER names, is empty or not ASCII" in warning


def test_user_is_ignored_without_setting(make_client, read):
    client = make_client(TRUSTED_PROXIES=1)

    client.post(PATH, json={"x": 1}, headers={"X-Forwarded-User": "mallory"})

    assert read(client)[0].who is None


def test_rows_are_sampled_by_request_id(prediction_log, tmp_path):
    policy = LogPolicy(share=0.1)

    add(prediction_log, [{}] * 2000, policy, request_id="a")
    prediction_log.flush()

    records = list(PredictionStore(tmp_path).read("m"))
    assert 150 < len(records) < 250
    assert all(policy.is_sampled("a", each.index) for each in records)


def test_repeated_chunk_of_a_job_is_logged_once(prediction_log, tmp_path):
    for source in ("job", "api"):
        for rows in ([1, 2], [1, 3]):
            add(prediction_log, rows, request_id=f"{source}.0", source=source)
    prediction_log.flush()

    assert [each.row for each in PredictionStore(tmp_path).read("m")] == [1, 3, 1, 2, 1, 3]


def test_full_queue_drops_and_counts(prediction_log, monkeypatch, tmp_path):
    monkeypatch.setattr(writer, "MAX_QUEUED_BYTES", 100)
    monkeypatch.setattr(PredictionLog, "_start", lambda self: None)
    before = count("dropped")

    for _ in range(3):
        add(prediction_log, ["a" * 40])

    assert count("dropped") == before + 1
    prediction_log.flush()
    assert PredictionStore(tmp_path).count("m") == 2


def test_unwritable_folder_is_logged_once(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    prediction_log = PredictionLog(tmp_path / "file")
    before = count("dropped")

    for _ in range(2):
        add(prediction_log, [1, 2])
        prediction_log.flush()

    assert count("dropped") == before + 4
    assert caplog.text.count("rows are lost") == 1


def test_unserializable_row_fails_no_prediction(prediction_log, caplog):
    before = count("dropped")

    add(prediction_log, [object()])
    add(prediction_log, [10**30])

    assert count("dropped") == before + 1
    assert caplog.text.count("are not logged") == 1


def test_thread_writes_within_half_a_second(prediction_log, tmp_path):
    add(prediction_log, [1])

    deadline = time.monotonic() + 5
    while not PredictionStore(tmp_path).models() and time.monotonic() < deadline:
        time.sleep(0.01)
    prediction_log.flush()

    assert writer.COMMIT_SECONDS < 0.5
    assert PredictionStore(tmp_path).count("m") == 1


def test_deleted_file_is_created_again(prediction_log, tmp_path):
    add(prediction_log, [1])
    prediction_log.flush()
    for path in (tmp_path / "m").iterdir():
        path.unlink()

    add(prediction_log, [2])
    prediction_log.flush()

    assert [each.row for each in PredictionStore(tmp_path).read("m")] == [2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_process_writes_its_own_rows(prediction_log, tmp_path):
    add(prediction_log, [1])
    prediction_log.flush()
    add(prediction_log, [2])

    child = os.fork()
    if child == 0:
        add(prediction_log, [3])
        prediction_log.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    prediction_log.flush()

    assert sorted(each.row for each in PredictionStore(tmp_path).read("m")) == [1, 2, 3]


def test_only_pages_vary_inputs_without_a_log(make_client, read):
    client = make_client()
    purpose = {"X-Modelhost-Purpose": "what-if"}

    client.post(PATH, json={"x": 1}, headers={"Sec-Fetch-Site": "same-origin", **purpose})
    client.post(PATH, json={"x": 2}, headers=purpose)

    assert [each.row for each in read(client)] == [{"x": 2}]


def write(folder, *times):
    """Write a record for each time, with its index as row."""
    for index, day in enumerate(times):
        moment = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
        connection = month_files.create(month_files.get_path(folder, "m", moment))
        values = (moment, f"r{index}", 0, "m@1", "1", str(index), "{}", 0.1, "", None, "api")
        connection.execute(writer.INSERT + writer.VALUES, values)
        connection.close()


def test_new_file_is_whole_and_created_once(tmp_path):
    """Two workers predict for the first time in a month, while another process reads."""
    paths = [tmp_path / str(number) / "2026-01.db" for number in range(40)]

    def create_all():
        for path in paths:
            month_files.create(path).close()

    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(create_all) for _ in range(2)]
        counts = set()
        while not all(each.done() for each in writers):
            counts |= {PredictionStore(tmp_path).count(path.parent.name) for path in paths}
        failures = [each.exception() for each in writers]

    assert (failures, counts) == ([None, None], {0})
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    assert {each.suffix for each in paths[0].parent.iterdir()} == {".db", ""}


def test_periods_are_read_across_months(tmp_path):
    write(tmp_path, "2025-12-31", "2026-01-01", "2026-02-01", "2026-02-02")
    store = PredictionStore(tmp_path)
    period = Selection(
        since=datetime(2026, 1, 1, tzinfo=UTC).timestamp(),
        until=datetime(2026, 2, 2, tzinfo=UTC).timestamp(),
    )

    assert [each.row for each in store.read("m", period)] == [1, 2]
    assert [each.row for each in store.read_last("m", 3)] == [1, 2, 3]
    assert store.count("m", Selection(unique_name="m@2")) == 0
    assert store.count_by_day("m", period) == {20454: 1, 20485: 1}
    assert sorted(path.name for path in (tmp_path / "m").glob("*.db")) == [
        "2025-12.db",
        "2026-01.db",
        "2026-02.db",
    ]


def test_records_of_one_version_are_thinned_evenly(prediction_log, tmp_path):
    other = MODEL._replace(unique_name="m@2")
    for index in range(10):
        for model in (MODEL, other):
            prediction_log.add(ALL, model, [index], [index], seconds=0.5)
    prediction_log.flush()

    found = PredictionStore(tmp_path).read("m", Selection(unique_name="m@2", every=2))

    assert [each.row for each in found] == [1, 3, 5, 7, 9]


def test_snapshot_has_the_same_records_each_time(tmp_path):
    write(tmp_path, "2026-01-01", "2026-02-01")

    with PredictionStore(tmp_path).snapshot("m", Selection()) as read:
        write(tmp_path, "2026-02-02")
        assert [[each.row for each in read()] for _ in range(2)] == [[0, 1], [0, 1]]


def test_deletion_fails_while_bytes_remain(tmp_path, monkeypatch):
    monkeypatch.setattr(month_files, "WAIT_SECONDS", 0.01)
    write(tmp_path, "2026-01-01", "2026-01-02", "2026-02-01")
    store = PredictionStore(tmp_path)

    def is_forgotten(record):
        return record.request_id in {"r1", "r2"}

    with (
        store.snapshot("m", Selection()),
        pytest.raises(sqlite3.Error, match=r"^2026-01\.db, 2026-02\.db: .*not be overwritten yet"),
    ):
        store.forget("m", is_forgotten)

    assert [each.request_id for each in store.read("m")] == ["r0"], "later months too"
    assert store.forget("m", is_forgotten) == 0
    bytes_left = b"".join(path.read_bytes() for path in (tmp_path / "m").iterdir())
    assert b"r1" not in bytes_left
    assert b"r2" not in bytes_left


def test_old_records_are_deleted(tmp_path):
    now = time.time()
    days = [datetime.fromtimestamp(now - days * 86_400, UTC) for days in (100, 31, 29, 0)]
    write(tmp_path, *(each.isoformat()[:19] for each in days))
    store = PredictionStore(tmp_path)

    delete_old(store, [("m", None)])
    assert store.count("m") == 4, "without an entry that has days, the default applies"

    delete_old(store, [("m", LogPolicy(keep_days=30)), ("m", None), ("other", LogPolicy())])

    assert [each.row for each in store.read("m")] == [2, 3]
    assert not month_files.get_path(tmp_path, "m", now - 100 * 86_400).exists()
    write(tmp_path, days[1].isoformat()[:19])
    delete_old(store, [("m", None)])
    assert store.count("m") == 2, "after the log was switched off"


def test_files_and_folders_are_private(tmp_path):
    prediction_log = PredictionLog(tmp_path / "new" / "log")
    add(prediction_log, [1])
    prediction_log.flush()
    delete_old(PredictionStore(tmp_path / "new" / "log"), [("m", LogPolicy())])

    found = [tmp_path / "new" / "log", *(tmp_path / "new" / "log").rglob("*")]
    modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in found}
    assert modes == {(True, 0o700), (False, 0o600)}


@pytest.fixture
def run(run_command):
    """A function that runs a command of the group ``log``."""
    return partial(run_command, "log", models=MODELS)


@pytest.fixture
def logged(tmp_path, make_client, read):
    """The folder of a log with three rows."""
    client = make_client()
    rows = [{"x": 1}, {"x": 2.5}]
    client.post(PATH, json=rows, headers={"X-Request-ID": "first"})
    client.post(PATH, json={"x": 3}, headers={"X-Request-ID": "second"})
    read(client)
    return tmp_path / "prediction-log"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--since", "01.11.2026"], "such as 2026-11-01 or 2026-11-01T14:30, got '01.11.2026'"),
        (["--since", "2026-11-02", "--until", "2026-11-01"], "--since must be before --until, got"),
    ],
)
def test_wrong_period_is_an_error(run, logged, tmp_path, options, message):
    file = tmp_path / "log.csv"

    result = run("export", "doubler", "-o", file, *options)

    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not file.exists()


@pytest.mark.parametrize("ending", ["csv", "ndjson", "parquet"])
def test_log_is_exported(run, logged, tmp_path, ending):
    import pandas as pd

    file = tmp_path / f"log.{ending}"

    result = run("export", "doubler", "-o", file, "--since", "2020-01-01", "--json")

    assert json.loads(result.stdout) == {"output": str(file), "rows": 3}
    if ending == "ndjson":
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert [each["row"] for each in lines] == [{"x": 1}, {"x": 2.5}, {"x": 3}]
        return
    frame = pd.read_csv(file) if ending == "csv" else pd.read_parquet(file)
    assert list(frame["row.x"]) == [1, 2.5, 3]
    assert list(frame["prediction.y"]) == [2, 5, 6]
    assert list(frame["request_id"]) == ["first", "first", "second"]


def test_version_is_exported(run_command, tmp_path):
    write(tmp_path / "prediction-log", "2026-01-01")

    rows = [
        json.loads(run_command("log", "export", label, "-o", tmp_path / "x.csv", "--json").stdout)
        for label in ("m@1", "m@2")
    ]

    assert [each["rows"] for each in rows] == [1, 0]


def test_log_is_exported_to_stdout(run, logged):
    result = run("export", "doubler", "-o", "-", "--as", "ndjson")

    assert [json.loads(line)["row"]["x"] for line in result.stdout.splitlines()] == [1, 2.5, 3]
    assert result.stderr == "Wrote 3 rows to stdout\n"


@pytest.mark.parametrize(
    ("options", "message", "left"),
    [
        (["--where", "x=2.5"], "1 row", [{"x": 1}, {"x": 3}]),
        (["--request-id", "first"], "2 rows", [{"x": 3}]),
        (["--request-id", "first", "--where", "x=3"], "0 rows", [{"x": 1}, {"x": 2.5}, {"x": 3}]),
    ],
)
def test_forget_deletes_the_matching_rows(run, logged, options, message, left):
    result = run("forget", "doubler", *options)

    assert result.output == f"Deleted {message}\n"
    assert [each.row for each in PredictionStore(logged).read("doubler")] == left


def test_forgotten_bytes_are_overwritten(make_client, read, run, tmp_path):
    client = make_client()
    for name in ("Secret-1", "Other-2"):
        client.post("/api/models/echo/predict", json={"customer": name})
    read(client, "echo")
    files = tmp_path / "prediction-log" / "echo"

    run("forget", "echo", "--where", "customer=Secret-1")

    content = b"".join(path.read_bytes() for path in files.iterdir())
    assert b"Other-2" in content
    assert b"Secret-1" not in content


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["export", "doubler", "-o", "a.txt"],
            "specify --as, or a file that ends with one of .csv",
        ),
        (["export", "doubler", "-o", "-", "--as", "csv", "--json"], "--json writes to stdout too"),
        (["reference", "doubler"], "at least 1,000 logged predictions, got 3"),
        (["forget", "doubler"], "specify --where or --request-id"),
        (["forget", "doubler", "--where", "x"], "--where must be FIELD=VALUE, got 'x'"),
        (
            ["forget", "doubler", "--where", "iban=1"],
            "'doubler' has the field 'iban'; a field under",
        ),
        (["show", "nothing"], "no predictions of 'nothing' are logged"),
    ],
)
def test_mistakes_in_commands_are_named(run, logged, words, message):
    result = run(*words)

    assert result.exit_code in {1, 2}
    assert message in result.stderr


def test_last_rows_are_shown(run, logged):
    result = run("show", "doubler", "--rows", "1")

    assert "second" in result.stdout
    assert "first" not in result.stdout

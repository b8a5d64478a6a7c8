"""Processes that run jobs, killed and restarted."""

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from app.serving.jobs.downloads import get_result
from app.serving.jobs.job_runner import LOCKS
from app.serving.jobs.jobs import JobLimits, Jobs
from app.serving.jobs.submission import create_job
from app.serving.models.manager import ModelManager
from mlmodel.bounded.child_process import ChildProcess
from servers import job_process
from tests import ROOT
from tests.running_server import serving
from tests.waiting import PATIENCE, wait_until

MODELS = "models: [{class: tests.models.simple.Doubler}]"
#: So many columns make 20 chunks of 1,000 rows.
ROWS, COLUMNS = 20_000, 250


def test_failed_start_counts_as_crash(monkeypatch, caplog):
    monkeypatch.setattr("sys.executable", "/missing/python")

    assert not job_process._run()
    assert "cannot start a process that runs jobs: " in caplog.text


def test_stop_waits_for_all_processes_at_once(monkeypatch):
    monkeypatch.setattr(job_process, "STOP_SECONDS", 1.0)
    monkeypatch.setattr(job_process, "_is_stopping", threading.Event())
    # They ignore SIGTERM, as do all processes that call connect().
    program = (
        "import signal; from mlmodel.bounded.child_process import connect\n"
        "connect().send(b''); signal.pause()"
    )
    hanging = {ChildProcess.spawn(program, environ=os.environ) for _ in range(4)}
    monkeypatch.setattr(job_process, "_processes", hanging)
    for process in hanging:
        process.receive(60)
    started = time.monotonic()

    job_process.stop()

    assert 1 <= time.monotonic() - started < 4
    assert [process.end() for process in hanging] == [True] * 4


def start_work(environ):
    command = [sys.executable, "-m", "flask", "jobs", "work", "--once"]
    return subprocess.Popen(command, env={**os.environ, **environ}, cwd=ROOT)


def wait_for(jobs, job, share, process):
    deadline = time.monotonic() + PATIENCE
    while jobs.statistics.list_progress([job])[0].share < share and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def locks(jobs):
    return (jobs.files.folder / LOCKS).iterdir()


def kill_job_process(jobs):
    """Kill the process that runs jobs."""
    [lock] = locks(jobs)
    os.kill(int(lock.name.split("-")[-2]), signal.SIGKILL)


@pytest.fixture
def make_jobs(make_app, make_environ):
    """A function from a database to its jobs, and the environment of processes that run them."""

    def make(database):
        make_app(MODELS)
        environ = make_environ(MODELS, JOBS_FREE_BYTES=0, JOBS_DATABASE=database)
        limits = JobLimits(
            max_bytes=10**9, max_depth=64, free_bytes=0, per_key=5, keep_seconds=3600
        )
        return Jobs(Path(environ["MODELHOST_JOBS_FOLDER"]), database, limits), environ

    return make


def submit(jobs):
    header = ",".join(["x", *(f"c{number}" for number in range(1, COLUMNS))])
    rows = (f"{number / ROWS}{',' * (COLUMNS - 1)}\n" for number in range(ROWS))
    content = f"{header}\n{''.join(rows)}".encode()
    return create_job(jobs, ModelManager().get("doubler"), iter([content]), "csv")


def check_result(jobs, job):
    text = b"".join(get_result(jobs, jobs.table.get(job.id), "csv")).decode()
    found = [float(row["y"]) for row in csv.DictReader(text.splitlines())]
    assert found == [2 * (number / ROWS) for number in range(ROWS)]


def test_killed_processes_lose_and_repeat_no_row(make_jobs, tmp_path, jobs_database):
    jobs, environ = make_jobs(jobs_database)
    with serving("granian", tmp_path, MODELS, WORKERS=1, **environ) as server:
        job = submit(jobs)
        wait_for(jobs, job, 0.2, server.process)
        kill_job_process(jobs)
        wait_for(jobs, job, 0.4, server.process)
        server.stop(signal.SIGKILL)
    log_folder = {"MODELHOST_PREDICTION_LOG_FOLDER": str(tmp_path / "other")}
    first = start_work(environ)
    wait_until(lambda: any(f"-{first.pid}-" in each.name for each in locks(jobs)))
    second = start_work(environ | log_folder)
    first.send_signal(signal.SIGTERM)

    assert first.wait(PATIENCE) == 0
    assert not any(f"-{first.pid}-" in name for name in jobs.queue.list_processes())
    assert second.wait(PATIENCE) == 0
    check_result(jobs, job)


def test_restart_of_postgresql_loses_and_repeats_no_row(make_jobs, postgresql):
    jobs, environ = make_jobs(postgresql.create_database())
    job = submit(jobs)
    processes = [start_work(environ) for _ in range(2)]
    for share in (0.1, 0.5):
        wait_for(jobs, job, share, processes[0])
        postgresql.stop()
        postgresql.start()

    assert [process.wait(PATIENCE) for process in processes] == [0, 0]
    check_result(jobs, job)

"""Processes that run jobs, killed and restarted."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from app.serving.jobs.jobs import JobLimits, Jobs
from app.serving.models.manager import ModelManager
from servers import job_process
from tests import ROOT

MODELS = "models: [{class: tests.models.simple.Doubler}]"
PROGRAM = """
import sys
from app.cli.groups import build_modelhost
from app.serving.jobs import chunk_rows
chunk_rows.MAX_ROWS = 200
build_modelhost()(sys.argv[1:], prog_name="modelhost")
"""


def test_failed_start_counts_as_crash(monkeypatch, caplog):
    monkeypatch.setattr("sys.executable", "/missing/python")

    assert not job_process._run()
    assert "cannot start a process that runs jobs: " in caplog.text


def start_work(environ):
    command = [sys.executable, "-c", PROGRAM, "work", "--once"]
    return subprocess.Popen(command, env={**os.environ, **environ}, cwd=ROOT)


def wait_for(jobs, job, share, process):
    deadline = time.monotonic() + 60
    while jobs.table.list_progress([job])[0].share < share and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_killed_processes_lose_and_repeat_no_row(make_app, make_environ):
    rows = 20_000
    make_app(MODELS)
    environ = make_environ(MODELS, JOBS_FREE_BYTES=0)
    limits = JobLimits(max_bytes=10**9, max_depth=64, free_bytes=0, per_key=5, keep_seconds=3600)
    jobs = Jobs(Path(environ["MODELHOST_JOBS_FOLDER"]), "", limits)
    content = "x\n" + "".join(f"{number / rows}\n" for number in range(rows))
    job = jobs.submit(ModelManager().get("doubler"), iter([content.encode()]), "csv")
    for share, number in ((0.4, signal.SIGKILL), (0.8, signal.SIGTERM)):
        process = start_work(environ)
        wait_for(jobs, job, share, process)
        process.send_signal(number)
        process.wait(30)
    assert (process.returncode, jobs.queue.workers()) == (0, [])

    first, second = start_work(environ), start_work(environ)

    assert [first.wait(60), second.wait(60)] == [0, 0]
    text = b"".join(jobs.result(jobs.table.get(job.id), "csv")).decode()
    found = [float(row["y"]) for row in csv.DictReader(text.splitlines())]
    assert found == [2 * (number / rows) for number in range(rows)]

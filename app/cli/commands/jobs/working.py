"""``work``: run jobs, in a process of its own or in that of a server."""

from __future__ import annotations

import gc
import math
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

import click
import pyarrow as pa

import config
import logs
from app.cli.hosting import Hosting, build_hosting, pass_hosting
from app.cli.terminal import command, write_message
from app.serving.catalog.model_spec import ModelSpec
from app.serving.errors import Stopped
from app.serving.jobs.job_runner import JobRunner, StopJob
from app.serving.jobs.jobs import Jobs
from app.serving.jobs.submission import get_identity
from app.serving.models.hosted import HostedModel
from app.serving.models.predictor import Predictor
from app.serving.process.memory import use_one_arena

#: Seconds without a job after which the process of a server ends.
IDLE_SECONDS = 30.0
#: Objects that are created before the garbage collector runs: the rows of a chunk have no cycles.
YOUNG_OBJECTS = 500_000
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: The lowest priority.
NICE = 19


@command("work")
@click.option("--once", is_flag=True, help="End when no job is left.")
@pass_hosting
def work(hosting: Hosting, once: bool) -> None:
    """Run the jobs of JOBS_FOLDER, in addition to the server or instead of it.

    Several of these processes may run, also on several machines with a shared folder and
    JOBS_DATABASE. Set JOBS_PROCESSES=0 to run no jobs in the servers.
    """
    _stop_at_signals()
    runner = _build_runner(hosting, _start_again)
    write_message(f"Running jobs as {runner.name}. Ctrl-C stops.")
    runner.run(0 if once else math.inf)


def work_for_server() -> None:
    """Run jobs in the process of a server, at low priority, until none is left."""
    os.nice(NICE)
    _stop_at_signals()
    hosting = build_hosting(os.environ)
    logs.configure(hosting.settings)
    _build_runner(hosting, lambda: os._exit(1)).run(IDLE_SECONDS)


class HostedModels:
    """The models of ``models.yaml``, of which one is loaded at a time."""

    def __init__(self, hosting: Hosting) -> None:
        self._hosting = hosting
        self._identity = ""
        self._model: HostedModel | None = None

    @property
    def predictor(self) -> Predictor:
        """What predicts with the loaded model."""
        return self._hosting.predictor

    def get_model(self, public_name: str, identity: str) -> HostedModel:
        """Return the model of a job.

        A model stays loaded while its file or its entry changes: the job continues with it.

        :raises StopJob: if it is not available, or has another identity.
        """
        model = self._model
        if model and self._identity == identity and model.public_name == public_name:
            return model
        # The collector must see the objects of the model that is replaced.
        self._model = model = None
        gc.unfreeze()
        try:
            model = self._hosting.load_model(public_name, _without_time_limit)
        except click.ClickException as error:
            raise StopJob(error.message) from error
        if get_identity(model) != identity:
            raise StopJob(
                f"the model {public_name!r} was replaced since the job was created: create a new "
                "job, which predicts all rows with the new model"
            )
        self._model, self._identity = model, identity
        # The collector would visit each library's objects again and again while rows are built.
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS)
        return model


def _stop_at_signals() -> None:
    """Make SIGTERM and Ctrl-C end this process, also in a call of a model.

    :class:`JobRunner` then releases its chunk.
    """

    def stop(*_: object) -> NoReturn:
        for each in STOP_SIGNALS:  # a second one must not interrupt the release
            signal.signal(each, signal.SIG_IGN)
        raise Stopped

    for each in STOP_SIGNALS:
        signal.signal(each, stop)


def _start_again() -> NoReturn:
    """Replace this process by one of the same command."""
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


def _build_runner(hosting: Hosting, restart: Callable[[], NoReturn]) -> JobRunner:
    use_one_arena()
    # Arrow's own allocator keeps 30 MB more of what is freed.
    pa.set_memory_pool(pa.system_memory_pool())
    jobs = Jobs.from_settings(hosting.settings, config.get_folder(hosting.settings, "JOBS_FOLDER"))
    hosting = replace(hosting, unpinned=hosting.settings["UNPINNED"])
    return JobRunner(jobs, HostedModels(hosting), restart)


def _without_time_limit(spec: ModelSpec) -> ModelSpec:
    # The limit of an entry is for the rows of a request.
    return replace(spec, time_limit=0)

"""gunicorn's configuration, from the settings of config.py."""

import atexit
import gc
import os
import signal
import sys
import threading

import gunicorn.arbiter
import gunicorn.glogging

import logs
from config import InvalidSetting, get_models_folder
from config import settings as read_settings
from servers import forking, job_process, terminal
from servers.granian_worker import GranianWorker

try:
    settings = read_settings(os.environ)
except InvalidSetting as error:
    sys.exit(f"Modelhost cannot start.\n{error}")
logs.configure(settings)

wsgi_app = "wsgi:app"
bind = forking.address(settings)
workers = settings["WORKERS"]
threads = settings["THREADS"]


class Worker(GranianWorker):
    """A worker with the time limit for clients."""

    client_seconds = settings["CLIENT_SECONDS"]


worker_class = Worker if settings["SERVER"] == "granian" else "gthread"


class Arbiter(gunicorn.arbiter.Arbiter):
    """gunicorn's master, which stops when a worker exits with one of these two statuses.

    Any model can exit with them, so they stop the master only if no worker can start. Otherwise
    they are -1, a status that no process can exit with.
    """

    @property
    def WORKER_BOOT_ERROR(self):  # noqa: N802
        """The exit status of a worker that failed to start."""
        return -1 if forking.can_start() else super().WORKER_BOOT_ERROR

    @property
    def APP_LOAD_ERROR(self):  # noqa: N802
        """The exit status of a worker that could not load the application."""
        return -1 if forking.can_start() else super().APP_LOAD_ERROR


class Logger(gunicorn.glogging.Logger):
    """gunicorn's logger without the access log, which the application writes."""

    def access(self, *args, **kwargs):
        """Do nothing, to save the cost of formatting a line for each request."""


logger_class = Logger
worker_tmp_dir = forking.heartbeat_folder()
# Longer than proxies keep idle connections (nginx, Amazon's and Google's load balancers: 60
# seconds): if the server closes a connection first, a request on its way is lost.
keepalive = 75
# With several workers, the master loads the models once and the workers share their memory. A
# single worker loads them itself.
preload_app = workers > 1
control_socket_disable = True
loglevel = settings["LOG_LEVEL"].lower()
# TRUSTED_PROXIES sets whose forwarding headers are trusted.
forwarded_allow_ips = ""
forking.prepare_forks(workers)
logconfig_dict = logs.as_dict(settings)
terminal.adapt(logconfig_dict, settings, forking.state_folder())

#: New containers from which the garbage collector of Python runs. A request with a thousand rows
#: creates about three thousand; with the default of 700, the collector takes 5 % of its time.
GC_OBJECTS = 5_000
#: Seconds between two heartbeats of a worker that loads its models.
HEARTBEAT_SECONDS = 5
_is_started = threading.Event()


def when_ready(server):
    """Follow the workers' reloads, start the job processes, and reload the models on SIGHUP."""
    if preload_app:
        from app.web.http.extension import modelhost

        modelhost(server.app.wsgi()).reloader.start()
    job_process.start(settings)
    # gunicorn's handler would fork new workers with the models that the master first loaded.
    server.handle_hup = forking.request_reload
    server.__class__ = Arbiter


def post_fork(server, worker):
    """Send heartbeats while a worker loads its models, or the master would kill it as hanging."""
    forking.leave_terminal()
    # Until the worker sets its own handlers, it has those of the master, which only queue signals.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # gunicorn's own either wait for the end of loading or look like an exit of the model's.
    worker.handle_exit = worker.handle_quit = forking.stop_loading
    gc.set_threshold(GC_OBJECTS)

    def send_heartbeats():
        while not _is_started.wait(HEARTBEAT_SECONDS):
            worker.notify()

    threading.Thread(target=send_heartbeats, name="heartbeat", daemon=True).start()


def post_worker_init(worker):
    """Warm up before the first request, log the server's URL, then start background threads."""
    from app.serving.compiling import background
    from app.serving.jobs import jobs
    from app.serving.prediction_log import retention
    from app.serving.prediction_log.store import PredictionStore
    from app.serving.reload.warmup import warm_up
    from app.web.http.extension import modelhost

    del worker.handle_exit, worker.handle_quit
    worker.init_signals()
    parts = modelhost(worker.wsgi)
    start = parts.reloader.start_in_worker
    warm_up(parts.manager, settings["WARM_UP_SECONDS"], lambda: worker.alive, start)
    _is_started.set()
    forking.log_ready(settings, parts.manager.models())
    is_default = settings["RUNTIME"] == "auto"
    background.start(
        parts.manager, get_models_folder(settings), settings["CACHE_FOLDER"], is_default=is_default
    )
    store = PredictionStore(parts.predictor.prediction_log.folder)
    models = parts.manager.models
    retention.start(store, lambda: [(each.name, each.spec.log) for each in models()])
    jobs.start_removal(parts.jobs)
    parts.health.start()


def worker_exit(server, worker):
    """Exit without cleanup of native libraries if a thread that loads a model still uses them."""
    from app.serving.reload import warmup

    if any(thread.name == warmup.THREAD for thread in threading.enumerate()):
        atexit._run_exitfuncs()
        os._exit(0)


def on_exit(server):
    """Stop the processes that run jobs."""
    job_process.stop()


def child_exit(server, worker):
    """Remove a worker that has exited from the metrics and from the shared state."""
    forking.remove_worker(worker.pid)

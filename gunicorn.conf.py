"""How gunicorn serves Modelhost. The settings are those of config.py."""

import atexit
import os
import signal
import sys
import threading

import gunicorn.arbiter
import gunicorn.glogging

import logs
from config import InvalidSetting
from config import settings as read_settings
from servers import forking as forked
from servers import gunicorn_worker

try:
    settings = read_settings(os.environ)
except InvalidSetting as error:
    sys.exit(f"Modelhost cannot start.\n{error}")
logs.configure(settings)

wsgi_app = "wsgi:app"
bind = forked.address(settings)
workers = settings["WORKERS"]
threads = settings["THREADS"]


class Worker(gunicorn_worker.Worker):
    """A thread for each request; connections that stay open between requests have none."""

    client_seconds = settings["CLIENT_SECONDS"]


worker_class = Worker


class Arbiter(gunicorn.arbiter.Arbiter):
    """gunicorn's master, which ends when a worker exits with one of these two statuses.

    Any model can exit with them, so they mean that only if no worker can start. No process can
    exit with -1.
    """

    @property
    def WORKER_BOOT_ERROR(self):  # noqa: N802
        """The exit status of a worker that failed to start."""
        return -1 if forked.can_start() else super().WORKER_BOOT_ERROR

    @property
    def APP_LOAD_ERROR(self):  # noqa: N802
        """The exit status of a worker that could not load the application."""
        return -1 if forked.can_start() else super().APP_LOAD_ERROR


class Logger(gunicorn.glogging.Logger):
    """gunicorn's own, but for requests: the application logs them."""

    def access(self, *args, **kwargs):
        """Do nothing: else each request would be described for a log that nobody sees."""


logger_class = Logger
worker_tmp_dir = forked.heartbeat_folder()
# Longer than a proxy keeps a connection that nobody uses (nginx, Amazon's and Google's balancers:
# 60 seconds): if the server is the first to close it, a request that is on its way is lost.
keepalive = 75
# With several workers the models are loaded once, in the master, and their memory is shared. One
# worker has nothing to share, and loads all of them itself.
preload_app = workers > 1
control_socket_disable = True
loglevel = settings["LOG_LEVEL"].lower()
logconfig_dict = logs.as_dict(settings)
# Whom to believe where a request came from, TRUSTED_PROXIES says.
forwarded_allow_ips = ""
forked.expect(workers)

#: Seconds between two signs of life of a worker that loads its models.
SIGN_OF_LIFE_SECONDS = 5
_is_started = threading.Event()


def when_ready(server):
    """Follow what the workers do, and let them do what SIGHUP asks for."""
    if preload_app:
        server.app.wsgi().extensions["generations"].start()
    # gunicorn's own would replace the workers, by others with the models that were first loaded.
    server.handle_hup = forked.hang_up
    server.__class__ = Arbiter


def post_fork(server, worker):
    """Keep a worker that loads models for long from being taken for one that hangs."""
    forked.leave_terminal()
    # Until it has handlers of its own it has the master's, which would only take note.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def live():
        while not _is_started.wait(SIGN_OF_LIFE_SECONDS):
            worker.notify()

    threading.Thread(target=live, name="signs-of-life", daemon=True).start()


def post_worker_init(worker):
    """Warm up before the first request, then say where to look."""
    from app.serving.reload.warmup import warm_up

    parts = worker.wsgi.extensions
    begin = parts["generations"].start_in_worker
    warm_up(parts["predictor"], settings["WARM_UP_SECONDS"], lambda: worker.alive, begin)
    _is_started.set()
    forked.say_ready(settings)


def worker_exit(server, worker):
    """End at once where a model is still being loaded: native code must not end before it."""
    from app.serving.reload import warmup

    if any(thread.name == warmup.THREAD for thread in threading.enumerate()):
        atexit._run_exitfuncs()
        os._exit(0)


def child_exit(server, worker):
    """Take a worker that has ended out of the counters."""
    forked.ended(worker.pid)

"""How gunicorn serves Modelhost. The settings are those of config.py."""

import os
import sys
import threading

import gunicorn_worker
import workers as forked
from config import InvalidSetting
from config import settings as read_settings

try:
    settings = read_settings(os.environ)
except InvalidSetting as error:
    sys.exit(f"Modelhost cannot start.\n{error}")

wsgi_app = "wsgi:app"
bind = forked.address(settings)
workers = settings["WORKERS"]
threads = settings["THREADS"]


class Worker(gunicorn_worker.Worker):
    """A thread for each request; connections that stay open between requests have none."""

    client_seconds = settings["CLIENT_SECONDS"]


worker_class = Worker
# Longer than a proxy keeps a connection that nobody uses (nginx, Amazon's and Google's balancers:
# 60 seconds): if the server is the first to close it, a request that is on its way is lost.
keepalive = 75
# With several workers the models are loaded once, in the master, and their memory is shared. One
# worker has nothing to share, and loads all of them itself.
preload_app = workers > 1
control_socket_disable = True
loglevel = settings["LOG_LEVEL"].lower()
forked.expect(workers)

#: Seconds between two signs of life of a worker that loads its models.
SIGN_OF_LIFE_SECONDS = 5
_is_started = threading.Event()


def post_fork(server, worker):
    """Keep a worker that loads models for long from being taken for one that hangs."""
    forked.leave_terminal()

    def live():
        while not _is_started.wait(SIGN_OF_LIFE_SECONDS):
            worker.notify()

    threading.Thread(target=live, name="signs-of-life", daemon=True).start()


def post_worker_init(worker):
    """Warm up before the first request, then say where to look."""
    from app.serving.warming import warm_up

    predictor = worker.wsgi.extensions["predictor"]
    warm_up(predictor, settings["WARM_UP_SECONDS"], lambda: worker.alive)
    _is_started.set()
    if worker.age == 1:
        forked.say_ready(settings)


def child_exit(server, worker):
    """Take a worker that has ended out of the counters."""
    forked.ended(worker.pid)

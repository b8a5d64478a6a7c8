"""How gunicorn serves Modelhost. The settings are those of config.py."""

import os
import shutil
import sys
import tempfile

# Before numpy is imported: thread pools of OpenMP and BLAS in every worker only fight each other
# for the cores.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from config import InvalidSetting
from config import settings as read_settings

try:
    settings = read_settings(os.environ)
except InvalidSetting as error:
    sys.exit(f"Modelhost cannot start.\n{error}")

wsgi_app = "wsgi:app"
bind = f"{settings['HOST']}:{settings['PORT']}"
workers = settings["WORKERS"]
threads = settings["THREADS"]
worker_class = "gthread"
# Models are loaded once, in the master, and their memory is shared by the workers. No model may
# predict there: an OpenMP pool does not survive the fork.
preload_app = True
control_socket_disable = True
loglevel = settings["LOG_LEVEL"].lower()

if workers > 1:
    # prometheus_client adds the workers' counters up through files in this folder.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="modelhost-metrics-")


def when_ready(server):
    """Say where to look."""
    server.log.info("Modelhost is ready: http://%s:%s/", settings["HOST"], settings["PORT"])


def on_exit(server):
    """Leave nothing in the temporary folder."""
    if workers > 1:
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


def child_exit(server, worker):
    """Take a worker that has ended out of the counters."""
    if workers > 1:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(worker.pid)

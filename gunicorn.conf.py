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
# The colons of an IPv6 address are not that of the port.
host = f"[{settings['HOST']}]" if ":" in settings["HOST"] else settings["HOST"]
bind = f"{host}:{settings['PORT']}"
workers = settings["WORKERS"]
threads = settings["THREADS"]
worker_class = "gthread"
# With several workers the models are loaded once, in the master, and their memory is shared. No
# model may predict there: an OpenMP pool does not survive the fork. One worker has nothing to
# share, and a model may start threads and open connections while it is loaded.
preload_app = workers > 1
control_socket_disable = True
loglevel = settings["LOG_LEVEL"].lower()

if workers > 1:
    # prometheus_client adds the workers' counters up through files in this folder.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="modelhost-metrics-")


def post_worker_init(worker):
    """Say where to look, once the models are loaded, however little is logged."""
    if worker.age == 1:
        sys.stderr.write(f"Modelhost is ready: http://{bind}/\n")


def on_exit(server):
    """Leave nothing in the temporary folder."""
    if workers > 1:
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


def child_exit(server, worker):
    """Take a worker that has ended out of the counters."""
    if workers > 1:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(worker.pid)

"""Changes process-wide state."""

import locale
import logging
import os
import signal
import socket
import sys
import threading
import warnings

from mlmodel import MLModel


class Meddling(MLModel):
    """Changes all that there is to change when it is loaded, and writes wherever it can."""

    qualified_name = "meddling"

    def load(self):
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(each, signal.SIG_IGN)
        os.chdir("/")
        os.environ["OMP_NUM_THREADS"] = "64"
        socket.setdefaulttimeout(0.000001)
        warnings.simplefilter("error")
        locale.setlocale(locale.LC_ALL, "C")
        sys.setrecursionlimit(60)
        logging.disable(logging.CRITICAL)
        threading.Thread(target=threading.Event().wait).start()

    def predict(self, row):
        sys.stdout.write('{"level": "critical", "event": "forged"}\n')
        os.write(1, b"written to 1\n")
        os.write(2, b"written to 2\n")
        return os.getcwd()

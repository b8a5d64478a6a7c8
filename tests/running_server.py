"""Real servers in separate processes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import ROOT
from tests.new_keys import NewKey
from tests.ports import find_port
from tests.waiting import PATIENCE, wait_until

#: For tests in which nothing may wait for gunicorn's time limit: it is longer than theirs.
NO_LIMIT = {"GUNICORN_CMD_ARGS": f"--graceful-timeout={2 * PATIENCE}"}
#: A key for changing models, with the settings below. Predictions need no key.
ADMIN = NewKey("admin")
WITH_ADMIN = {"MODELHOST_KEYS": f"[{ADMIN!r}]", "MODELHOST_KEYS_FOR": "admin"}


@dataclass
class Running:
    """A running server."""

    process: subprocess.Popen
    port: int
    log_file: Path

    @property
    def log(self):
        return self.log_file.read_text(encoding="utf-8")

    def ask(self, path, rows=None, headers=()):
        """Send a GET, or a POST with ``rows``; return the status and the JSON of the response."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if rows is None else json.dumps(rows).encode(),
            headers={"Content-Type": "application/json", **dict(headers)},
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, body = error.code, error.read()
        return status, json.loads(body) if body[:1] in b"[{" else body.decode()

    def change(self, path):
        """Send a POST with the admin key, see `WITH_ADMIN`; return the same as :meth:`ask`."""
        return self.ask(path, {}, ADMIN.headers)

    def send(self, content):
        """Send only these bytes, and return the whole response."""
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            connection.sendall(content)
            while more := connection.recv(65536):
                answer += more
        return answer.decode()

    def stop(self, how=signal.SIGTERM):
        """Stop the server, and return its exit status."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)


def start(server, folder, models, **environ):
    """Start a server with the models of a text, and return its process, port and log file."""
    catalog = folder / "models.yaml"
    catalog.write_text(models, encoding="utf-8")
    port = find_port()
    log = folder / "server.log"
    settings = {
        "SERVER": server,
        "PORT": port,
        "MODELHOST_MODELS_FILE": catalog,
        "MODELHOST_LOG_LEVEL": "INFO",
        # Compiling takes seconds of processor time.
        "MODELHOST_RUNTIME": "native",
    }
    inherited = {name: value for name, value in os.environ.items() if "_NUM_THREADS" not in name}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn"],
            cwd=ROOT,
            env=inherited | {name: str(value) for name, value in (settings | environ).items()},
            stdout=stream,
            stderr=stream,
            process_group=0,
        )
    return Running(process, port, log)


@contextmanager
def serving(server, folder, models, **environ):
    """Serve the models of a text during the block."""
    running = start(server, folder, models, **environ)
    try:
        wait_until(lambda: is_ready(running), PATIENCE)
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


@contextmanager
def serving_remotely(folder, models, names):
    """Serve the models of a text during the block; yield a text with a remote entry for each."""
    with serving("granian", folder, models, MODELHOST_WORKERS=1) as server:
        remote = f"http://127.0.0.1:{server.port}"
        yield json.dumps({"models": [{"remote": remote, "name": name} for name in names]})


def is_ready(running):
    assert running.process.poll() is None, running.log
    return re.search("Modelhost is ready: http://127.0.0.1:", running.log)

"""A server in a background process, for scripts and notebooks."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import cloudpickle

import mlmodel
from mlmodel.model import NAME, NAME_RULE

HOST = "127.0.0.1"
PORTS = range(1, 65536)
#: The beginning of an address from which the command fetches a file, also of MLflow.
ADDRESS = re.compile(r"\w+://|models:/|runs:/")
#: Seconds that a server has to become ready, and to stop after its running requests (gunicorn: 30).
START_SECONDS = 120
STOP_SECONDS = 60
#: The program between this process and the server. It stops the server and removes its folder
#: when stdin is closed, which the kernel does as well if this process is killed.
WATCH = """
import shutil, subprocess, sys, threading

folder, *words = sys.argv[1:]
server = subprocess.Popen([sys.executable, *words], stdin=subprocess.DEVNULL)
is_stopped = threading.Event()

def watch():
    sys.stdin.read()
    is_stopped.set()
    server.terminate()

threading.Thread(target=watch, daemon=True).start()
status = server.wait()
if is_stopped.is_set():  # otherwise the log in the folder has the reason
    shutil.rmtree(folder, ignore_errors=True)
sys.exit(status)
"""
#: What the server logs once it accepts requests, at any log level.
READY = "Modelhost is ready"
HOST_NAMES = "MODELHOST_HOST_NAMES"
#: Characters of the server's log in an error.
LOG_CHARACTERS = 2000
#: A module with the class of an ``MLModel`` that is in memory, for the entry in ``models.yaml``.
MODULE = """
import pickle
from pathlib import Path

model = pickle.loads(Path(__file__).with_name("model.pickle").read_bytes())
Model = model if isinstance(model, type) else type(
    "Model", (type(model),), {"__new__": lambda cls: model}
)
"""


class Server:
    """A server in a background process, which ends with this process at the latest.

    That holds also if this process is killed. As a context manager, it stops the server.
    """

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, url: str) -> None:
        #: The address of the pages.
        self.url = url
        self._process = process
        self._folder = folder
        atexit.register(self.stop)

    def __repr__(self) -> str:
        state = "stopped" if self._process.poll() is not None else "running"
        return f"<Server {self.url} {state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the server after its running requests."""
        atexit.unregister(self.stop)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.communicate(timeout=STOP_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)

    def wait(self) -> None:
        """Return when the model is ready.

        :raises RuntimeError: with the reason if it cannot be served.
        """
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            # Another server may listen on the port: only this one writes to this log.
            if READY in self._read_log() and self._is_ready():
                return
            time.sleep(0.05)
        raise RuntimeError(f"the server did not start:\n{self._read_log()[-LOG_CHARACTERS:]}")

    def _read_log(self) -> str:
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    def _is_ready(self) -> bool:
        """Return whether the model is ready; raise ``RuntimeError`` if it failed."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            opener.open(f"{self.url}readyz", timeout=START_SECONDS).close()
        except urllib.error.HTTPError as error:  # 503: the model is loading, or failed
            with error:
                models = json.load(error).get("models", {})
        except OSError:  # the server has just ended
            return False
        else:
            return True
        for name, model in models.items():
            if model["status"] == "failed":
                hint = "; in a script: serve(..., trust=[...])" * ("--trust" in model["reason"])
                raise RuntimeError(f"the model {name!r} cannot be served: {model['reason']}{hint}")
        return False


def serve(
    model: Any,
    name: str | None = None,
    *,
    sample: Any = None,
    port: int | None = None,
    trust: str | Sequence[str] = (),
) -> Server:
    """Serve a model on this machine in a background process, and print its address.

    :param model: a fitted estimator, an :class:`mlmodel.MLModel` (an object or a class), or the
        path of a model file.
    :param name: the name in paths; by default the model's own.
    :param sample: rows like those that an estimator was fitted on, see :func:`mlmodel.dump`.
    :param port: by default, a free one.
    :param trust: what a model file may reference besides the allow-list, see :func:`mlmodel.load`.
    :raises TypeError: if ``sample`` is given with another model than an estimator, ``trust`` with
        another one than a file, or the name is not a text.
    :raises ValueError: if the name is not valid in a path, the model is an address, or no port has
        this number.
    :raises OSError: if the port is in use.
    :raises FlmError: if an estimator cannot be packaged.
    :raises RuntimeError: if the model cannot be served.
    """
    if not isinstance(name, str | None):
        raise TypeError(f"'name' must be a text, got a {type(name).__name__}; rows are 'sample='")
    if name is not None and not NAME.fullmatch(name):
        raise ValueError(f"name {NAME_RULE}, got {name!r}")
    if port and port not in PORTS:
        raise ValueError(f"'port' must be {PORTS[0]} to {PORTS[-1]}, got {port!r}")
    if trust and not isinstance(model, str | os.PathLike):
        raise TypeError(f"'trust' is for the path of a model file, got {model!r:.80}: omit 'trust'")
    folder = Path(tempfile.mkdtemp(prefix="modelhost-serve-"))
    try:
        own = {"name": name, "trust": trust if isinstance(trust, str) else list(trust)}
        entry = _write(model, folder, sample) | {key: each for key, each in own.items() if each}
        models_file = folder / "models.yaml"
        models_file.write_text(json.dumps({"models": [entry]}), encoding="utf-8")
        port = _find_free_port(port or 0)
        options = [f"--host={HOST}", f"--port={port}", "--workers=1"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603  Python, and this package
                [sys.executable, "-c", WATCH, str(folder), "-m", "modelhost", "serve", *options],
                env={
                    "MODELHOST_TELL_MODEL_ERRORS": "true",  # no other log shows them
                    **os.environ,
                    **_list_host_names(),
                    "GUNICORN_CMD_ARGS": "",  # it may bind another address
                    "MODELHOST_MODELS_FILE": str(models_file),
                    "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)]),
                },
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a script or notebook does not reach it
            )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    server = Server(process, folder, f"http://{HOST}:{port}/")
    try:
        server.wait()
    except BaseException:
        server.stop()
        raise
    sys.stdout.write(f"Serving at {server.url}\n")
    return server


def _write(model: Any, folder: Path, sample: Any) -> dict[str, Any]:
    """Write a model to the folder unless it is a file, and return its entry for models.yaml."""
    is_class = isinstance(model, type) and issubclass(model, mlmodel.MLModel)
    is_other = is_class or isinstance(model, mlmodel.MLModel | str | os.PathLike)
    if is_other and sample is not None:
        raise TypeError(f"'sample' is for a fitted estimator, got {model!r}: omit 'sample'")
    if isinstance(model, str | os.PathLike):
        if ADDRESS.match(str(model)):
            raise ValueError(
                f"expected the path of a model file, got the address {str(model)!r}: run "
                "'modelhost serve ADDRESS' in a terminal, or download the file"
            )
        path = Path(model).absolute()
        if not path.exists():
            raise FileNotFoundError(f"the file {str(path)!r} does not exist")
        return {"file": str(path).replace("${", "$${")}
    if is_other:
        (folder / "model.pickle").write_bytes(cloudpickle.dumps(model))
        (folder / "modelhost_served.py").write_text(MODULE, encoding="utf-8")
        return {"class": "modelhost_served.Model"}
    file = folder / "model.flm"
    mlmodel.dump(model, file, sample=sample)
    return {"file": str(file), "sha256": mlmodel.inspect(file).sha256}


def _list_host_names() -> dict[str, str]:
    """Return HOST_NAMES with the server's address, if the setting excludes it."""
    names = os.environ.get(HOST_NAMES, "").split()
    return {HOST_NAMES: " ".join([*names, HOST])} if names else {}


def _find_free_port(port: int) -> int:
    """Return the port, or a free one for 0.

    :raises OSError: if it is in use.
    """
    with socket.create_server((HOST, port)) as listening:
        found: int = listening.getsockname()[1]
    return found

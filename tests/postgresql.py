"""A PostgreSQL server for tests, in a folder of its own."""

import getpass
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import pytest

from tests.ports import find_port

#: The user that Debian creates. PostgreSQL does not run as root.
USER = "postgres"
_numbers = count()


class Server:
    """A running server."""

    def __init__(self, programs, folder):
        self._programs, self._folder = programs, folder
        self._data, self._port = folder / "data", find_port()

    def create_database(self):
        """Create a database, and return its URL."""
        name = f"jobs_{next(_numbers)}"
        host = ("--host=127.0.0.1", f"--port={self._port}", "--username=jobs")
        self._run("createdb", *host, name)
        return f"postgresql+psycopg://jobs@127.0.0.1:{self._port}/{name}"

    def start(self):
        options = f"-h 127.0.0.1 -p {self._port} -k {self._folder} -F"
        log = self._folder / "log"
        self._run("pg_ctl", "start", "-w", "-D", self._data, "-l", log, "-o", options)

    def stop(self):
        """End the server and its connections as in a crash."""
        self._run("pg_ctl", "stop", "-w", "-D", self._data, "-m", "immediate")

    def create(self):
        self._run("initdb", "--auth=trust", "--username=jobs", "--no-sync", self._data)

    def _run(self, name, *arguments):
        as_user = ["runuser", "-u", USER, "--"] if os.getuid() == 0 else []
        command = [*as_user, self._programs / name, *arguments]
        log = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        subprocess.run(command, cwd=self._folder, check=True, **log)


@contextmanager
def serving_postgresql():
    """Yield a server; skip without PostgreSQL."""
    programs = _find_programs()
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    if os.getuid() == 0:
        shutil.chown(folder, USER)
    server = Server(programs, folder)
    server.create()
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _find_programs():
    found = shutil.which("initdb") or max(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=""
    )
    if not found or not find_spec("psycopg"):
        pytest.skip("PostgreSQL or psycopg is not installed: make postgresql")
    if os.getuid() == 0 and not shutil.which("runuser"):
        pytest.skip(f"PostgreSQL does not run as {getpass.getuser()}")
    return Path(found).resolve().parent

"""A PostgreSQL server for tests, in a folder of its own."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import pytest

#: The user that Debian creates. PostgreSQL does not run as root.
USER = "postgres"
_numbers = count()


@contextmanager
def serving_postgresql():
    """Yield a function that creates a database and returns its URL; skip without a server."""
    programs = _find_programs()
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    if os.getuid() == 0:
        shutil.chown(folder, USER)
    data, port = folder / "data", _find_port()

    def run(name, *arguments):
        as_user = ["runuser", "-u", USER, "--"] if os.getuid() == 0 else []
        command = [*as_user, programs / name, *arguments]
        log = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
        subprocess.run(command, cwd=folder, check=True, **log)

    def create_database():
        name = f"jobs_{next(_numbers)}"
        run("createdb", "--host=127.0.0.1", f"--port={port}", "--username=jobs", name)
        return f"postgresql+psycopg://jobs@127.0.0.1:{port}/{name}"

    run("initdb", "--auth=trust", "--username=jobs", "--no-sync", data)
    options = f"-h 127.0.0.1 -p {port} -k {folder} -F"
    run("pg_ctl", "start", "-w", "-D", data, "-l", folder / "log", "-o", options)
    try:
        yield create_database
    finally:
        run("pg_ctl", "stop", "-w", "-D", data, "-m", "immediate")
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


def _find_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]

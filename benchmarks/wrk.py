"""Load by ``wrk``: pre-built requests, sent one after the other from every connection."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("rotate.lua")
#: What the script writes at the end: ``measured: requests=5 ...``.
LINE = re.compile(r"^measured: (.+)$", re.MULTILINE)
#: Kinds of errors that the script counts.
ERRORS = ("connect", "read", "write", "status", "timeout")
#: Seconds that wrk may take beyond those it was given.
GRACE = 20


class WrkFailed(Exception):
    """``wrk`` is missing, did not end well, or saw errors; the message says which."""


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def require() -> None:
    """Raise :class:`WrkFailed` if there is no ``wrk``."""
    if not shutil.which("wrk"):
        raise WrkFailed("wrk is not installed; on Debian: apt-get install wrk")


def run(url: str, bodies: Sequence[bytes], folder: Path, connections: int, seconds: float) -> Load:
    """Post the bodies in turn over so many connections for so long.

    :param bodies: JSON without a line break.
    :param folder: where the bodies are written for wrk to read.
    :raises WrkFailed: if an answer is not 2xx or 3xx, or a connection fails.
    """
    requests = folder / "bodies.txt"
    requests.write_bytes(b"\n".join(bodies) + b"\n")
    command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds:.0f}s"]
    command += ["--timeout=10s", f"--script={SCRIPT}", url, "--", str(requests)]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + GRACE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise WrkFailed(f"wrk did not end within {seconds + GRACE:.0f} seconds") from error
    if ended.returncode:
        raise WrkFailed(
            f"wrk ended with {ended.returncode}: {(ended.stderr or ended.stdout)[-500:]}"
        )
    return parse(ended.stdout)


def parse(output: str) -> Load:
    """Return what the script told.

    :raises WrkFailed: if it told nothing, of errors, or of no request at all.
    """
    line = LINE.search(output)
    if not line:
        raise WrkFailed(f"wrk told nothing that was measured: {output[-500:]!r}")
    told = {key: float(value) for key, value in (pair.split("=") for pair in line[1].split())}
    errors = {kind: int(told[kind]) for kind in ERRORS if told[kind]}
    if errors:
        listed = ", ".join(f"{count} {kind}" for kind, count in errors.items())
        raise WrkFailed(f"errors under load, of {int(told['requests'])} requests: {listed}")
    if not told["requests"]:
        raise WrkFailed("no request was answered under load")
    return Load(
        requests=int(told["requests"]),
        seconds=told["microseconds"] / 1e6,
        p50_ms=told["p50"] / 1e3,
        p99_ms=told["p99"] / 1e3,
    )

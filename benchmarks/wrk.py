"""Puts a server under load with ``wrk``: each connection sends prepared requests in turn."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("rotate.lua")
#: The last line that the script prints: ``measured: requests=5 ...``.
LINE = re.compile(r"^measured: (.+)$", re.MULTILINE)
#: Kinds of errors that the script counts.
ERRORS = ("connect", "read", "write", "status", "timeout")
#: Seconds that wrk may run longer than requested.
GRACE = 20


class WrkFailed(Exception):
    """``wrk`` is missing, failed, or counted errors. The message has the reason."""


@dataclass(frozen=True)
class Load:
    """The result of one run of wrk."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def require() -> None:
    """Raise :class:`WrkFailed` if ``wrk`` is not installed."""
    if not shutil.which("wrk"):
        raise WrkFailed("wrk is not installed; on Debian: apt-get install wrk")


def run(
    url: str,
    bodies: Sequence[bytes],
    folder: Path,
    *,
    connections: int,
    seconds: float,
    headers: Mapping[str, str],
) -> Load:
    """Post the bodies in turn.

    :param bodies: JSON without line breaks.
    :param folder: for the file with the bodies, which wrk reads.
    :param headers: of each request, in addition to those of HTTP and the body.
    :raises WrkFailed: if a response is not 2xx or 3xx, or a connection fails.
    """
    requests = folder / "bodies.txt"
    requests.write_bytes(b"\n".join(bodies) + b"\n")
    command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds:.0f}s"]
    command += [f"--header={name}: {value}" for name, value in headers.items()]
    command += ["--timeout=10s", f"--script={SCRIPT}", url, "--", str(requests)]
    try:
        process = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + GRACE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise WrkFailed(f"wrk did not exit within {seconds + GRACE:.0f} seconds") from error
    if process.returncode:
        raise WrkFailed(
            f"wrk exited with {process.returncode}: {(process.stderr or process.stdout)[-500:]}"
        )
    return parse(process.stdout)


def parse(output: str) -> Load:
    """Parse the output of the script.

    :raises WrkFailed: if it has no result, errors, or no requests.
    """
    line = LINE.search(output)
    if not line:
        raise WrkFailed(f"the output of wrk has no result: {output[-500:]!r}")
    values = {key: float(value) for key, value in (pair.split("=") for pair in line[1].split())}
    errors = {kind: int(values[kind]) for kind in ERRORS if values[kind]}
    if errors:
        counts = ", ".join(f"{count} {kind}" for kind, count in errors.items())
        raise WrkFailed(f"errors under load, in {int(values['requests'])} requests: {counts}")
    if not values["requests"]:
        raise WrkFailed("no request succeeded under load")
    return Load(
        requests=int(values["requests"]),
        seconds=values["microseconds"] / 1e6,
        p50_ms=values["p50"] / 1e3,
        p99_ms=values["p99"] / 1e3,
    )

"""Times of requests beside a job: ``python -m benchmarks.beside_jobs [ADDRESS]``.

The server at the address has the example models. It predicts single loans, in turn while a job
predicts flowers, and while the job is cancelled.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from benchmarks.jobs import build_table
from examples.loans import applications

ROWS = 1_000_000
ROUNDS, SECONDS = 6, 5.0
#: Seconds between two requests, and after a change of the job.
PAUSE, SETTLE_SECONDS = 0.004, 1.5


def main(address: str) -> None:
    """Measure, and print the percentiles of both and their ratios."""
    client = _Client(address)
    body = build_table("iris", ROWS).to_csv(index=False).encode()
    job = client.call("POST", "/api/models/iris/jobs", body, "text/csv")["links"]["self"]
    beside: list[float] = []
    alone: list[float] = []
    for _ in range(ROUNDS):
        time.sleep(SETTLE_SECONDS)
        beside += client.measure()
        if client.call("GET", job)["state"] != "running":
            sys.exit("the job does not run, or is done: use more rows")
        client.call("POST", f"{job}/cancel")
        time.sleep(SETTLE_SECONDS)
        alone += client.measure()
        client.call("POST", f"{job}/resume")
    client.call("POST", f"{job}/cancel")
    for percent in (50, 95, 99):
        one, other = (float(np.percentile(each, percent)) * 1000 for each in (alone, beside))
        text = f"{one:.2f} ms, {other:.2f} ms beside the job, {other / one:.2f} times"
        sys.stdout.write(f"p{percent}: {text}\n")


class _Client:
    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc)
        self._loan = applications(1).drop(columns="outcome").iloc[0].to_json().encode()

    def call(self, method: str, path: str, body: bytes = b"", kind: str = "") -> Any:
        self._connection.request(method, path, body, {"Content-Type": kind} if kind else {})
        response = self._connection.getresponse()
        content = response.read()
        if response.status >= 300:
            sys.exit(f"{method} {path}: {response.status} {content.decode()}")
        return json.loads(content)

    def measure(self) -> list[float]:
        """Return the seconds of each request."""
        found = []
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            start = time.perf_counter()
            self.call("POST", "/api/models/loan/predict", self._loan, "application/json")
            found.append(time.perf_counter() - start)
            time.sleep(PAUSE)
        return found


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8000")

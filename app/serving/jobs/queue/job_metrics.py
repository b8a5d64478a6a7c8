"""The jobs of all processes and machines as metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from app.serving.errors import JobsUnavailable
from app.serving.jobs.job import JobState
from app.serving.jobs.jobs import Jobs


class JobMetrics:
    """Exports the jobs and their rows for Prometheus, once there has been a job."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; none while the database is not available."""
        try:
            counts = self._jobs.counts.read()
        except JobsUnavailable:
            return
        if counts is None:
            return
        numbers: Counter[tuple[str, str]] = Counter()
        for each in counts.jobs:
            numbers[each.label, each.state] += each.jobs
        states = GaugeMetricFamily(
            "modelhost_jobs", "Jobs that are kept, by their state.", labels=["model", "state"]
        )
        for model in sorted({each.label for each in counts.jobs} | counts.rows.keys()):
            for state in JobState:
                states.add_metric([model, state], numbers[model, state])
        yield states
        done = CounterMetricFamily(
            "modelhost_job_rows",
            "Rows of jobs that were predicted, or rejected as invalid.",
            labels=["model", "outcome"],
        )
        for model, (valid, invalid) in sorted(counts.rows.items()):
            done.add_metric([model, "valid"], valid)
            done.add_metric([model, "invalid"], invalid)
        yield done

"""The jobs of all processes and machines as metrics."""

from __future__ import annotations

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
        if not self._jobs.is_used:
            return
        try:
            counts, rows = self._jobs.table.count_jobs(), self._jobs.table.count_rows()
        except JobsUnavailable:
            return
        numbers = {(each.model, each.state): each.jobs for each in counts}
        states = GaugeMetricFamily(
            "modelhost_jobs", "Jobs that are kept, by their state.", labels=["model", "state"]
        )
        for model in sorted({each.model for each in counts} | rows.keys()):
            for state in JobState:
                states.add_metric([model, state], numbers.get((model, state), 0))
        yield states
        done = CounterMetricFamily(
            "modelhost_job_rows",
            "Rows of jobs that were predicted, or rejected as invalid.",
            labels=["model", "outcome"],
        )
        for model, (valid, invalid) in sorted(rows.items()):
            done.add_metric([model, "valid"], valid)
            done.add_metric([model, "invalid"], invalid)
        yield done

"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.results import Results, groups, lines, median_of

#: Maximum characters of a failure's reason in the table. The log has the whole reason.
REASON = 200


def markdown(results: Results, baseline: str, is_ours: Callable[[str], bool]) -> str:
    """Return tables of all results, with the failures at the end."""
    parts = [
        *_about(results),
        *_loads(results, baseline, is_ours),
        *_starts(results),
        *_memory(results, baseline),
        *_failures(results),
    ]
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    ruled = ["-" * width for width in widths]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in (header, ruled, *rows)
    )


def _about(results: Results) -> list[str]:
    return ["\n".join(f"{key}: {value}  " for key, value in results.about.items())]


def _loads(results: Results, baseline: str, is_ours: Callable[[str], bool]) -> list[str]:
    parts = []
    for (model, body, connections), runs in groups(
        results.loaded, "model", "body", "connections"
    ).items():
        parts.append(f"### {model}: {body} per request, {connections} connections")
        rows = [
            [
                line.server,
                f"{line.per_second:,.0f}",
                f"{line.p50_ms:,.2f}",
                f"{line.p99_ms:,.2f}",
                f"{line.cpu_microseconds:,.0f}",
                f"{line.pss_mb:,.0f}",
                _times(line.faster_than_baseline),
                _times(line.cheaper_than_baseline),
                _times(line.cheaper_than_best),
            ]
            for line in sorted(
                lines(runs, baseline, is_ours), key=lambda line: -line.cpu_microseconds
            )
        ]
        parts.append(
            table(
                [
                    "server",
                    "requests/s",
                    "p50 ms",
                    "p99 ms",
                    "CPU µs/request",
                    "PSS MB",
                    f"requests/s vs {baseline}",
                    f"CPU of {baseline} / its CPU",
                    "CPU of best peer / its CPU",
                ],
                rows,
            )
        )
    return parts


def _starts(results: Results) -> list[str]:
    if not results.started:
        return []
    rows = [
        [
            model,
            server,
            f"{median_of(runs, 'seconds'):.2f}",
            f"{median_of(runs, 'cpu_seconds'):.2f}",
        ]
        for (model, server), runs in groups(
            sorted(results.started, key=lambda run: run.model), "model", "server"
        ).items()
    ]
    return [
        "### From the start to the first correct prediction",
        table(["model", "server", "seconds", "CPU seconds"], rows),
    ]


def _memory(results: Results, baseline: str) -> list[str]:
    if not results.filled:
        return []
    plain = {run.workers: run.pss_mb for run in results.filled if run.server == baseline}
    rows = [
        [
            run.server,
            str(run.workers),
            f"{run.pss_mb:,.0f}",
            f"{run.pss_mb / plain[run.workers]:.0%}" if run.workers in plain else "",
        ]
        for run in results.filled
    ]
    return [
        f"### Memory with {results.filled[0].models} models of 20 MB",
        table(["server", "workers", "PSS MB", f"of {baseline}"], rows),
    ]


def _failures(results: Results) -> list[str]:
    if not results.failed:
        return []
    rows = [[run.server, run.model, _brief(run.reason)] for run in results.failed]
    return ["### FAILED", table(["server", "model", "reason"], rows)]


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f} x"


def _brief(reason: str) -> str:
    return reason.splitlines()[0].replace("|", "\\|")[:REASON]

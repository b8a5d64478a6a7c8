"""``truth``: store the actual outcomes of predictions, and show how good the predictions were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from app.cli.hosting import Hosting, pass_hosting
from app.cli.terminal import (
    as_json_option,
    command,
    count_of,
    write_json,
    write_message,
    write_table,
)
from app.serving.errors import PredictionNotLogged
from app.serving.models.hosted import HostedModel
from app.serving.monitoring.truth_metrics import Period, read_metrics
from app.serving.prediction_log.store import PredictionStore
from app.serving.prediction_log.truth_files import read_truths
from app.serving.prediction_log.truths import Truth, store_truths
from mlmodel.errors import InvalidInput
from mlmodel.schema.texts.numerals import COMMA, POINT


@command("truth")
@click.argument("model")
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--decimal",
    type=click.Choice([POINT, COMMA]),
    help="The decimal mark of a CSV file, if its numbers are ambiguous.",
)
@as_json_option
@pass_hosting
def truth(
    hosting: Hosting, model: str, file: Path | None, decimal: str | None, as_json: bool
) -> None:
    """Store the truths of FILE for predictions of MODEL; without FILE, show metrics.

    FILE is a CSV file or a workbook with the columns request_id, row and truth. For a job or a
    file, the column line of the result may replace row.
    """
    hosted = hosting.host_model(model)
    if file is not None:
        _store(hosting, hosted, file, decimal or "", as_json)
        return
    store = PredictionStore(hosting.predictor.prediction_log.folder)
    total, weeks = read_metrics(store, hosted.name, hosted.unique_name, hosted.output_schema)
    brought = hosted.about.metadata.get("metrics") or {}
    if as_json:
        write_json(
            {
                "file": brought,
                "total": _to_json(total),
                "weeks": [_to_json(each) for each in weeks],
            }
        )
        return
    if not total.rows:
        write_message(f"No truths are stored for {model!r}.")
    write_table(_to_rows(total, weeks, brought))


def _store(hosting: Hosting, hosted: HostedModel, file: Path, decimal: str, as_json: bool) -> None:
    """Store the truths of a file in parts of MAX_ROWS, which memory limits."""
    not_logged: PredictionNotLogged | None = None
    stored = start = 0
    try:
        with file.open("rb") as stream:
            truths = read_truths(stream, None, hosted.output_schema, decimal=decimal)
        for start in range(0, len(truths), hosting.limits.rows):
            if start:
                write_message(f"Read {count_of(start, 'truth')} ...")
            try:
                stored += _store_part(hosting, hosted, truths[start : start + hosting.limits.rows])
            except PredictionNotLogged as error:
                not_logged = error
    except InvalidInput as error:
        for each in error.violations:
            write_message(f"{file.name}: {each.pointer[1:]} {each.detail}".replace(":  ", ": "))
        done = f"only the first {start:,} of {len(truths):,} truths are" if start else "nothing is"
        raise click.ClickException(f"{file.name}: {done} stored") from error
    if not_logged and not stored:
        raise not_logged
    left = len(truths) - stored
    write_message(f"Stored {count_of(stored, 'truth')}; predictions that are not logged: {left:,}")
    if as_json:
        write_json({"stored": stored, "not_logged": left})


def _store_part(hosting: Hosting, hosted: HostedModel, truths: Sequence[Truth]) -> int:
    return store_truths(
        hosting.predictor.prediction_log,
        hosted.name,
        hosted.spec.log,
        truths,
        hosted.output_schema,
        unique_name=hosted.unique_name,
        who=None,
        are_texts=True,
        may_replace=True,
    )


def _to_json(period: Period) -> dict[str, Any]:
    return {**asdict(period), "start": period.start and period.start.isoformat()}


def _to_rows(
    total: Period, weeks: Sequence[Period], brought: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return a line for each week, one for all of them, and one for the metrics of the file."""
    lines = [{"week": str(each.start), "rows": each.rows, **each.metrics} for each in weeks]
    if total.rows:
        lines.append({"week": "all", "rows": total.rows, **total.metrics})
    names = set(total.metrics) | {"rows"}
    known = {name: value for name, value in brought.items() if name in names}
    return [*lines, {"week": "file", **known}] if known else lines

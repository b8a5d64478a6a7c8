"""``predict``: predict the rows of a file with a model of models.yaml."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import click

from app.cli.hosting import Hosting, pass_hosting
from app.cli.terminal import (
    as_json_option,
    command,
    count_of,
    format_error,
    write_facts,
    write_json,
    write_message,
    write_table,
)
from app.serving.calls.caller import CALLER, CLI, Caller, create_request_id
from app.serving.errors import ServingError, UnreadableFile
from app.serving.explaining.explanation import explain, list_reasons
from app.serving.models.hosted import HostedModel
from app.serving.models.state import Status
from app.serving.tables import tables
from app.serving.tables.csv_file import CsvFile
from app.serving.tables.tables import Table, TableRow
from mlmodel.errors import InvalidInput
from mlmodel.numerals import COMMA, POINT

STDIN = Path("-")


class _InvalidRows(Exception):
    """Rows violate the model's input schema; carries the violations by line and field."""

    def __init__(self, chunk: Sequence[TableRow], error: InvalidInput) -> None:
        super().__init__(str(error))
        self.violations: list[dict[str, Any]] = [
            {
                "row": chunk[each.row].index,
                "line": chunk[each.row].line,
                "pointer": each.pointer,
                "detail": each.detail,
            }
            for each in error.violations
        ]


@command("predict")
@click.argument("name")
@click.option(
    "--input",
    "source",
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="The rows: a .json, .ndjson, .csv, .tsv or .xlsx file; - for stdin.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A .json, .ndjson or .csv file for the predictions, instead of stdout.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(sorted(set(tables.FORMATS.values()))),
    help="The format of the input. By default, that of the file's ending, or json for stdin.",
)
@click.option(
    "--decimal",
    type=click.Choice([POINT, COMMA]),
    help="The decimal mark of a CSV file, if its numbers are ambiguous.",
)
@click.option(
    "--explain",
    "is_explained",
    is_flag=True,
    help="Add the three largest effects on each prediction, in why_1, why_2 and why_3.",
)
@as_json_option
@pass_hosting
def predict(  # noqa: PLR0917  click calls it, by name
    hosting: Hosting,
    name: str,
    source: Path,
    output: Path | None,
    form: str | None,
    decimal: str | None,
    is_explained: bool,
    as_json: bool,
) -> None:
    """Predict the rows of a file with the model NAME.

    The rows are validated like those of a request. Violations are reported by line and field, and
    then no prediction is written.
    """
    output_form = _get_format(output, "--output", tables.WRITTEN) if output else ""
    form = form or ("json" if source == STDIN else _get_format(source, "--input", tables.FORMATS))
    title = "stdin" if source == STDIN else source.name
    model = _load(hosting, name)
    with _open(source) as stream:
        try:
            table = tables.read(stream, form, model.input_schema or True, decimal or "")
            predictions = list(_predict(hosting, model, table, is_explained))
        except UnicodeDecodeError as error:
            raise click.ClickException(f"{title} is not UTF-8: {error.reason}") from error
        except (InvalidInput, UnreadableFile) as error:
            raise click.ClickException(f"{title}: {error}") from error
        except _InvalidRows as error:
            _write_violations(title, error.violations, table.is_single)
            _write_sheet(title, table.sheet)
            if as_json:
                write_json({"errors": error.violations})
            raise click.ClickException(
                f"{title} has invalid rows; no prediction is written"
            ) from error
    _write_sheet(title, table.sheet)
    if not predictions:
        write_message(f"{title} has no rows")
    if output:
        _save(predictions, output, output_form, as_json)
        return
    _write(predictions, table.is_single, as_json)


def _get_format(path: Path, option: str, forms: Mapping[str, str]) -> str:
    form = forms.get(path.suffix.lower())
    if form is None:
        endings = ", ".join(forms)
        raise click.UsageError(f"{option} must end with one of {endings}, got {path.name!r}")
    return form


def _load(hosting: Hosting, name: str) -> HostedModel:
    write_message(f"Loading {name} ...")
    model = hosting.host_model(name)
    if model.status is not Status.READY:
        raise click.ClickException(f"the model {name!r} is {model.status}: {model.reason}")
    return model


def _open(source: Path) -> AbstractContextManager[BinaryIO]:
    # Reading a table needs a seekable stream, which a pipe is not.
    return (
        nullcontext(io.BytesIO(sys.stdin.buffer.read())) if source == STDIN else source.open("rb")
    )


def _predict(
    hosting: Hosting, model: HostedModel, table: Table, is_explained: bool
) -> Iterator[Any]:
    """Yield the predictions, made in chunks of the maximum rows of a request."""
    size = hosting.limits.rows
    request_id = create_request_id()
    if model.spec.log is not None:
        write_message(f"The predictions are logged with the request id {request_id}")
    while chunk := list(islice(table.rows, size)):
        CALLER.set(Caller(request_id, None, CLI, chunk[0].index))
        try:
            predictions = hosting.predictor.predict(model.reference, [each.row for each in chunk])
            yield from _explain(hosting, model, chunk, predictions) if is_explained else predictions
        except InvalidInput as error:
            raise _InvalidRows(chunk, error) from error
        except ServingError as error:
            raise click.ClickException(format_error(error)) from error
        hosting.predictor.prediction_log.flush()  # before the queue is full
        if len(chunk) == size:
            write_message(f"Predicted {chunk[-1].index + 1:,} rows ...")


def _explain(
    hosting: Hosting, model: HostedModel, chunk: Sequence[TableRow], predictions: Sequence[Any]
) -> Iterator[dict[str, Any]]:
    """Yield the predictions with the reasons for each."""
    for each, prediction in zip(chunk, predictions, strict=True):
        members = prediction if isinstance(prediction, Mapping) else {"answer": prediction}
        yield {
            **members,
            **list_reasons(explain(hosting.predictor, model.reference, each.row)),
        }


def _write_violations(
    source: str, violations: Sequence[Mapping[str, Any]], is_single: bool
) -> None:
    """Write the violations to stderr, each once for all rows that have it."""
    places: dict[str, list[str]] = {}
    for each in violations:
        text = f"{each['pointer'][1:] or 'the whole value'} {each['detail']}"
        place = f"line {each['line']}" if each["line"] else f"row {each['row'] + 1}"
        places.setdefault(text, []).append(place)
    for text, rows in places.items():
        more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
        write_message(f"{source}: {text}" if is_single else f"{source}, {rows[0]}{more}: {text}")
    if not is_single:
        write_message("To predict the valid rows and list the others, use: modelhost jobs submit")


def _write_sheet(source: str, sheet: CsvFile | None) -> None:
    """Write to stderr how a CSV file or a workbook was read, where that is not obvious."""
    if sheet is None:
        return
    if sheet.dialect and sheet.dialect.encoding != "utf-8":
        write_message(f"{source}: read as {sheet.dialect.encoding}")
    if sheet.decimal == COMMA:
        write_message(f"{source}: decimal mark is a comma")
    if not sheet.decimal:
        write_message(f"{source}: the decimal mark is ambiguous; specify it with --decimal")
    absent = [name for name, is_required in sheet.columns.missing.items() if not is_required]
    if sheet.columns.unknown:
        write_message(
            f"{source}: columns not used by the model: {', '.join(sheet.columns.unknown)}"
        )
    if absent:
        write_message(f"{source}: fields without a column: {', '.join(absent)}")


def _save(predictions: Sequence[Any], output: Path, form: str, as_json: bool) -> None:
    with output.open("w", encoding="utf-8", newline="") as stream:
        tables.write(predictions, stream, form)
    write_message(f"Wrote {count_of(len(predictions), 'prediction')} to {output}")
    if as_json:
        write_json({"output": str(output), "answers": len(predictions)})


def _write(predictions: Sequence[Any], is_single: bool, as_json: bool) -> None:
    if as_json:
        write_json(predictions[0] if is_single else predictions)
        return
    if is_single:
        write_facts(tables.flatten(predictions[0]).items())
        return
    write_table(
        {"row": number, **tables.flatten(prediction)}
        for number, prediction in enumerate(predictions, start=1)
    )

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
from flask import current_app
from flask.cli import with_appcontext

from app.cli.hosting import hosting
from app.cli.terminal import (
    as_json_option,
    printable,
    say,
    told,
    write_facts,
    write_json,
    write_table,
)
from app.serving.errors import ServingError, UnreadableFile
from app.serving.models.hosted import HostedModel, Status
from app.serving.tables import tables
from app.serving.tables.tables import Placed, Table
from mlmodel.errors import InvalidInput
from mlmodel.numerals import COMMA, POINT

STDIN = Path("-")


class Refused(click.ClickException):
    """Rows violate the model's input schema; carries the violations by line and field."""

    def __init__(self, source: str, chunk: Sequence[Placed], error: InvalidInput) -> None:
        super().__init__(f"{source} was refused, and no answer is written")
        self.violations: list[dict[str, Any]] = [
            {
                "row": chunk[each.row].index,
                "line": chunk[each.row].line,
                "pointer": each.pointer,
                "detail": each.detail,
            }
            for each in error.violations
        ]

    def tell(self, source: str, is_single: bool) -> None:
        """Write the violations to stderr, each once for all rows that have it."""
        places: dict[str, list[str]] = {}
        for each in self.violations:
            what = f"{each['pointer'][1:] or 'the whole'} {each['detail']}"
            place = f"line {each['line']}" if each["line"] else f"row {each['row'] + 1}"
            places.setdefault(what, []).append(place)
        for what, where in places.items():
            more = f" and {len(where) - 1} more" if len(where) > 1 else ""
            say(f"{source}: {what}" if is_single else f"{source}, {where[0]}{more}: {what}")


@click.command("predict")
@click.argument("name")
@click.option(
    "--input",
    "source",
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Rows: .json (an object, or a list of them), .ndjson, .csv or .xlsx; - for stdin.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A .json, .ndjson or .csv file for the answers, instead of stdout.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(sorted(set(tables.FORMATS.values()))),
    help="Of the input, whatever its name; json for stdin.",
)
@click.option(
    "--decimal",
    type=click.Choice([POINT, COMMA]),
    help="The decimal mark of a CSV file, where its numbers do not show it.",
)
@as_json_option
@with_appcontext
def predict(  # noqa: PLR0917  click calls it, by name
    name: str,
    source: Path,
    output: Path | None,
    form: str | None,
    decimal: str | None,
    as_json: bool,
) -> None:
    """Ask the model NAME the rows of a file.

    They are checked and answered as those of a request are. What is wrong with them is told by
    line and field, and no answer is written.
    """
    output_form = _form(output, "--output", tables.WRITTEN) if output else ""
    form = form or ("json" if source == STDIN else _form(source, "--input", tables.FORMATS))
    model = _ready(name)
    with _opened(source) as stream:
        try:
            table = tables.read(stream, form, model.input_schema or True, decimal or "")
            answers = list(_answers(model, table, source))
        except UnicodeDecodeError as error:
            raise click.ClickException(f"{_title(source)} is not UTF-8: {error.reason}") from error
        except (InvalidInput, UnreadableFile) as error:
            raise click.ClickException(printable(f"{_title(source)}: {error}")) from error
        except Refused as error:
            error.tell(_title(source), table.is_single)
            _tell_columns(_title(source), table)
            if as_json:
                write_json({"errors": error.violations})
            raise
    _tell_columns(_title(source), table)
    if not answers:
        say(f"{_title(source)} has no rows")
    if output:
        _save(answers, output, output_form, as_json)
        return
    _write(answers, table.is_single, as_json)


COMMANDS = (predict,)


def _form(path: Path, option: str, forms: Mapping[str, str]) -> str:
    form = forms.get(path.suffix.lower())
    if form is None:
        endings = ", ".join(forms)
        raise click.UsageError(f"{option} must end with one of {endings}, got {path.name!r}")
    return form


def _tell_columns(source: str, table: Table) -> None:
    """Write to stderr how a CSV file or a workbook was read, where that is not obvious."""
    sheet = table.sheet
    if sheet is None:
        return
    if sheet.encoding not in {"", "utf-8"}:
        say(f"{source}: read as {sheet.encoding}")
    if sheet.decimal == COMMA:
        say(f"{source}: decimals are written with a comma")
    if not sheet.decimal:
        say(f"{source}: its numbers do not show the decimal mark; name it with --decimal")
    absent = [name for name, is_required in sheet.missing.items() if not is_required]
    if sheet.unknown:
        say(printable(f"{source}: not used by the model: {', '.join(sheet.unknown)}"))
    if absent:
        say(printable(f"{source}: has no column for: {', '.join(absent)}"))


def _title(source: Path) -> str:
    return "stdin" if source == STDIN else source.name


def _ready(name: str) -> HostedModel:
    say(f"Loading {name} ...")
    model = hosting().named(name)
    if model.status is not Status.READY:
        raise click.ClickException(f"the model {name!r} is {model.status}: {model.reason}")
    return model


def _opened(source: Path) -> AbstractContextManager[BinaryIO]:
    # Reading a table needs a seekable stream, which a pipe is not.
    return (
        nullcontext(io.BytesIO(sys.stdin.buffer.read())) if source == STDIN else source.open("rb")
    )


def _answers(model: HostedModel, table: Table, source: Path) -> Iterator[Any]:
    """Yield the predictions, made in chunks of the maximum rows of a request."""
    size = hosting().limits.rows
    while chunk := list(islice(table.rows, size)):
        yield from _asked(model, chunk, source)
        if len(chunk) == size:
            say(f"Answered {chunk[-1].index + 1:,} rows ...")


def _asked(model: HostedModel, chunk: Sequence[Placed], source: Path) -> list[Any]:
    predictor = current_app.extensions["predictor"]
    try:
        answers: list[Any] = predictor.predict(model.reference, [each.row for each in chunk])
    except InvalidInput as error:
        raise Refused(_title(source), chunk, error) from error
    except ServingError as error:
        raise click.ClickException(told(error)) from error
    return answers


def _save(answers: Sequence[Any], output: Path, form: str, as_json: bool) -> None:
    with output.open("w", encoding="utf-8", newline="") as stream:
        tables.write(answers, stream, form)
    say(f"Wrote {len(answers):,} answers to {output}")
    if as_json:
        write_json({"output": str(output), "answers": len(answers)})


def _write(answers: Sequence[Any], is_single: bool, as_json: bool) -> None:
    if as_json:
        write_json(answers[0] if is_single else answers)
        return
    if is_single:
        write_facts(tables.flat(answers[0]).items())
        return
    write_table(_numbered(number, answer) for number, answer in enumerate(answers, start=1))


def _numbered(number: int, answer: Any) -> Mapping[str, Any]:
    return {"row": number, **tables.flat(answer)}

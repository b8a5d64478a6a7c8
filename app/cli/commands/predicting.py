"""``predict``: predict the rows of a file with a model of models.yaml."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO

import click
import pyarrow as pa

from app.cli.hosting import Hosting, pass_hosting
from app.cli.terminal import (
    as_json_option,
    caution_option,
    command,
    count_of,
    decimal_option,
    escape,
    explain_option,
    explain_output_option,
    file_option,
    format_error,
    get_format,
    write_facts,
    write_file,
    write_json,
    write_message,
    write_table,
)
from app.serving.calls.caller import CALLER, CLI, Caller, create_request_id
from app.serving.errors import ServingError, UnreadableFile
from app.serving.explaining.added_columns import Extend, build_extend, check_columns
from app.serving.jobs import job_results
from app.serving.jobs.chunks.chunk_prediction import predict_chunk, write_outcome
from app.serving.jobs.chunks.chunk_rows import (
    PROBLEMS,
    SINGLE,
    Chunk,
    read_chunks,
    read_sheet,
)
from app.serving.jobs.chunks.chunk_tables import LINE
from app.serving.json_text import to_json
from app.serving.models.hosted import HostedModel
from app.serving.tables import tables
from app.serving.tables.csv_cells import Members
from mlmodel.errors import InvalidInput
from mlmodel.schema.texts.numerals import COMMA, POINT

STDIN = Path("-")
#: Violations that are shown, each once for all rows that have it.
MOST_SHOWN = 20


@dataclass
class _Results:
    """The results of a file: for each chunk, a file of valid rows and one of the others."""

    folder: Path
    title: str
    form: str
    count: int = 0
    valid: int = 0
    invalid: int = 0
    is_single: bool = False
    sheet: Mapping[str, Any] | None = None
    failure: ServingError | None = None
    parts: list[Path] = field(default_factory=list)
    bad: list[Path] = field(default_factory=list)

    def add(self, table: pa.Table) -> tuple[Path, Path]:
        """Return the paths for the results of a chunk."""
        self.sheet = read_sheet(table)
        self.is_single = SINGLE in (table.schema.metadata or {})
        self.parts.append(self.folder / f"part-{len(self.parts):05}.arrow")
        self.bad.append(self.folder / f"bad-{len(self.bad):05}.ndjson")
        return self.parts[-1], self.bad[-1]

    def chunks(self) -> Iterator[list[tuple[int, Any, list[dict[str, str]]]]]:
        """Yield the rows of each chunk: their lines, predictions and problems."""
        for part, bad in zip(self.parts, self.bad, strict=True):
            rows = [(*each, []) for each in zip(*job_results.read_predictions(part), strict=True)]
            rows += [(each[LINE], None, each[PROBLEMS]) for each in _read_invalid(bad)]
            yield sorted(rows, key=itemgetter(0))


def _read_invalid(bad: Path) -> Iterator[dict[str, Any]]:
    with bad.open(encoding="utf-8") as stream:
        yield from map(json.loads, stream)


@command("predict")
@click.argument("name")
@click.option(
    "--input",
    "source",
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="The rows: a .json, .ndjson, .csv, .tsv, .xlsx or .parquet file, which may be compressed "
    "(.gz, .zst); - for stdin.",
)
@file_option(
    "--output",
    help="A .csv, .json, .ndjson or .parquet file for the valid rows and their predictions, "
    "instead of the predictions on stdout.",
)
@file_option(
    "--problems",
    help="A .csv or .ndjson file for the invalid rows, to correct and predict again.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(sorted(set(tables.FORMATS.values()))),
    help="The format of the input. By default, that of the file's ending, or json for stdin.",
)
@decimal_option
@explain_option
@explain_output_option
@caution_option
@as_json_option
@pass_hosting
def predict(  # noqa: PLR0917  click calls it, by name
    hosting: Hosting,
    name: str,
    source: Path,
    output: Path | None,
    problems: Path | None,
    form: str | None,
    decimal: str | None,
    is_explained: bool,
    explained: str | None,
    is_cautious: bool,
    as_json: bool,
) -> None:
    """Predict the rows of a file with the model NAME.

    The rows are validated like those of a request. Valid rows are predicted; invalid ones are
    reported by line and field, and the exit status is 1.
    """
    output_form = get_format(output, "--output", job_results.FORMATS) if output else ""
    problem_form = (
        get_format(problems, "--problems", job_results.PROBLEM_FORMATS) if problems else ""
    )
    if form is None:
        is_stdin = source == STDIN
        form = "json" if is_stdin else get_format(source, "--input", tables.FORMATS, is_input=True)
    explained = explained or ("" if is_explained else None)
    write_message(f"Loading {name} ...")
    model = hosting.load_model(name)
    with tempfile.TemporaryDirectory(prefix="modelhost-") as folder:
        results = _Results(Path(folder), "stdin" if source == STDIN else source.name, form)
        with _open(source, results.folder) as stream:
            schema = model.input_schema or True
            chunks = read_chunks(
                stream,
                form,
                schema,
                decimal or "",
                max_depth=hosting.settings["MAX_DEPTH"],
                folder=results.folder,
            )
            try:
                check_columns(model, explained, is_cautious=is_cautious)
                extend = build_extend(hosting.predictor, model, explained, is_cautious=is_cautious)
                _predict(hosting, model, results, chunks, extend)
            except (InvalidInput, UnreadableFile) as error:
                raise click.ClickException(f"{results.title}: {error}") from error
            except ServingError as error:
                raise click.ClickException(format_error(error)) from error
        _report(results, model)
        if output:
            pieces = job_results.WRITERS[output_form](results.parts)
            write_file(pieces, output, count_of(results.valid, "prediction"))
        if problems:
            pieces = _problem_pieces(results, problem_form)
            write_file(pieces, problems, count_of(results.invalid, "invalid row"))
        if as_json and output:
            counts = {"predictions": results.valid, "invalid": results.invalid}
            write_json({"output": str(output), **counts})
        elif not output:
            (_write_json if as_json else _write_tables)(results)
        _fail_if_invalid(results)


def _open(source: Path, folder: Path) -> BinaryIO:
    if source != STDIN:
        return source.open("rb")
    # Reading a table needs a seekable stream, which a pipe is not.
    copy = folder / "stdin"
    with copy.open("wb") as stream:
        shutil.copyfileobj(sys.stdin.buffer, stream)
    return copy.open("rb")


def _predict(
    hosting: Hosting,
    model: HostedModel,
    results: _Results,
    chunks: Iterable[Chunk],
    extend: Extend,
) -> None:
    """Predict a file chunk by chunk, and write the results to the folder."""
    request_id = create_request_id()
    CALLER.set(Caller(request_id, None, CLI))
    if model.spec.log is not None:
        write_message(f"The predictions are logged with the request id {request_id}")
    for table, _ in chunks:
        if results.count:
            write_message(f"Predicted {results.count:,} rows ...")
        part, bad = results.add(table)
        outcome = predict_chunk(hosting.predictor, model, table, extend=extend)
        write_outcome(table, outcome, part, bad)
        results.failure = results.failure or outcome.failure
        results.count += len(table)
        results.valid += len(outcome.places)
        results.invalid += len(outcome.invalid)


def _report(results: _Results, model: HostedModel) -> None:
    """Write to stderr which rows are invalid, and how the file was read."""
    if not results.count:
        write_message(f"{results.title} has no rows")
    _write_violations(results)
    if results.failure:
        write_message(format_error(results.failure))
    if results.sheet is not None:
        _write_sheet(results.title, results.sheet, Members(model.input_schema or True))


def _write_violations(results: _Results) -> None:
    """Write the first violations to stderr, each once for all rows that have it."""
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    hidden = 0
    is_text = results.form == "ndjson" or "encoding" in (results.sheet or {})
    unit = "line" if is_text else "row"
    for row in chain.from_iterable(map(_read_invalid, results.bad)):
        for problem in row[PROBLEMS]:
            text = f"{problem['pointer'][1:]} {problem['detail']}".strip()
            if text not in first and len(first) == MOST_SHOWN:
                hidden += 1
                continue
            first.setdefault(text, "" if results.is_single else f", {unit} {row[LINE]}")
            counts[text] += 1
    for text, place in first.items():
        more = f" and {counts[text] - 1:,} more" if counts[text] > 1 else ""
        write_message(f"{results.title}{place}{more}: {text}")
    if hidden:
        others = count_of(hidden, "other violation")
        write_message(f"{results.title}: {others}; write them to a file with --problems")


def _write_sheet(source: str, sheet: Mapping[str, Any], members: Members) -> None:
    """Write to stderr how a table was read, where that is not obvious."""
    encoding, decimal = sheet.get("encoding", "utf-8"), sheet.get("decimal", POINT)
    if encoding != "utf-8":
        write_message(f"{source}: read as {encoding}")
    if decimal == COMMA:
        write_message(f"{source}: decimal mark is a comma")
    if not decimal:
        write_message(f"{source}: the decimal mark is ambiguous; specify it with --decimal")
    unknown = [name for name in sheet["names"] if name and not members.has(name)]
    absent = set(members.names) - set(sheet["names"]) - members.required
    if unknown:
        write_message(f"{source}: columns not used by the model: {', '.join(unknown)}")
    if absent:
        listed = [name for name in members.names if name in absent]
        write_message(f"{source}: fields without a column: {', '.join(listed)}")


def _problem_pieces(results: _Results, form: str) -> Iterator[bytes]:
    if form == "ndjson":
        return job_results.write_problems_ndjson(results.bad)
    return job_results.write_problems(results.bad, results.sheet)


def _write_tables(results: _Results) -> None:
    """Write the predictions to stdout, as a table for each chunk."""
    for rows in results.chunks():
        if results.is_single:
            write_facts(tables.flatten(rows[0][1]).items())
            return
        write_table(
            {LINE: line, **tables.flatten(prediction)}
            for line, prediction, problems in rows
            if not problems
        )


def _write_json(results: _Results) -> None:
    """Write the predictions to stdout as JSON; with the violations, if there are any."""
    if results.is_single and results.valid:
        [[(_, prediction, _)]] = results.chunks()
        write_json(prediction)
        return
    predictions = (prediction for rows in results.chunks() for _, prediction, _ in rows)
    if not results.invalid:
        _write_array(predictions, "\n")
        return
    click.echo('{"predictions": ', nl=False)
    _write_array(predictions, ', "errors": ')
    _write_array(_violations(results), "}\n")


def _violations(results: _Results) -> Iterator[dict[str, Any]]:
    row = 0
    for rows in results.chunks():
        for line, _, problems in rows:
            yield from ({"row": row, "line": line, **each} for each in problems)
            row += 1


def _write_array(values: Iterable[Any], end: str) -> None:
    start = "["
    for each in values:
        click.echo(f"{start}\n{escape(to_json(each))}", nl=False)
        start = ","
    click.echo(f"{'[' if start == '[' else ''}]{end}", nl=False)


def _fail_if_invalid(results: _Results) -> None:
    if results.is_single and results.invalid:
        raise click.ClickException(f"{results.title} is invalid; there is no prediction")
    if results.invalid:
        raise click.ClickException(
            f"{results.title} has {count_of(results.invalid, 'invalid row')} of {results.count:,}"
        )

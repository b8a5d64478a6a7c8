"""The commands of the group ``log``, which read the prediction log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

import config
from app.cli.hosting import Hosting, pass_hosting
from app.cli.terminal import (
    as_json_option,
    command,
    count_of,
    write_json,
    write_message,
    write_table,
)
from app.serving.monitoring.references import Source, create_reference
from app.serving.prediction_log import export as exports
from app.serving.prediction_log.store import PredictionStore, Record, Selection
from app.serving.tables import tables

STDOUT = Path("-")


def _to_seconds(_ctx: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    try:
        return None if text is None else exports.from_iso(text)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(
            f"must be a date or time in UTC, such as 2026-11-01 or 2026-11-01T14:30, got {text!r}"
        ) from error


#: An option with a date or time, in Unix seconds.
time_option = partial(click.option, callback=_to_seconds, metavar="DATE")


@command("export")
@click.argument("model")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="The file to write, or '-' for stdout.",
)
@click.option(
    "--as",
    "form",
    type=click.Choice(sorted(set(exports.FORMATS.values()))),
    help="The format. By default, that of the ending of the file.",
)
@time_option("--since", help="The first date or time, in UTC.")
@time_option("--until", help="Exclude predictions from this date or time (UTC) on.")
@as_json_option
@pass_hosting
def export(  # noqa: PLR0917  click calls it, by name
    hosting: Hosting,
    model: str,
    output: Path,
    form: str | None,
    since: float | None,
    until: float | None,
    as_json: bool,
) -> None:
    """Write the logged predictions of MODEL, such as credit or credit@2, to a file."""
    form = form or exports.FORMATS.get(output.suffix.lower())
    if form is None:
        endings = ", ".join(exports.FORMATS)
        raise click.UsageError(f"specify --as, or a file that ends with one of {endings}")
    if as_json and output == STDOUT:
        raise click.UsageError("--json writes to stdout too: write the rows to a file")
    if since is not None and until is not None and since >= until:
        times = f"{exports.to_iso(since)} and {exports.to_iso(until)}"
        raise click.UsageError(f"--since must be before --until, got {times}")
    store = _open(hosting, model)
    selection = Selection(since=since, until=until, unique_name=_get_unique_name(model))
    with (
        click.open_file(str(output), "wb") as stream,
        store.snapshot(_get_name(model), selection) as read,
    ):
        count = exports.export(read, stream, form)
    target = "stdout" if output == STDOUT else output
    write_message(f"Wrote {count_of(count, 'row')} to {target}")
    if as_json:
        write_json({"output": str(output), "rows": count})


@command("forget")
@click.argument("model")
@click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="FIELD=VALUE",
    help="A member of the row, such as customer=4711 or applicant.name=Ada; rows must meet all.",
)
@click.option("--request-id", help="The id of a request.")
@as_json_option
@pass_hosting
def forget(
    hosting: Hosting,
    model: str,
    conditions: Sequence[str],
    request_id: str | None,
    as_json: bool,
) -> None:
    """Delete logged predictions of MODEL, and overwrite their bytes."""
    if not conditions and request_id is None:
        raise click.UsageError("specify --where or --request-id")
    wanted = dict(map(_split, conditions))
    store = _open(hosting, model)
    unique_name = _get_unique_name(model)
    absent = set(wanted)

    def is_forgotten(record: Record) -> bool:
        members = tables.flatten(record.row) if wanted else {}
        absent.difference_update(members)
        return (
            (unique_name is None or record.model == unique_name)
            and (request_id is None or record.request_id == request_id)
            and _meets(members, wanted)
        )

    count = store.forget(_get_name(model), is_forgotten)
    if absent:
        names = ", ".join(map(repr, sorted(absent)))
        raise click.ClickException(
            f"nothing was deleted: no logged row of {_get_name(model)!r} has the field {names}; "
            "a field under 'leave_out' in models.yaml is not stored"
        )
    write_message(f"Deleted {count_of(count, 'row')}")
    if as_json:
        write_json({"deleted": count})


@command("reference")
@click.argument("model")
@as_json_option
@pass_hosting
def reference(hosting: Hosting, model: str, as_json: bool) -> None:
    """Make the first 1,000 logged predictions of MODEL its reference for drift.

    Cautions and explanations need a reference profile in the model's file.
    """
    store = _open(hosting, model)
    found = create_reference(store, hosting.host_model(model))
    rows = found.profile.rows
    place = "the model's file" if found.source is Source.FILE else "logged predictions"
    write_message(f"The reference of {model!r} has {count_of(rows, 'row')} of {place}")
    if as_json:
        write_json({"source": found.source, "rows": rows})


@command("show")
@click.argument("model")
@click.option(
    "--rows",
    type=click.IntRange(1, 10_000),
    default=10,
    show_default=True,
    help="Number of predictions to show.",
)
@as_json_option
@pass_hosting
def show(hosting: Hosting, model: str, rows: int, as_json: bool) -> None:
    """Show the last logged predictions of MODEL."""
    selection = Selection(unique_name=_get_unique_name(model))
    records = _open(hosting, model).read_last(_get_name(model), rows, selection)
    if as_json:
        write_json([vars(record) for record in records])
        return
    hidden = {"model", "version", "runtime", "seconds"}
    write_table(
        {name: value for name, value in exports.to_columns(record).items() if name not in hidden}
        for record in records
    )


def _open(hosting: Hosting, model: str) -> PredictionStore:
    store = PredictionStore(config.get_folder(hosting.settings, "PREDICTION_LOG_FOLDER"))
    logged = store.models()
    if _get_name(model) not in logged:
        names = ", ".join(logged) or "none"
        raise click.ClickException(
            f"no predictions of {_get_name(model)!r} are logged in {store.folder}; "
            f"models with a log: {names}"
        )
    return store


def _get_name(model: str) -> str:
    return model.partition("@")[0]


def _get_unique_name(model: str) -> str | None:
    return model if "@" in model else None


def _split(condition: str) -> tuple[str, str]:
    name, equals, value = condition.partition("=")
    if not name or not equals:
        raise click.UsageError(f"--where must be FIELD=VALUE, got {condition!r}")
    return name, value


def _meets(members: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    return all(name in members and _is_equal(members[name], text) for name, text in wanted.items())


def _is_equal(value: Any, text: str) -> bool:
    """Return whether a member is a text, or the number, boolean or null that it spells."""
    if isinstance(value, str):
        return value == text
    try:
        parsed = json.loads(text)
    except ValueError:
        return False
    return isinstance(parsed, bool) == isinstance(value, bool) and parsed == value

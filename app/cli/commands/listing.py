"""``list``, ``show`` and ``inspect``: all models, one model, and a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

import mlmodel
from app.cli.hosting import Hosting, pass_hosting
from app.cli.terminal import (
    as_json_option,
    command,
    write_facts,
    write_json,
    write_message,
    write_table,
)
from app.serving.models.hosted import HostedModel
from app.web.api.models import describe
from app.web.api.schemas import ModelInspection, ModelList, ModelMetadata
from app.web.pages import forms
from mlmodel.errors import InvalidFile
from mlmodel.files import reading, source
from mlmodel.files.report import report
from mlmodel.reference.distributions import summary
from mlmodel.reference.profile import KEY, Profile
from mlmodel.schema.messages import join_first

#: Maximum names shown; ``--json`` has all of them.
MAX_NAMES = 20
#: Maximum choices of a field shown; ``--json`` has all of them.
MAX_CHOICES = 12

#: Keys of ``extra`` that are shown as facts of their own.
OTHER_FACTS = frozenset(
    {
        "description",
        "display_name",
        "examples",
        "input_schema",
        "output_schema",
        "qualified_name",
        "reference",
        "version",
        "versions",
    }
)


@command("list")
@as_json_option
@pass_hosting
def list_models(hosting: Hosting, as_json: bool) -> None:
    """List the models of models.yaml, loaded as on the server."""
    specs = hosting.read_specs()
    write_message(f"Loading {len(specs)} {'model' if len(specs) == 1 else 'models'} ...")
    models = hosting.host(specs)
    if as_json:
        listed = [describe(model) for model in models]
        write_json(ModelList().dump({"models": listed}))
        return
    write_table(
        {
            "name": model.public_name,
            "status": model.status.value,
            "version": model.version,
            "framework": model.about.framework,
            "reason": model.reason,
        }
        for model in models
    )


@command("show")
@click.argument("name")
@as_json_option
@pass_hosting
def show(hosting: Hosting, name: str, as_json: bool) -> None:
    """Show the metadata and the fields of the model NAME."""
    write_message(f"Loading {name} ...")
    model = hosting.host_model(name)
    facts = describe(model)
    if as_json:
        write_json({**ModelInspection().dump(facts), **ModelMetadata().dump(facts)})
        return
    write_facts(_select_facts(facts).items())
    if model.is_ready:
        write_fields("row", model.input_schema, model)
        write_fields("prediction", model.output_schema)


@command("inspect")
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@as_json_option
def inspect(file: Path, as_json: bool) -> None:
    """Show the metadata of FILE without building it.

    The command is safe on any file. For a .skops file and a pickle, also in a package, it lists
    the classes and functions that the file references.
    """
    try:
        references = report(file)
        facts = _bare(file) if reading.is_bare(file) else dataclasses.asdict(mlmodel.inspect(file))
    except InvalidFile as error:
        raise click.ClickException(f"{file.name} is not a readable model file: {error}") from error
    document = {"file": file.name, **facts}
    if as_json:
        write_json({**document, **dataclasses.asdict(references)})
        return
    meta = document.pop("meta", {})
    profile = (meta.get("extra") or {}).pop(KEY, None)
    model = meta.pop("model", {})
    model.pop("info", None)  # hundreds of parameters, which --json has
    if "signature" in document:
        document["signature"] = ", ".join(map(_to_words, document["signature"]))
    rows = _flatten({**document, **meta, **model})
    rows["references"] = join_first(references.names, MAX_NAMES)
    rows["not allowed"] = join_first(references.untrusted, MAX_NAMES)
    rows["rejected"] = references.refusal
    write_facts(rows.items())
    if profile is not None:
        _write_profile(Profile.from_json(profile))


def _write_profile(profile: Profile) -> None:
    """Write the distributions of a reference profile as a table."""
    click.echo(f"\nreference profile ({profile.rows:,} rows):")
    target = {} if profile.target is None else {"target": profile.target}
    write_table(
        (
            {"name": name, "distribution": summary(each), "missing": f"{each.missing:.1%}"}
            for name, each in [
                *profile.fields.items(),
                *profile.predictions.items(),
                *target.items(),
            ]
        ),
        indent="  ",
    )


def write_fields(
    title: str, schema: Mapping[str, Any] | None, model: HostedModel | None = None
) -> None:
    """Write the fields of a schema as a table, with the values of the model's example if given."""
    if schema is None:
        click.echo(f"\n{title}: any JSON")
        return
    row = forms.build(schema, *(model.about.examples[:1] if model else []))
    click.echo(f"\n{title}:")
    write_table(map(_to_row, list(row.descendants()) or [row]), indent="  ")


def _to_row(field: forms.Field) -> dict[str, str]:
    choices = join_first([choice.label for choice in field.choices], MAX_CHOICES)
    return {
        "field": field.dotted_path or "(whole value)",
        "type": f"{field.type} or null" if field.nullable else field.type,
        "required": "yes" if field.required else "no",
        "allowed values": field.bounds or choices,
        "unit": field.unit,
        "example": field.example,
        "default": field.value,
        "description": field.description,
    }


def _select_facts(description: Mapping[str, Any]) -> dict[str, Any]:
    facts = ModelInspection().dump(description)
    facts["endpoints"] = ", ".join(endpoint.name for endpoint in description["endpoints"])
    facts.pop("info", None)  # hundreds of parameters, which --json has
    facts["versions"] = dict(_versions(facts.get("versions") or []))
    extra = facts.get("extra") or {}
    facts["extra"] = {key: value for key, value in extra.items() if key not in OTHER_FACTS}
    return _flatten(facts)


def _to_words(column: Mapping[str, Any]) -> str:
    """Return a column of a signature of MLflow, such as ``income: double, optional``."""
    optional = " (optional)" if column.get("required") is False else ""
    return f"{column.get('name', 'unnamed')}: {column.get('type')}{optional}"


def _flatten(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten objects among the facts to one fact per member, such as ``metrics.accuracy``."""
    flat: dict[str, Any] = {}
    for name, value in facts.items():
        members = value.items() if isinstance(value, Mapping) else ()
        flat |= {f"{name}.{key}": member for key, member in members} or {name: value}
    return flat


def _versions(versions: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for each in versions:
        now = each["running"] or "not installed"
        packaged = f", packaged with {each['packaged']}" if each["drifted"] else ""
        yield each["package"], f"{now}{packaged}"


def _bare(file: Path) -> dict[str, Any]:
    found = source.read(file)
    facts = {"size_bytes": found.size_bytes, "sha256": found.sha256}
    if found.signature is None:
        return facts
    return {**facts, "mlflow": dict(found.facts), "signature": list(found.signature.inputs or ())}

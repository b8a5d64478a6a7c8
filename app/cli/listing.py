"""``list``, ``show`` and ``inspect``: all models, one model, and a file."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext

import mlmodel
from app.cli.hosting import hosting
from app.cli.terminal import as_json_option, say, write_facts, write_json, write_table
from app.serving.models.hosted import HostedModel, Status
from app.web.api.models import description
from app.web.api.schemas import ModelInspection, ModelList, ModelMetadata
from app.web.pages import forms
from mlmodel.bounded import safe_open
from mlmodel.errors import FlmError, InvalidFile
from mlmodel.files import bare
from mlmodel.files.report import Report, report
from mlmodel.schema.messages import enumeration

#: Maximum names shown; ``--json`` has all of them.
SHOWN_NAMES = 20
#: Maximum choices of a field shown; ``--json`` has all of them.
SHOWN_CHOICES = 12

#: Keys of ``extra`` that a description has in other places.
TOLD_ELSEWHERE = frozenset(
    {
        "description",
        "display_name",
        "examples",
        "input_schema",
        "output_schema",
        "qualified_name",
        "version",
        "versions",
    }
)


@click.command("list")
@as_json_option
@with_appcontext
def list_models(as_json: bool) -> None:
    """List the models of models.yaml, loaded as the server would."""
    specs = hosting().specs()
    say(f"Loading {len(specs)} models ...")
    models = hosting().hold(specs)
    if as_json:
        listed = [description(model) for model in models]
        write_json(ModelList().dump({"models": listed}))
        return
    write_table(
        {
            "name": model.reference,
            "status": model.status.value,
            "version": model.version,
            "framework": model.framework,
            "reason": model.reason,
        }
        for model in models
    )


@click.command("show")
@click.argument("name")
@as_json_option
@with_appcontext
def show(name: str, as_json: bool) -> None:
    """Show all that is known of the model NAME."""
    say(f"Loading {name} ...")
    model = hosting().named(name)
    known = description(model)
    if as_json:
        write_json({**ModelInspection().dump(known), **ModelMetadata().dump(known)})
        return
    write_facts(_facts(known).items())
    if model.status is Status.READY:
        write_fields("row", model.input_schema, model)
        write_fields("answer", model.output_schema)


@click.command("inspect")
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@as_json_option
def inspect(file: Path, as_json: bool) -> None:
    """Look into FILE and build nothing: safe on any file.

    It tells what a package says of itself, and the classes and functions that a pickle, in a
    package too, or a .skops file asks for.
    """
    try:
        asked = report(file)
        found = _bare(file) if bare.is_bare(file) else dataclasses.asdict(mlmodel.inspect(file))
    except InvalidFile as error:
        raise FlmError(f"{file.name} is no readable model file: {error}") from error
    document = {"file": file.name, **found}
    if as_json:
        write_json({**document, **dataclasses.asdict(asked)})
        return
    meta = document.pop("meta", {})
    model = meta.pop("model", {})
    model.pop("info", None)  # hundreds of parameters, which --json has
    write_facts([*spread({**document, **meta, **model}).items(), *_asked(asked)])


COMMANDS = (list_models, show, inspect)


def write_fields(
    title: str, schema: Mapping[str, Any] | None, model: HostedModel | None = None
) -> None:
    """Write the fields of a schema as a table, with the values of the model's example if given."""
    if schema is None:
        click.echo(f"\n{title}: any JSON")
        return
    drawn = forms.build(schema, *(model.examples[:1] if model else []))
    click.echo(f"\n{title}:")
    write_table(map(_field, list(drawn.within()) or [drawn]), indent="  ")


def _field(field: forms.Field) -> dict[str, str]:
    kind = f"{field.type} or null" if field.nullable else field.type
    return {
        "field": field.path or "(the whole)",
        "type": kind,
        "required": "yes" if field.required else "no",
        "may be": field.bounds or _choices(field),
        "unit": field.unit,
        "example": field.example,
        "default": field.value,
        "meaning": field.description,
    }


def _choices(field: forms.Field) -> str:
    labels = [choice.label for choice in field.choices]
    return enumeration(labels, SHOWN_CHOICES)


def _facts(known: Mapping[str, Any]) -> dict[str, Any]:
    facts = {**ModelInspection().dump(known), "endpoints": _names(known["endpoints"])}
    facts.pop("info", None)  # hundreds of parameters, which --json has
    facts["versions"] = dict(_versions(facts.get("versions") or []))
    extra = facts.get("extra") or {}
    facts["extra"] = {key: value for key, value in extra.items() if key not in TOLD_ELSEWHERE}
    return spread(facts)


def spread(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten objects among the facts to one fact per member, such as ``metrics.accuracy``."""
    spread: dict[str, Any] = {}
    for name, value in facts.items():
        members = value.items() if isinstance(value, Mapping) else ()
        spread |= {f"{name}.{key}": member for key, member in members} or {name: value}
    return spread


def _names(endpoints: list[Any]) -> str:
    return ", ".join(endpoint.name for endpoint in endpoints)


def _versions(versions: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for each in versions:
        now = each["running"] or "not installed"
        packaged = f", packaged with {each['packaged']}" if each["drifted"] else ""
        yield each["package"], f"{now}{packaged}"


def _bare(file: Path) -> dict[str, Any]:
    content = safe_open.content(file)
    return {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _asked(asked: Report) -> list[tuple[str, Any]]:
    return [
        ("asks for", _shown(asked.names)),
        ("not allowed", _shown(asked.untrusted)),
        ("refused", asked.refusal),
    ]


def _shown(names: tuple[str, ...]) -> str | None:
    return enumeration(names, SHOWN_NAMES) or None

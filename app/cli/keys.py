"""``flask keys ...``: create and list API keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from app.cli.hosting import hosting
from app.cli.terminal import Commands, as_json_option, say, write_facts, write_json, write_table
from app.web.http.access.keys import MOST_CHARACTERS, InvalidKeys, Scope, made, opened
from mlmodel.errors import InvalidModel
from mlmodel.model import checked_name


def init_app(app: Flask) -> None:
    """Register the commands."""
    group = Commands("keys", help="Make API keys, and list those that there are.")
    for command in (new, list_keys):
        group.add_command(command)
    app.cli.add_command(group)


def _names(
    _ctx: click.Context, _option: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    try:
        return tuple(checked_name(name) for name in names)
    except InvalidModel as error:
        raise click.BadParameter(str(error).removeprefix("qualified_name ")) from error


@click.command("new")
@click.option("--name", required=True, help="Who has the key: a person, a team, a program.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    default=[Scope.PREDICT.value],
    show_default=True,
    help="What it is for; may be given several times.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    callback=_names,
    help="A model that it is for; may be given several times. Without, it is for all of them.",
)
@as_json_option
def new(name: str, scopes: tuple[str, ...], models: tuple[str, ...], as_json: bool) -> None:
    """Make a key. It is shown once: the server keeps only its hash."""
    if not name.strip() or not name.isprintable() or len(name) > MOST_CHARACTERS:
        raise click.BadParameter("must be 1 to 100 characters on one line", param_hint="--name")
    text, key_id, sha256 = made()
    entry: dict[str, Any] = {"id": key_id, "name": name, "sha256": sha256}
    entry["scopes"] = list(dict.fromkeys(scopes))
    if models:
        entry["models"] = list(dict.fromkeys(models))
    if as_json:
        write_json({"key": text, "entry": entry})
        return
    say("Copy the key now: it is not shown again. Put the line below `keys:` in KEYS_FILE.")
    write_facts([("key", text), ("line", f"- {_flow(entry)}")])


@click.command("list")
@as_json_option
@with_appcontext
def list_keys(as_json: bool) -> None:
    """List the keys of KEYS_FILE and KEYS, without their hashes."""
    try:
        keys = opened(current_app.config, Path(current_app.root_path), hosting().environ).all()
    except InvalidKeys as error:
        raise click.ClickException(str(error)) from error
    listed = [
        {"id": key.id, "name": key.name, "scopes": sorted(key.scopes), "models": sorted(key.models)}
        for key in keys
    ]
    if as_json:
        write_json({"keys": listed})
        return
    if not listed:
        say("There are no keys: KEYS_FILE and KEYS are empty.")
    write_table(
        {
            **each,
            "scopes": ", ".join(each["scopes"]),
            "models": ", ".join(each["models"]) or "all",
        }
        for each in listed
    )


def _flow(entry: Any) -> str:
    """Return an entry as YAML on one line, all strings quoted: an id may look like a number."""
    if isinstance(entry, dict):
        return "{" + ", ".join(f"{key}: {_flow(value)}" for key, value in entry.items()) + "}"
    if isinstance(entry, list):
        return "[" + ", ".join(map(_flow, entry)) + "]"
    # Escape "${", which would be read as a variable.
    return json.dumps(entry.replace("${", "$${"), ensure_ascii=False)

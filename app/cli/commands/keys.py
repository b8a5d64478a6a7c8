"""``new`` and ``list`` of the group ``keys``: create and list API keys."""

from __future__ import annotations

import json
from typing import Any

import click

import config
from app.cli.hosting import Hosting, pass_hosting
from app.cli.terminal import (
    as_json_option,
    check_name,
    command,
    write_facts,
    write_json,
    write_message,
    write_table,
)
from app.web.http.access.keys import (
    MAX_NAME_CHARACTERS,
    InvalidKeys,
    Scope,
    generate_key,
    load_keys,
)


@command("new")
@click.option("--name", required=True, help="Who uses the key: a person, a team or a program.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    default=[Scope.PREDICT.value],
    show_default=True,
    help="What the key permits; repeatable.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    callback=lambda ctx, option, names: tuple(check_name(ctx, option, name) for name in names),
    help="A model for which the key is valid; repeatable. By default, all models.",
)
@as_json_option
def new(name: str, scopes: tuple[str, ...], models: tuple[str, ...], as_json: bool) -> None:
    """Create a key. It is shown once: the server stores only its hash."""
    if not name.strip() or not name.isprintable() or len(name) > MAX_NAME_CHARACTERS:
        raise click.BadParameter(
            f"must be 1 to {MAX_NAME_CHARACTERS} characters on one line", param_hint="--name"
        )
    text, key_id, sha256 = generate_key()
    entry: dict[str, Any] = {"id": key_id, "name": name, "sha256": sha256}
    entry["scopes"] = list(dict.fromkeys(scopes))
    if models:
        entry["models"] = list(dict.fromkeys(models))
    if as_json:
        write_json({"key": text, "entry": entry})
        return
    write_message(
        "Copy the key now: it is not shown again. Add the line below 'keys:' in KEYS_FILE."
    )
    write_facts([("key", text), ("line", f"- {_to_yaml(entry)}")])


@command("list")
@as_json_option
@pass_hosting
def list_keys(hosting: Hosting, as_json: bool) -> None:
    """List the keys of KEYS_FILE and KEYS, without their hashes."""
    try:
        keys = load_keys(hosting.settings, config.ROOT, hosting.environ).all()
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
        write_message("No API keys are configured: KEYS_FILE and KEYS are empty.")
    write_table(
        {
            **each,
            "scopes": ", ".join(each["scopes"]),
            "models": ", ".join(each["models"]) or "all",
        }
        for each in listed
    )


def _to_yaml(entry: Any) -> str:
    """Return an entry as YAML on one line, all strings quoted: an id may look like a number."""
    if isinstance(entry, dict):
        return "{" + ", ".join(f"{key}: {_to_yaml(value)}" for key, value in entry.items()) + "}"
    if isinstance(entry, list):
        return "[" + ", ".join(map(_to_yaml, entry)) + "]"
    # Escape "${", which would be read as a variable.
    return json.dumps(entry.replace("${", "$${"), ensure_ascii=False)

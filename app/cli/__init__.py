"""``flask models ...`` and ``flask keys ...``: work with models and API keys without a server.

Each module defines one or a few commands, which :func:`init_app` adds to a group.
"""

from __future__ import annotations

import click
from flask import Flask
from flask.cli import FlaskGroup

from app.cli import adding, checking, keys, listing, packaging, predicting
from app.cli.hosting import KEY, Hosting
from app.cli.terminal import Commands


def init_app(app: Flask, hosting: Hosting) -> None:
    """Register the commands, which load the models that they need themselves."""
    app.extensions[KEY] = hosting
    group = Commands("models", help="Show, check, package and add models, and predict with them.")
    for module in (listing, checking, predicting, packaging, adding):
        for command in module.COMMANDS:
            group.add_command(command)
    app.cli.add_command(group)
    keys.init_app(app)


def is_looking_for_commands() -> bool:
    """Return whether Flask's command line creates the application only to find its commands.

    ``flask run``, ``flask shell`` and ``flask routes`` need the whole application.
    """
    context = click.get_current_context(silent=True)
    return context is not None and isinstance(context.command, FlaskGroup)

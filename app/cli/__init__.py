"""``flask models ...`` and ``flask keys ...``: models and API keys, without a server.

Each module has one or a few commands, and hands them to the group here.
"""

from __future__ import annotations

import click
from flask import Flask
from flask.cli import FlaskGroup

from app.cli import adding, checking, keys, listing, packaging, pinning, predicting
from app.cli.hosting import KEY, Hosting
from app.cli.terminal import Commands


def init_app(app: Flask, hosting: Hosting) -> None:
    """Offer the commands of an application. They open the models that they need themselves."""
    app.extensions[KEY] = hosting
    group = Commands("models", help="Look at models, try them, package them and add them.")
    for module in (listing, checking, predicting, packaging, adding, pinning):
        for command in module.COMMANDS:
            group.add_command(command)
    app.cli.add_command(group)
    keys.init_app(app)


def is_looking_for_commands() -> bool:
    """Tell whether Flask's command line wants the application only for its commands.

    ``flask run``, ``flask shell`` and ``flask routes`` want all of it.
    """
    context = click.get_current_context(silent=True)
    return context is not None and isinstance(context.command, FlaskGroup)

"""``flask models ...`` and ``flask keys ...``."""

from __future__ import annotations

import click
from flask import Flask
from flask.cli import FlaskGroup

from app.cli.groups import build_groups


def are_requested() -> bool:
    """Return whether Flask's command line imports the application only to find its commands.

    ``flask run``, ``flask shell`` and ``flask routes`` need the whole application.
    """
    context = click.get_current_context(silent=True)
    return context is not None and isinstance(context.command, FlaskGroup)


def create_app() -> Flask:
    """Create an application that has only the commands."""
    app = Flask("modelhost", static_folder=None)
    for group in build_groups():
        app.cli.add_command(group)
    return app

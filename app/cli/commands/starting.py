"""``init``: begin a folder of models."""

from __future__ import annotations

from pathlib import Path

import click

from app.cli.terminal import command, write_message

MODELS_YAML = """\
# The models that `modelhost serve` serves. `modelhost add FILE` adds an entry.
#
#   - file: credit.flm               # a model file; the path starts at this file's folder
#     name: credit                   # its name in paths, by default its own
#   - file: mlruns/1/abc/artifacts/model      # a folder that MLflow wrote
#   - class: team.models.Doubler     # a class derived from MLModel, in team/models.py
#     settings: {factor: 2}          # what the class is called with
models: []
"""
GITIGNORE = """\
__pycache__/
.venv/
# The hashes of API keys, and secrets of ${NAME} in models.yaml.
keys.yaml
.env
"""


@command("init")
def init() -> None:
    """Write a commented models.yaml and a .gitignore to the current folder."""
    models_file = Path("models.yaml")
    try:
        with models_file.open("x", encoding="utf-8") as stream:
            stream.write(MODELS_YAML)
    except FileExistsError as error:
        raise click.ClickException("models.yaml already exists") from error
    write_message("Wrote models.yaml")
    ignored = Path(".gitignore")
    if not ignored.exists():
        ignored.write_text(GITIGNORE, encoding="utf-8")
        write_message("Wrote .gitignore")
    write_message("Add a model with `modelhost add FILE`, then start the server: modelhost serve")

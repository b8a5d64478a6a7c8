"""The groups of commands, each of which is imported when it runs."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import click
from click.shell_completion import CompletionItem

from app.cli.completion import OF_MODELS, ModelArgument

FOLDER = Path(__file__).with_name("commands")
#: Group: its help, and each command with the function in :data:`FOLDER` that it runs.
COMMANDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "models": (
        "Show, check, package and add models, and predict with them.",
        {
            "add": "adding.add",
            "check": "checking.check",
            "from-mlserver": "mlserver.from_mlserver",
            "inspect": "listing.inspect",
            "list": "listing.list_models",
            "package": "packaging.package",
            "pin": "adding.pin",
            "predict": "predicting.predict",
            "truth": "logged.truth.truth",
            "show": "listing.show",
        },
    ),
    "jobs": (
        "Create jobs, which predict files of any size in the background, and read their results.",
        {
            "cancel": "jobs.managing.cancel",
            "list": "jobs.managing.list_jobs",
            "problems": "jobs.managing.problems",
            "remove": "jobs.managing.remove",
            "result": "jobs.managing.result",
            "resume": "jobs.managing.resume",
            "show": "jobs.managing.show",
            "submit": "jobs.managing.submit",
            "work": "jobs.working.work",
        },
    ),
    "log": (
        "Read the prediction log, and delete from it.",
        {
            "export": "logged.log.export",
            "forget": "logged.log.forget",
            "reference": "logged.log.reference",
            "show": "logged.log.show",
        },
    ),
    "keys": (
        "Create and list API keys.",
        {
            "list": "keys.list_keys",
            "new": "keys.new",
        },
    ),
}
#: The commands that only ``modelhost`` has: in a checkout, `make run` serves the models.
MODELHOST_COMMANDS: Mapping[str, str] = {
    "init": "adding.init",
    "ray": "ray_config.ray",
    "work": "jobs.working.work",
    "serve": "serving.serve",
}


class LazyCommand(click.Command):
    """A command whose module is imported when it runs or completes its options.

    Until then its help is read from the source: importing all commands takes a second.
    """

    def __init__(self, name: str, function: str) -> None:
        super().__init__(name)
        self._path = function
        self._module, _, self._function = function.rpartition(".")

    def get_short_help_str(self, limit: int = 0) -> str:
        """Return the first paragraph of the function's docstring, however long it is."""
        file = FOLDER.joinpath(*self._module.split(".")).with_suffix(".py")
        [docstring] = (
            ast.get_docstring(node) or ""
            for node in ast.parse(file.read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef) and node.name == self._function
        )
        return docstring.partition("\n\n")[0].replace("\n", " ")

    def load(self) -> click.Command:
        """Import the command."""
        imported = importlib.import_module(f"app.cli.commands.{self._module}")
        return cast(click.Command, getattr(imported, self._function))

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Return a context of the imported command, which click then runs.

        For the completion of its first argument, if that is a model, return one of this command.
        """
        if extra.get("resilient_parsing") and not args and self._path in OF_MODELS:
            return click.Context(self, parent, info_name, resilient_parsing=True)
        return self.load().make_context(info_name, args, parent, **extra)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the argument that is completed without importing the command."""
        is_of_model = self._path in OF_MODELS
        return [ModelArgument(may_be_file=OF_MODELS[self._path])] if is_of_model else []

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the options of the imported command that begin with a text."""
        command = self.load()
        context = command.make_context(ctx.info_name, [], ctx.parent, resilient_parsing=True)
        return command.shell_complete(context, incomplete)


def build_groups() -> list[click.Group]:
    """Return the groups."""
    return [
        _build_group(name, help_text, commands) for name, (help_text, commands) in COMMANDS.items()
    ]


def build_modelhost() -> click.Group:
    """Return the group ``modelhost``, which has the commands of ``models`` itself."""
    help_text = "Serve machine-learning models as web pages and HTTP APIs."
    _, commands = COMMANDS["models"]
    group = _build_group("modelhost", help_text, {**commands, **MODELHOST_COMMANDS})
    for other in build_groups():
        if other.name != "models":
            group.add_command(other)
    return click.version_option(package_name="modelhost")(group)


def _build_group(name: str, help_text: str, commands: Mapping[str, str]) -> click.Group:
    group = click.Group(name, help=help_text)
    for command, function in commands.items():
        group.add_command(LazyCommand(command, function))
    return group

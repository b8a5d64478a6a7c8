"""The groups of commands, each of which is imported when it runs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, cast

import click

#: Group: its help, and each command with the function that it runs and its help.
COMMANDS: Mapping[str, tuple[str, Mapping[str, tuple[str, str]]]] = {
    "models": (
        "Show, check, package and add models, and predict with them.",
        {
            "add": (
                "adding.add",
                "Add FILE, which may be a folder that MLflow wrote, to models.yaml.",
            ),
            "check": (
                "checking.check",
                "Load models, predict their own examples, and report warnings.",
            ),
            "from-mlserver": (
                "mlserver.from_mlserver",
                "Add the models of FOLDER, which MLServer serves, to models.yaml.",
            ),
            "inspect": ("listing.inspect", "Show the metadata of FILE without building it."),
            "list": (
                "listing.list_models",
                "List the models of models.yaml, loaded as on the server.",
            ),
            "package": ("packaging.package", "Package a fitted estimator as a model file."),
            "pin": ("adding.pin", "Add the SHA-256 of model files to models.yaml."),
            "predict": ("predicting.predict", "Predict the rows of a file with the model NAME."),
            "truth": (
                "logged.truth.truth",
                "Store the truths of FILE for predictions of MODEL; without FILE, show metrics.",
            ),
            "show": ("listing.show", "Show the metadata and the fields of the model NAME."),
        },
    ),
    "jobs": (
        "Create jobs, which predict files of any size in the background, and read their results.",
        {
            "cancel": ("jobs.managing.cancel", "Cancel JOB. It can be resumed."),
            "list": ("jobs.managing.list_jobs", "List the jobs, the newest first."),
            "problems": (
                "jobs.managing.problems",
                "Write the invalid rows of JOB, with line, field and reason, to a file.",
            ),
            "remove": (
                "jobs.managing.remove",
                "Remove JOB, which is finished, and its results.",
            ),
            "result": ("jobs.managing.result", "Write the result of JOB to a file."),
            "resume": (
                "jobs.managing.resume",
                "Continue JOB, which failed or was cancelled, with the rows that are not done.",
            ),
            "show": ("jobs.managing.show", "Show the state of JOB and its progress."),
            "submit": (
                "jobs.managing.submit",
                "Create a job that predicts the rows of FILE with the model NAME.",
            ),
            "work": (
                "jobs.working.work",
                "Run the jobs of JOBS_FOLDER, in addition to the server or instead of it.",
            ),
        },
    ),
    "log": (
        "Read the prediction log, and delete from it.",
        {
            "export": (
                "logged.log.export",
                "Write the logged predictions of MODEL, such as credit or credit@2, to a file.",
            ),
            "forget": (
                "logged.log.forget",
                "Delete logged predictions of MODEL, and overwrite their bytes.",
            ),
            "reference": (
                "logged.log.reference",
                "Make the first 1,000 logged predictions of MODEL its reference for drift.",
            ),
            "show": (
                "logged.log.show",
                "Show the last logged predictions of MODEL.",
            ),
        },
    ),
    "keys": (
        "Create and list API keys.",
        {
            "list": (
                "keys.list_keys",
                "List the keys of KEYS_FILE and KEYS, without their hashes.",
            ),
            "new": (
                "keys.new",
                "Create a key. It is shown once: the server stores only its hash.",
            ),
        },
    ),
}
#: The commands that only ``modelhost`` has: in a checkout, `make run` serves the models.
MODELHOST_COMMANDS: Mapping[str, tuple[str, str]] = {
    "init": (
        "adding.init",
        "Write a commented models.yaml and a .gitignore to the current folder.",
    ),
    "ray": (
        "scaling.ray_config.ray",
        "Write a configuration of Ray Serve for the entries marked `ray`.",
    ),
    "work": (
        "jobs.working.work",
        "Run the jobs of JOBS_FOLDER, in addition to the server or instead of it.",
    ),
    "serve": ("serving.serve", "Serve model FILES, or the models of models.yaml."),
}


class LazyCommand(click.Command):
    """A command whose module is imported when it runs or completes its options.

    Until then only its name and its help are known: importing all commands takes a second.
    """

    def __init__(self, name: str, function: str, help_text: str) -> None:
        super().__init__(name, short_help=help_text)
        self._function = function

    def load(self) -> click.Command:
        """Import the command."""
        module, _, function = self._function.rpartition(".")
        imported = importlib.import_module(f"app.cli.commands.{module}")
        return cast(click.Command, getattr(imported, function))

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Return a context of the imported command, which click then runs."""
        return self.load().make_context(info_name, args, parent, **extra)


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


def _build_group(name: str, help_text: str, commands: Mapping[str, tuple[str, str]]) -> click.Group:
    group = click.Group(name, help=help_text)
    for command, (function, command_help) in commands.items():
        group.add_command(LazyCommand(command, function, command_help))
    return group

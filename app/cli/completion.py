"""Names of models for the completion of shells, read without importing models or numpy."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

#: The commands whose first argument is a model, and whether it may be a file instead.
OF_MODELS: Mapping[str, bool] = {
    "adding.pin": False,
    "checking.check": True,
    "jobs.managing.submit": False,
    "listing.show": False,
    "logged.log.export": False,
    "logged.log.forget": False,
    "logged.log.reference": False,
    "logged.log.show": False,
    "logged.truth.truth": False,
    "predicting.predict": False,
}
#: Endings of model files, see mlmodel/bounded/filetypes.py, which imports numpy.
ENDINGS = re.compile(r"(\.\w{1,6})(\.(gz|bz2|xz|zst|zlib|lz4))?$")


class ModelArgument(click.Argument):
    """The name of a model, or also a file."""

    def __init__(self, *, may_be_file: bool) -> None:
        super().__init__(["model"])
        self._may_be_file = may_be_file

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the models that begin with a text."""
        names = dict.fromkeys(list_names()) if "/" not in incomplete else ()
        found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
        is_file = self._may_be_file and not found
        return [CompletionItem(incomplete, type="file")] if is_file else found


def list_names() -> Iterator[str]:
    """Yield the names of models in ``models.yaml``, as far as they are found without loading.

    A packaged file may have a name of its own, which is not read here.
    """
    # Help needs neither of them.
    from ruamel.yaml import YAML  # noqa: PLC0415

    import config  # noqa: PLC0415

    entries: Any = []
    # An error would appear in the command line of the shell.
    with suppress(Exception):
        path = config.ROOT / config.settings(os.environ)["MODELS_FILE"]
        entries = YAML(typ="safe").load(path.read_text(encoding="utf-8"))["models"]
    for entry in entries:
        with suppress(Exception):
            name = entry.get("name") or _get_own_name(entry)
            yield name
            if entry.get("version"):
                yield f"{name}@{entry['version']}"


def _get_own_name(entry: Mapping[str, str]) -> str:
    if "file" in entry:
        address = entry["file"].partition("?")[0]
        if address.startswith("models:/"):
            return re.split("[@/]", address.removeprefix("models:/").lstrip("/"))[0]
        name = ENDINGS.sub("", address.rstrip("/").rpartition("/")[2])
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-_.")
    if "remote" in entry:
        return entry["model"].partition("@")[0]
    module, _, name = entry["class"].rpartition(".")
    inner = Path(*module.split(".")).with_suffix(".py")
    file = next(found for each in sys.path if (found := Path(each, inner)).exists())
    return next(
        ast.literal_eval(line.value)
        for each in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(each, ast.ClassDef) and each.name == name
        for line in each.body
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "qualified_name"
    )

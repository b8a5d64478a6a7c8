"""What a server writes to a terminal, for the person who has just started it."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import logs

#: Seconds within which other processes of the server do not repeat a record.
REPEAT_SECONDS = 60


def adapt(config: dict[str, Any], settings: Mapping[str, Any], folder: Path | None) -> None:
    """Adapt a configuration of logging to a terminal: omit gunicorn's steps and repeated records.

    :param folder: a folder that the processes of the server share.
    """
    is_debug = settings["LOG_LEVEL"] == "DEBUG"
    if is_debug or logs.is_json(settings) or folder is None or not sys.stderr.isatty():
        return
    config["loggers"]["gunicorn.error"]["level"] = "WARNING"
    config["filters"] = {"once": {"()": Once, "folder": folder}}
    config["handlers"]["lines"]["filters"] = ["once"]


class Once(logging.Filter):
    """Drops what another process of the server has just written: each loads the same models.

    Records of requests, from other loggers, are all kept.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether no other process has written this record within REPEAT_SECONDS."""
        if not record.name.startswith("app.serving."):
            return True
        text = f"{record.levelno} {record.name} {record.getMessage()}"
        path = self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.written"
        try:
            return _is_new(path)
        except OSError:  # the folder is removed when the server stops
            return True


def _is_new(path: Path) -> bool:
    """Write the id of this process to a file; return false if another has just written its own."""
    own = str(os.getpid())
    try:
        with path.open("x") as file:
            file.write(own)
    except FileExistsError:
        age = time.time() - path.stat().st_mtime
        if age < REPEAT_SECONDS and path.read_text() != own:
            return False
        path.write_text(own)
    return True


def describe(models: Iterable[Any]) -> Iterator[str]:
    """Yield a line for each model: its name, its status, and what is wrong with it.

    The last line is about the server, whose master is the parent of this process.
    """
    models = list(models)
    width = max((len(model.public_name) for model in models), default=0)
    for model in models:
        failing = [model.about.failing_example] if model.about.failing_example else []
        wrong = [model.state.detail] if model.state.detail else [*failing, *model.notes]
        # An error of several lines is one line here.
        text = f"{model.status}: {'; '.join(wrong)}" if wrong else str(model.status)
        yield f"  {model.public_name:{width}}  {' '.join(text.split())}"
    yield f"Ctrl-C stops the server, and kill -HUP {os.getppid()} reloads its models."

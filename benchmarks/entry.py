"""What the driver must know of a server to start it, ask it and read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.models import Answer, Model, Row

#: Forms of a request's body: one row; many as objects; many as columns or tensors.
ROW, ROWS, COLUMNS = "row", "rows", "columns"


@dataclass(frozen=True)
class Stage:
    """What a server is started with."""

    #: Names of the models; ``folder`` has NAME.joblib, NAME.flm and NAME.fields.json of each.
    models: Sequence[str]
    folder: Path
    #: An empty folder of the server's own.
    scratch: Path
    workers: int
    #: The port to listen on; the next three are free as well.
    port: int
    #: The folder of the environment's programs.
    programs: Path


@dataclass(frozen=True)
class Command:
    """A program to start."""

    arguments: list[str]
    folder: Path
    environ: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One server in one configuration."""

    name: str
    #: What it is and what it answers, for the report.
    about: str
    start: Callable[[Stage], Command]
    #: The path that takes a form of body, from the model's name and the form.
    path: Callable[[str, str], str]
    #: A body in a form; a list of one row for ``ROW``. Without a line break.
    body: Callable[[Model, list[Row], str], bytes]
    #: The answers in a response's body, from the model, the body and the form.
    answers: Callable[[Model, bytes, str], list[Answer]]
    #: The name of its file in requirements/; None for the environment of this project.
    requirements: str | None = None
    forms: Sequence[str] = (ROW, ROWS)
    #: Whether one server has several models.
    is_shared: bool = True

    @property
    def is_ours(self) -> bool:
        """Whether it is Modelhost."""
        return self.requirements is None


def to_json(content: Any) -> bytes:
    """Write JSON as clients do: nothing between its parts."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


def row_or_rows(_: Model, rows: list[Row], form: str) -> bytes:
    """Write a bare object, or an array of them."""
    return to_json(rows[0] if form == ROW else rows)


def labelled(_: Model, body: bytes, form: str) -> list[Answer]:
    """Read ``{"prediction": ..., "probabilities": {...}}``, or an array of them."""
    content = json.loads(body)
    return [
        Answer(each["prediction"], each.get("probabilities"))
        for each in ([content] if form == ROW else content)
    ]

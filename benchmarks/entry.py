"""The description of a server: how to start it, send requests and parse responses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.models import Model, Prediction, Row

#: Forms of a request body: one row; many rows as objects; many rows as columns or tensors.
ROW, ROWS, COLUMNS = "row", "rows", "columns"


@dataclass(frozen=True)
class Stage:
    """The parameters of one start of a server."""

    #: Names of the models; ``folder`` has NAME.joblib, NAME.flm and NAME.fields.json of each.
    models: Sequence[str]
    folder: Path
    #: An empty folder for the server.
    scratch: Path
    workers: int
    #: The port to listen on. The next three ports are free too.
    port: int
    #: The folder with the programs of the environment.
    programs: Path


@dataclass(frozen=True)
class Command:
    """A command line, with its working directory and environment."""

    arguments: list[str]
    folder: Path
    environ: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One server in one configuration."""

    name: str
    #: A description for the report.
    about: str
    start: Callable[[Stage], Command]
    #: Returns the URL path for a model's name and a form of body.
    path: Callable[[str, str], str]
    #: Returns a request body without line breaks. For ``ROW``, the list has one row.
    body: Callable[[Model, list[Row], str], bytes]
    #: Returns the predictions in a response body.
    parse: Callable[[Model, bytes, str], list[Prediction]]
    #: The name of a file in requirements/; None for this project's environment.
    requirements: str | None = None
    #: Headers that clients, load balancers and proxies add to its requests.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Waits until a server that has started works as it will from then on.
    settle: Callable[[int, Sequence[str]], None] | None = None
    forms: Sequence[str] = (ROW, ROWS)
    #: Whether one server serves several models.
    is_shared: bool = True

    @property
    def is_ours(self) -> bool:
        """Whether it is Modelhost."""
        return self.requirements is None


def to_json(content: Any) -> bytes:
    """Write compact JSON."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


def row_or_rows(_: Model, rows: list[Row], form: str) -> bytes:
    """Write one row as an object, or many rows as an array."""
    return to_json(rows[0] if form == ROW else rows)


def parse_labels(_: Model, body: bytes, form: str) -> list[Prediction]:
    """Parse ``{"prediction": ..., "probabilities": {...}}``, or an array of them."""
    content = json.loads(body)
    return [
        Prediction(each["prediction"], each.get("probabilities"))
        for each in ([content] if form == ROW else content)
    ]

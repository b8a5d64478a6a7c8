"""The errors of holding and asking models.

    ServingError
    ├── InvalidCatalog        models.yaml has mistakes
    ├── ModelNotFound         no model of that name
    ├── EndpointNotFound      the model offers nothing of that name
    ├── ArtifactNotFound      the model comes with no such file, or does not offer it
    ├── ModelUnavailable      the model is not loaded, and is not loaded now
    ├── QueueFull             as many calls wait for the model as may
    ├── TooManyRows           more rows at once than the limit
    ├── UnreadableFile        a file of rows cannot be read
    ├── PredictionTimeout     the model took longer than its limit
    ├── NoRoom                the processes have no room to show each other a change
    ├── PredictionFailed      the model raised an error
    └── InvalidAnswer         the model answered what its output schema forbids

An error carries its facts as attributes and knows nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class ServingError(Exception):
    """Whatever can go wrong while holding and asking models."""


@dataclass(frozen=True)
class Mistake:
    """One mistake in ``models.yaml``: its line, from 1, its key, and what would be right."""

    line: int
    key: str
    detail: str


class InvalidCatalog(ServingError):
    """``models.yaml`` has mistakes; all of them are named."""

    def __init__(self, path: Path, mistakes: Sequence[Mistake]) -> None:
        lines = [f"{path.name}, line {each.line}: {each.key} {each.detail}" for each in mistakes]
        super().__init__("\n".join(lines))
        self.path = path
        self.mistakes = tuple(mistakes)

    @property
    def places(self) -> list[str]:
        """Where the mistakes are, without what stands there."""
        return [f"{self.path.name}, line {each.line}: {each.key}" for each in self.mistakes]


class ModelNotFound(ServingError):
    """No model of that name, or no such version of it, is hosted."""

    def __init__(self, name: str, version: str = "") -> None:
        what = f"no version or alias {version!r} of the model" if version else "no model"
        super().__init__(f"there is {what} {name!r}")
        self.name = name
        self.version = version


class EndpointNotFound(ServingError):
    """The model offers nothing of that name beside predict."""

    def __init__(self, name: str, endpoint: str) -> None:
        super().__init__(f"the model {name!r} has no endpoint {endpoint!r}")
        self.name = name
        self.endpoint = endpoint


class ArtifactNotFound(ServingError):
    """The model comes with no file of that name, or ``models.yaml`` does not offer it."""

    def __init__(self, name: str, artifact: str) -> None:
        super().__init__(f"the model {name!r} offers no file {artifact!r}")
        self.name = name
        self.artifact = artifact


class ModelUnavailable(ServingError):
    """The model is not loaded, and is not loaded now."""

    def __init__(self, name: str, status: str, reason: str | None) -> None:
        super().__init__(f"the model {name!r} is {status}" + (f": {reason}" if reason else ""))
        self.name = name
        self.status = status
        self.reason = reason


class QueueFull(ServingError):
    """As many calls wait for the model as may."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"as many calls as may ({limit}) are waiting for the model")
        self.limit = limit


class TooManyRows(ServingError):
    """More rows came at once than the limit."""

    def __init__(self, limit: int, rows: int) -> None:
        super().__init__(f"at most {limit:,} rows at once, got {rows:,}")
        self.limit = limit
        self.rows = rows


class UnreadableFile(ServingError):
    """A file of rows cannot be read: in no known encoding, or of a format that has no reader."""


class PredictionTimeout(ServingError):
    """The model took longer than its limit."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the model took longer than {seconds:g} seconds")
        self.seconds = seconds


class NoRoom(ServingError):
    """The folder in which the processes show each other changes is full or gone."""

    def __init__(self, error: OSError) -> None:
        super().__init__(
            "nothing was changed: the server's temporary folder (TMPDIR) cannot be written: "
            f"{error.strerror}"
        )


class PredictionFailed(ServingError):
    """The model raised an error, which is the cause of this one."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the model {name!r} failed")
        self.name = name


class InvalidAnswer(ServingError):
    """The model answered what its output schema forbids, or what JSON cannot say."""

"""The errors of models and model files.

    FlmError
    ├── InvalidModel              a model does not keep to the MLModel interface
    ├── InvalidSchema             a schema is no JSON Schema, or refers outside itself
    ├── InvalidInput              a row breaks the model's input schema
    ├── InvalidFile               a file is not a readable .flm file
    │   ├── BadHeader             its first bytes are not a header
    │   ├── UnknownProtocol       a protocol that nobody has published
    │   ├── UnknownCompression    a codec that nobody has published
    │   ├── UnknownModelKind      neither binary nor bundle
    │   ├── TruncatedFile         it ends before its sizes say so
    │   ├── CorruptSection        a section does not decompress or decode
    │   ├── BadMetadata           its metadata is not what the format says
    │   ├── BadArtifact           an artifact's name leads out of its folder, or comes twice
    │   ├── TooLarge              it expands beyond the limit
    │   └── WrongHash             its bytes are not those that were asked for
    ├── UnsupportedFramework      no adapter writes or builds this kind of model
    ├── MissingFramework          the model's framework is not installed
    │   └── UnusableFramework     it is, and cannot be imported as it is
    ├── Untrusted                 building it could run code that nobody has vouched for
    ├── VersionMismatch           it was packaged with other versions than run now
    └── BrokenModel               the framework could not build the model from the file

An error carries its facts as attributes and knows nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


class FlmError(Exception):
    """Whatever can be wrong with a model, its schema, its input or its file."""


class InvalidModel(FlmError):
    """A model does not keep to the :class:`~mlmodel.model.MLModel` interface."""


class InvalidSchema(FlmError):
    """A document is no JSON Schema, or refers to something outside itself."""


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong with one row.

    ``pointer`` is the JSON Pointer (RFC 6901) of the value within its row, ``""`` for the
    row itself. ``row`` is the row's place among those that were sent together.
    """

    pointer: str
    detail: str
    row: int = 0


def summary(
    violations: Sequence[Violation], whole: str = "the whole", most: int | None = None
) -> str:
    """Return the first violation in words, and how many more there are.

    :param whole: names the value itself, whose pointer is empty.
    :param most: the number of violations up to which they were counted.
    """
    first, others = violations[0], len(violations) - 1
    count = "many" if most is not None and others >= most else f"{others:,}"
    return f"{first.pointer or whole}: {first.detail}{f' (and {count} more)' if others else ''}"


class InvalidInput(FlmError):
    """A row breaks the model's input schema.

    A model raises it too, for what its schema cannot say:
    ``raise InvalidInput("must be later than start", pointer="/end")``.
    """

    violations: tuple[Violation, ...]

    def __init__(
        self, detail: str, pointer: str = "", violations: Sequence[Violation] = ()
    ) -> None:
        super().__init__(detail)
        self.violations = tuple(violations) or (Violation(pointer, detail),)

    def at(self, row: int) -> InvalidInput:
        """Return the same error of a row in another place."""
        return InvalidInput(
            str(self), violations=[replace(each, row=row) for each in self.violations]
        )

    def placed(self, places: Sequence[int]) -> InvalidInput:
        """Return the same error of rows that stood at these places among others."""
        placed = [replace(each, row=places[each.row]) for each in self.violations]
        return InvalidInput(str(self), violations=placed)

    def moved(self, rows: int) -> InvalidInput:
        """Return the same error of rows that have so many others before them."""
        moved = [replace(each, row=each.row + rows) for each in self.violations]
        return InvalidInput(str(self), violations=moved)


class InvalidFile(FlmError):
    """A file is not a readable ``.flm`` file."""


class BadHeader(InvalidFile):
    """The first bytes are not those of any ``.flm`` container."""


class UnknownProtocol(InvalidFile):
    """The header names a protocol that nobody has published."""

    def __init__(self, protocol: int) -> None:
        super().__init__(f"protocol must be 1 or 2, got {protocol}")
        self.protocol = protocol


class UnknownCompression(InvalidFile):
    """The header or a section names a codec that nobody has published."""


class UnknownModelKind(InvalidFile):
    """The model section is neither binary nor a bundle."""

    def __init__(self, kind: int) -> None:
        super().__init__(f"the model's kind must be 0 (binary) or 1 (bundle), got {kind}")
        self.kind = kind


class TruncatedFile(InvalidFile):
    """The file ends before its own sizes say so."""


class CorruptSection(InvalidFile):
    """A section does not decompress or decode."""


class BadMetadata(InvalidFile):
    """The metadata is not what the format says."""


class BadArtifact(InvalidFile):
    """An artifact's name leads out of its folder, is empty, or comes twice."""


class TooLarge(InvalidFile):
    """The file expands beyond the limit."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the file expands to more than the limit of {limit_bytes:,} bytes")
        self.limit_bytes = limit_bytes


class WrongHash(InvalidFile):
    """The file's bytes are not those that were asked for."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"sha256 must be {expected}, the file has {found}")
        self.expected = expected
        self.found = found


class UnsupportedFramework(FlmError):
    """No adapter writes or builds this kind of model."""


class MissingFramework(FlmError):
    """The model's framework is not installed."""

    def __init__(self, framework: str, install: str) -> None:
        super().__init__(f"{framework} is not installed; install it with: {install}")
        self.framework = framework
        self.install = install


class UnusableFramework(MissingFramework):
    """The model's framework is installed, and cannot be imported: it may be too old, or damaged.

    ``module`` is the one that failed; its own words may name paths.
    """

    def __init__(self, framework: str, install: str, module: str) -> None:
        FlmError.__init__(
            self,
            f"{framework} is installed, but {module or 'a part of it'} cannot be imported as it is "
            f"here: it may be too old, or damaged; renew it with --upgrade: {install}",
        )
        self.framework = framework
        self.install = install
        self.module = module


class VersionMismatch(FlmError):
    """The model was packaged with other versions than run now, and that was not to be."""

    def __init__(self, drifted: str) -> None:
        super().__init__(f"it was packaged with other versions: {drifted}")


class Untrusted(FlmError):
    """Building the model could run code, and nobody has said that it may.

    ``types`` are the names of the classes and functions that were not expected, if it was they.
    """

    def __init__(self, detail: str, types: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.types = tuple(types)


class BrokenModel(FlmError):
    """The framework could not build the model from the file.

    ``summary`` is the message without the framework's own words, which may name paths.
    """

    def __init__(self, summary: str, words: str = "") -> None:
        super().__init__(f"{summary}: {words}" if words else summary)
        self.summary = summary

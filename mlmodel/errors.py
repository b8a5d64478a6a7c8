"""The errors of models and model files.

    FlmError
    ├── InvalidModel              the model violates the MLModel interface
    ├── InvalidSchema             the schema is not a JSON Schema, or refers outside itself
    ├── InvalidInput              the row violates the model's input schema
    ├── InvalidFile               the file is not a readable model file
    │   ├── BadHeader             the first bytes are not a known header
    │   ├── UnknownProtocol       the protocol number is undefined
    │   ├── UnknownCompression    the codec is undefined or unsupported
    │   ├── UnknownModelKind      the model is neither binary nor a bundle
    │   ├── TruncatedFile         the file is shorter than its declared sizes
    │   ├── CorruptSection        a section does not decompress or decode
    │   ├── BadMetadata           the metadata violates the format
    │   ├── BadArtifact           an artifact's name leaves its folder or occurs twice
    │   ├── TooLarge              the file expands beyond the limit
    │   └── WrongHash             the file's SHA-256 differs from the expected one
    ├── UnsupportedFramework      no adapter writes or builds this kind of model
    ├── MissingFramework          the model's framework is not installed
    │   └── UnusableFramework     the framework is installed but cannot be imported
    ├── Untrusted                 building the model could run code that is not trusted
    ├── VersionMismatch           the installed versions differ from the packaged ones
    └── BrokenModel               the framework could not build the model from the file

An error carries its facts as attributes and is independent of HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


class FlmError(Exception):
    """Root class of the errors of models, their schemas, inputs and files."""


class InvalidModel(FlmError):
    """The model violates the :class:`~mlmodel.model.MLModel` interface."""


class InvalidSchema(FlmError):
    """The document is not a JSON Schema, or refers to something outside itself."""


@dataclass(frozen=True)
class Violation:
    """One reason why a row is invalid.

    ``pointer`` is the JSON Pointer (RFC 6901) of the value within its row, ``""`` for the
    row itself. ``row`` is the row's index in its request.
    """

    pointer: str
    detail: str
    row: int = 0


def summary(
    violations: Sequence[Violation], whole: str = "the whole", most: int | None = None
) -> str:
    """Return the first violation as text, and the number of further ones.

    :param whole: replaces the empty pointer, which is that of the value itself.
    :param most: the number of violations at which the validator stopped counting.
    """
    first, others = violations[0], len(violations) - 1
    count = "many" if most is not None and others >= most else f"{others:,}"
    return f"{first.pointer or whole}: {first.detail}{f' (and {count} more)' if others else ''}"


class InvalidInput(FlmError):
    """The row violates the model's input schema.

    A model also raises it for rules that its schema cannot express:
    ``raise InvalidInput("must be later than start", pointer="/end")``.
    """

    violations: tuple[Violation, ...]

    def __init__(
        self, detail: str, pointer: str = "", violations: Sequence[Violation] = ()
    ) -> None:
        super().__init__(detail)
        self.violations = tuple(violations) or (Violation(pointer, detail),)

    def at(self, row: int) -> InvalidInput:
        """Return the same error with ``row`` as the index of every violation."""
        return InvalidInput(
            str(self), violations=[replace(each, row=row) for each in self.violations]
        )

    def map_rows(self, indices: Sequence[int]) -> InvalidInput:
        """Return the same error with each row index replaced by ``indices[row]``."""
        mapped = [replace(each, row=indices[each.row]) for each in self.violations]
        return InvalidInput(str(self), violations=mapped)

    def shift_rows(self, count: int) -> InvalidInput:
        """Return the same error with ``count`` added to each row index."""
        shifted = [replace(each, row=each.row + count) for each in self.violations]
        return InvalidInput(str(self), violations=shifted)


class InvalidFile(FlmError):
    """The file is not a readable model file."""


class BadHeader(InvalidFile):
    """The first bytes are not those of any known model file."""


class UnknownProtocol(InvalidFile):
    """The protocol number is undefined."""

    def __init__(self, protocol: int) -> None:
        super().__init__(f"protocol must be 1 or 2, got {protocol}")
        self.protocol = protocol


class UnknownCompression(InvalidFile):
    """The codec is undefined or unsupported."""


class UnknownModelKind(InvalidFile):
    """The model section is neither binary nor a bundle."""

    def __init__(self, kind: int) -> None:
        super().__init__(f"the kind of the model must be 0 (binary) or 1 (bundle), got {kind}")
        self.kind = kind


class TruncatedFile(InvalidFile):
    """The file is shorter than its declared sizes."""


class CorruptSection(InvalidFile):
    """A section does not decompress or decode."""


class BadMetadata(InvalidFile):
    """The metadata violates the format."""


class BadArtifact(InvalidFile):
    """An artifact's name leaves its folder, is empty, or occurs twice."""


class TooLarge(InvalidFile):
    """The file expands beyond the limit."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the file expands to more than the limit of {limit_bytes:,} bytes")
        self.limit_bytes = limit_bytes


class WrongHash(InvalidFile):
    """The file's SHA-256 differs from the expected one."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected a file with sha256 {expected}, got {found}")
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
    """The model's framework is installed but cannot be imported: it may be too old or damaged.

    ``module`` is the module that failed. Its own error message may contain paths.
    """

    def __init__(self, framework: str, install: str, module: str) -> None:
        FlmError.__init__(
            self,
            f"{framework} is installed, but {module or 'a part of it'} cannot be imported: it may "
            f"be too old or damaged; reinstall it with --upgrade: {install}",
        )
        self.framework = framework
        self.install = install
        self.module = module


class VersionMismatch(FlmError):
    """The installed versions differ from the packaged ones, and the caller requires equal ones."""

    def __init__(self, drifted: str) -> None:
        super().__init__(f"the file was packaged with other versions: {drifted}")


class Untrusted(FlmError):
    """Building the model could run code that is not trusted.

    ``types`` are the names of the classes and functions outside the allow-list, if that is why.
    """

    def __init__(self, detail: str, types: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.types = tuple(types)


class BrokenModel(FlmError):
    """The framework could not build the model from the file.

    ``summary`` is the message without the framework's own text, which may contain paths.
    """

    def __init__(self, summary: str, detail: str = "") -> None:
        super().__init__(f"{summary}: {detail}" if detail else summary)
        self.summary = summary

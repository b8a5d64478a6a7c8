"""Reads YAML files of JSON values, and reports each mistake with its line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, Node
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from app.serving.errors import Mistake

#: Maximum size of a file.
MAX_BYTES = 1_000_000
#: Maximum values in a file, counted again for each alias.
MAX_VALUES = 100_000
VARIABLE = re.compile(r"(\$?)\$\{(\w+)\}")


class _TooLargeError(ValueError):
    """A file exceeds ``MAX_BYTES`` or ``MAX_VALUES``."""


class Document:
    """A YAML file as plain JSON values in ``value``, with the line of each.

    ``mistakes`` lists why the file is not valid; it is empty for a valid file.

    :param source: the file, or its text.
    :param environ: the values of ``${NAME}``.
    """

    def __init__(self, source: Path | str, environ: Mapping[str, str]) -> None:
        self.mistakes: list[Mistake] = []
        self._environ = environ
        self._lines: dict[str, int] = {}
        self._count = 0
        # Pure Python, because only that reports duplicate keys and lines; and YAML 1.2, in which
        # "no" is a string and 1e3 a number.
        self._yaml = YAML(typ="safe", pure=True)
        self.value = self._read(source)

    def line(self, pointer: str) -> int:
        """Return the line of the value at a pointer, or of its nearest parent that exists."""
        while pointer not in self._lines and pointer:
            pointer = pointer.rpartition("/")[0]
        return self._lines.get(pointer, 1)

    def _read(self, source: Path | str) -> Any:  # noqa: PLR0911  one for each mistake
        try:
            root = self._yaml.compose(read_text(source))
            return self._value(root, "") if root is not None else None
        except FileNotFoundError:
            return self._reject("does not exist")
        except (OSError, UnicodeError):
            return self._reject("is not a readable UTF-8 file")
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            return self._reject(f"is not valid YAML: {error.problem}", mark.line + 1 if mark else 1)
        except YAMLError as error:
            return self._reject(f"is not valid YAML: {error}")
        except _TooLargeError as error:
            return self._reject(f"has more than {error}")
        except RecursionError:
            return self._reject("has an alias that contains itself")

    def _reject(self, detail: str, line: int | None = None) -> None:
        self.mistakes.append(Mistake(line, "the file", detail))

    def _value(self, node: Node, pointer: str) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise _TooLargeError(f"{MAX_VALUES:,} values, counting each alias as its values")
        self._lines.setdefault(pointer, node.start_mark.line + 1)
        if isinstance(node, MappingNode):
            return dict(self._members(node, pointer))
        if isinstance(node, SequenceNode):
            return [
                self._value(item, f"{pointer}/{index}") for index, item in enumerate(node.value)
            ]
        return self._scalar(node, pointer)

    def _members(self, node: MappingNode, pointer: str) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._report(pointer, "has a key that is not text")
                continue
            place = f"{pointer}/{key.value}"
            first, self._lines[place] = self._lines.get(place), key.start_mark.line + 1
            if key.value in seen:
                self._report(place, f"is a duplicate of the key on line {first}")
            seen.add(key.value)
            yield str(key.value), self._value(value, place)

    def _scalar(self, node: Any, pointer: str) -> Any:
        text = VARIABLE.sub(lambda match: self._variable(match, pointer), node.value)
        if text != node.value and node.style is None:
            # Resolve the type as if the text were in the file: ${PORT} becomes a number, as 8000.
            node.tag = self._yaml.resolver.resolve(ScalarNode, text, (True, False))
        node.value = text
        if str(node.tag).endswith(":timestamp"):
            return text  # JSON has no dates
        return self._construct(node, pointer)

    def _construct(self, node: Any, pointer: str) -> Any:
        try:
            value = self._yaml.constructor.construct_object(node, deep=True)
        except (ValueError, KeyError):  # such as "!!int abc", or a number with thousands of digits
            kind = str(node.tag).rpartition(":")[2]
            return self._report(pointer, f"must be a valid {kind}, got {node.value!r:.60}")
        if isinstance(value, float) and not math.isfinite(value):
            return self._report(pointer, f"must be a finite number, got {value}")
        if value is None or isinstance(value, str | bool | int | float):
            return value
        return self._report(pointer, f"must be a JSON value, got {type(value).__name__}")

    def _report(self, pointer: str, detail: str) -> None:
        self.mistakes.append(Mistake(self.line(pointer), to_key(pointer), detail))

    def _variable(self, match: re.Match[str], pointer: str) -> str:
        escaped, name = match.groups()
        if escaped:
            return f"${{{name}}}"
        if name not in self._environ:
            self._report(pointer, f"needs the environment variable {name}, which is not set")
        return self._environ.get(name, "")


def read_text(source: Path | str) -> str:
    """Return the text of a file, or a text given instead, if it is at most ``MAX_BYTES`` long.

    :raises _TooLargeError: if it is longer.
    :raises OSError: if the file cannot be read.
    :raises UnicodeError: if it is not UTF-8.
    """
    if isinstance(source, str):
        content = source.encode()
    else:
        with source.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _TooLargeError(f"{MAX_BYTES:,} bytes")
    return source if isinstance(source, str) else content.decode()


def to_key(pointer: str) -> str:
    """Return the key that a mistake reports for a JSON Pointer."""
    return pointer.removeprefix("/") or "the file"

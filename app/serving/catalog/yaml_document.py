"""YAML files of JSON values, with the line of every mistake."""

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

#: Maximum characters of a file, and values in it, counted again for each alias.
MOST_BYTES = 1_000_000
MOST_VALUES = 100_000
VARIABLE = re.compile(r"(\$?)\$\{(\w+)\}")


class _TooLongError(Exception):
    """A file exceeds ``MOST_BYTES`` or ``MOST_VALUES``."""


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
            text = source if isinstance(source, str) else source.read_text(encoding="utf-8")
            if len(text) > MOST_BYTES:
                raise _TooLongError
            root = self._yaml.compose(text)
            return self._value(root, "") if root is not None else None
        except FileNotFoundError:
            return self._refuse(1, "does not exist")
        except (OSError, UnicodeDecodeError):
            return self._refuse(1, "is not a readable UTF-8 file")
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            return self._refuse(mark.line + 1 if mark else 1, f"is not YAML: {error.problem}")
        except YAMLError as error:
            return self._refuse(1, f"is not YAML: {error}")
        except _TooLongError:
            most = f"{MOST_BYTES:,} characters or {MOST_VALUES:,} values"
            return self._refuse(1, f"has more than {most}, each counted for every alias of it")
        except RecursionError:
            return self._refuse(1, "has an alias inside of what it stands for")

    def _refuse(self, line: int, detail: str) -> None:
        self.mistakes.append(Mistake(line, "the file", detail))

    def _value(self, node: Node, pointer: str) -> Any:
        self._count += 1
        if self._count > MOST_VALUES:
            raise _TooLongError
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
                self._mistaken(pointer, "has a key that is no text")
                continue
            place = f"{pointer}/{key.value}"
            self._lines[place] = key.start_mark.line + 1
            if key.value in seen:
                self._mistaken(place, "is there twice")
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
        return self._constructed(node, pointer)

    def _constructed(self, node: Any, pointer: str) -> Any:
        try:
            value = self._yaml.constructor.construct_object(node, deep=True)
        except (ValueError, KeyError):  # such as "!!int abc", or a number with thousands of digits
            return self._mistaken(pointer, f"is no value of its type: {node.value!r:.60}")
        if isinstance(value, float) and not math.isfinite(value):
            return self._mistaken(pointer, f"must be a number that JSON can say, got {value}")
        if value is None or isinstance(value, str | bool | int | float):
            return value
        return self._mistaken(pointer, f"must be a value of JSON, got {type(value).__name__}")

    def _mistaken(self, pointer: str, detail: str) -> None:
        self.mistakes.append(Mistake(self.line(pointer), key_of(pointer), detail))

    def _variable(self, match: re.Match[str], pointer: str) -> str:
        escaped, name = match.groups()
        if escaped:
            return f"${{{name}}}"
        if name not in self._environ:
            detail = f"needs the environment variable {name}, which is not set"
            self._mistaken(pointer, detail)
        return self._environ.get(name, "")


def key_of(pointer: str) -> str:
    """Return the key that a mistake reports for a JSON Pointer."""
    return pointer.removeprefix("/") or "the file"

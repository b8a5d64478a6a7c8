"""``models.yaml``: which models are hosted, each mistake named with its line and key."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, Node
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

import mlmodel
from app.serving.errors import InvalidCatalog, Mistake
from mlmodel.errors import InvalidModel, InvalidSchema
from mlmodel.model import NAME, MLModel
from mlmodel.schema import Schema

#: What an entry may hold. The descriptions are those of docs/models-yaml.md.
ENTRY = {
    "type": "object",
    "properties": {
        "class": {"type": "string", "pattern": r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$"},
        "file": {"type": "string", "minLength": 1},
        "name": {"type": "string", "pattern": f"^{NAME.pattern}$"},
        "settings": {"type": "object"},
        "sha256": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
        "load": {"enum": ["start", "lazy"]},
        "input_schema": {"type": "object"},
        "examples": {"type": "array"},
    },
    "additionalProperties": False,
}
CATALOG = Schema(
    {
        "type": "object",
        "properties": {"models": {"type": "array", "items": ENTRY}},
        "required": ["models"],
        "additionalProperties": False,
    }
)

#: Keys that only one kind of entry has.
ONLY_WITH = {"settings": "class", "sha256": "file"}

VARIABLE = re.compile(r"(\$?)\$\{(\w+)\}")


@dataclass(frozen=True)
class ModelSpec:
    """One entry of ``models.yaml``: where a model comes from and how it is held."""

    line: int
    class_path: str | None = None
    file: Path | None = None
    name: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    sha256: str | None = None
    lazy: bool = False
    input_schema: Mapping[str, Any] | None = None
    examples: tuple[Any, ...] = ()

    @property
    def provisional_name(self) -> str:
        """The name of a model that could not say its own."""
        if self.name:
            return self.name
        source = self.file.stem if self.file else str(self.class_path).rpartition(".")[2]
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", source).strip("-_.") or "model"

    def create(self) -> MLModel:
        """Make the model, not yet loaded.

        :raises FlmError: if the class is no model, its settings do not fit, or the file is broken.
        :raises Exception: whatever the author's module raises when it is imported.
        """
        if self.file is not None:
            return mlmodel.load(
                self.file,
                sha256=self.sha256,
                input_schema=self.input_schema,
                qualified_name=self.name,
            )
        return self._create_from_class()

    def _create_from_class(self) -> MLModel:
        module_name, _, class_name = str(self.class_path).rpartition(".")
        found = getattr(importlib.import_module(module_name), class_name, None)
        if found is None:
            raise InvalidModel(f"module {module_name!r} has no {class_name!r}")
        if not (inspect.isclass(found) and issubclass(found, MLModel)):
            raise InvalidModel(f"{class_name!r} must be a class derived from mlmodel.MLModel")
        if inspect.isabstract(found):
            missing = ", ".join(sorted(found.__abstractmethods__))
            raise InvalidModel(f"{class_name!r} must define {missing}")
        return _made(found, self.settings)


def _made(model_class: type[MLModel], settings: Mapping[str, Any]) -> MLModel:
    try:
        inspect.signature(model_class).bind(**settings)
    except TypeError as error:
        raise InvalidModel(f"settings do not fit {model_class.__name__!r}: {error}") from error
    return model_class(**settings)


def read(path: Path, environ: Mapping[str, str]) -> list[ModelSpec]:
    """Return the entries of a ``models.yaml``.

    :param environ: what ``${NAME}`` in a value stands for.
    :raises InvalidCatalog: with every mistake that was found.
    """
    document = _Document(path, environ)
    mistakes = document.mistakes or list(_mistakes(document))
    if mistakes:
        raise InvalidCatalog(path, mistakes)
    return [
        _spec(entry, document.line(f"/models/{index}"), path.parent)
        for index, entry in enumerate(document.value["models"])
    ]


class _Document:
    """A YAML file as plain JSON values, with the line of each."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self.mistakes: list[Mistake] = []
        self._environ = environ
        self._lines: dict[str, int] = {}
        # Pure Python, because only that tells duplicate keys and lines; and YAML 1.2, in which
        # "no" is a word and 1e3 a number.
        self._yaml = YAML(typ="safe", pure=True)
        self.value = self._read(path)

    def line(self, pointer: str) -> int:
        """Return the line of what a pointer means, or of the nearest thing that holds it."""
        while pointer not in self._lines and pointer:
            pointer = pointer.rpartition("/")[0]
        return self._lines.get(pointer, 1)

    def _read(self, path: Path) -> Any:
        try:
            root = self._yaml.compose(path.read_text(encoding="utf-8"))
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
        except RecursionError:
            return self._refuse(1, "has an alias inside of what it stands for")

    def _refuse(self, line: int, detail: str) -> None:
        self.mistakes.append(Mistake(line, "the file", detail))

    def _value(self, node: Node, pointer: str) -> Any:
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
            place = f"{pointer}/{key.value}"
            self._lines[place] = key.start_mark.line + 1
            if key.value in seen:
                self.mistakes.append(Mistake(self.line(place), _key(place), "is there twice"))
            seen.add(key.value)
            yield str(key.value), self._value(value, place)

    def _scalar(self, node: Any, pointer: str) -> Any:
        text = VARIABLE.sub(lambda match: self._variable(match, pointer), node.value)
        if text != node.value and node.style is None:
            # As if the variable's text stood in the file: ${PORT} is a number where 8000 is one.
            node.tag = self._yaml.resolver.resolve(ScalarNode, text, (True, False))
        node.value = text
        if str(node.tag).endswith(":timestamp"):
            return text  # JSON has no dates
        return self._yaml.constructor.construct_object(node, deep=True)

    def _variable(self, match: re.Match[str], pointer: str) -> str:
        escaped, name = match.groups()
        if escaped:
            return f"${{{name}}}"
        if name not in self._environ:
            detail = f"needs the environment variable {name}, which is not set"
            self.mistakes.append(Mistake(self.line(pointer), _key(pointer), detail))
        return self._environ.get(name, "")


def _mistakes(document: _Document) -> Iterator[Mistake]:
    violations = CATALOG.violations(document.value)
    for violation in violations:
        yield Mistake(document.line(violation.pointer), _key(violation.pointer), violation.detail)
    if violations:
        return
    names: dict[str, int] = {}
    for index, entry in enumerate(document.value["models"]):
        place = f"/models/{index}"
        yield from (
            Mistake(document.line(place + at), _key(place + at), detail)
            for at, detail in _mistakes_of_entry(entry, names)
        )
        if "name" in entry:
            names.setdefault(entry["name"], document.line(f"{place}/name"))


def _mistakes_of_entry(
    entry: Mapping[str, Any], names: Mapping[str, int]
) -> Iterator[tuple[str, str]]:
    if ("class" in entry) == ("file" in entry):
        yield "", "must have either class or file"
        return
    for key, other in ONLY_WITH.items():
        if key in entry and other not in entry:
            yield f"/{key}", f"goes only with {other}"
    if entry.get("name") in names:
        yield "/name", f"{entry['name']!r} is the name in line {names[entry['name']]} already"
    try:
        Schema(entry.get("input_schema", True))
    except InvalidSchema as error:
        yield "/input_schema", f"is {error}"


def _key(pointer: str) -> str:
    return pointer.removeprefix("/") or "the file"


def _spec(entry: Mapping[str, Any], line: int, folder: Path) -> ModelSpec:
    return ModelSpec(
        line=line,
        class_path=entry.get("class"),
        file=folder / entry["file"] if "file" in entry else None,
        name=entry.get("name"),
        settings=entry.get("settings", {}),
        sha256=entry.get("sha256", "").lower() or None,
        lazy=entry.get("load") == "lazy",
        input_schema=entry.get("input_schema"),
        examples=tuple(entry.get("examples", ())),
    )

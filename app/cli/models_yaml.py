"""Edits of ``models.yaml`` that leave all other bytes unchanged.

The text is edited directly: a YAML round trip keeps comments but changes indents and lists.
"""

from __future__ import annotations

import io
import os
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode, SequenceNode

from app.cli.hosting import Hosting
from app.serving.catalog import catalog
from app.serving.catalog.model_spec import ModelSpec
from app.serving.errors import InvalidCatalog

Specs = Sequence[ModelSpec]


def add_entry(text: str, entry: Mapping[str, Any]) -> str:
    """Return the text of a models.yaml with an entry added after the last."""
    models = _models_node(text)
    if models.flow_style:
        return _add_flow_entry(text, models, entry)
    newline = _newline(text)
    end = text.find("\n", _end(models.value[-1])) + 1 or len(text)
    # Indent the entry like the last one, relative to its dash.
    dash = text[: models.value[-1].start_mark.index].rpartition("\n")[2]
    indent = " " * models.start_mark.column
    gap = dash[len(indent) + 1 :] if dash.startswith(f"{indent}-") else " "
    margin = indent + " " * (1 + len(gap))
    first, *others = _dump(entry).splitlines()
    lines = [f"{indent}-{gap}{first}", *(margin + line for line in others)]
    before = text[:end] if text[:end].endswith("\n") else text[:end] + newline
    return before + "".join(line + newline for line in lines) + text[end:]


def add_hash(text: str, index: int, sha256: str) -> str:
    """Return the text of a models.yaml with a hash added after the file of an entry.

    :param index: of the entry, from 0.
    """
    entry = _models_node(text).value[index]
    key, value = next((key, value) for key, value in entry.value if key.value == "file")
    if entry.flow_style:
        end, gap = value.end_mark.index, ", "
    else:
        # A comment stays on the line of the file.
        end = (text.find("\n", value.end_mark.index) + 1 or len(text) + 1) - 1
        gap = _newline(text) + " " * key.start_mark.column
    return f"{text[:end]}{gap}sha256: {sha256}{text[end:]}"


def replace_text(
    hosting: Hosting, text: str, expected: Specs, select: Callable[[Specs], Specs]
) -> int:
    """Replace models.yaml atomically, and return the line of its last entry.

    :param select: maps the new entries to those that must equal ``expected``.
    :raises ClickException: if they do not.
    :raises InvalidCatalog: if the new text has mistakes.
    """
    path = hosting.path.resolve()
    draft = path.with_name(f".{uuid.uuid4().hex}.yaml")
    try:
        with draft.open("xb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        draft.chmod(path.stat().st_mode)
        specs = catalog.read(draft, hosting.environ, fetching=hosting.fetching)
        if select(specs) != expected:
            raise click.ClickException(
                f"cannot edit {path.name} without changing other lines; edit it by hand"
            )
        draft.replace(path)
    except InvalidCatalog as error:
        raise InvalidCatalog(path, error.mistakes) from error
    finally:
        draft.unlink(missing_ok=True)
    return specs[-1].line


def _models_node(text: str) -> Any:
    """Return the YAML node of the list of models."""
    root = YAML(typ="safe", pure=True).compose(text)
    return next(value for key, value in root.value if key.value == "models")


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _add_flow_entry(text: str, models: SequenceNode, entry: Mapping[str, Any]) -> str:
    start, end = models.start_mark.index, models.end_mark.index
    if not models.value:
        block = "\n  - " + "\n    ".join(_dump(entry).splitlines())
        return text[:start].rstrip(" ") + block + text[end:]
    before = text[start : end - 1].rstrip()
    comma = "" if before.endswith(",") else ","
    flow = re.sub(r"\s*\n\s*", " ", _dump(entry, flow=True).strip())
    return f"{text[:start]}{before}{comma} {flow}]{text[end:]}"


def _end(node: Any) -> int:
    """Return the end of a node's last scalar: its own end mark is after trailing comments."""
    if isinstance(node, ScalarNode):
        # A block scalar ends after its last line break.
        return int(node.end_mark.index) - (node.style in {"|", ">"})
    if node.flow_style or not node.value:
        return int(node.end_mark.index)
    # The maximum over all children, because the target of an alias ends earlier in the file.
    return max(
        _end(part)
        for child in node.value
        for part in (child if isinstance(child, tuple) else (child,))
    )


def _dump(entry: Mapping[str, Any], *, flow: bool = False) -> str:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = flow
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 10_000
    stream = io.StringIO()
    yaml.dump(dict(entry), stream)
    return stream.getvalue()

"""``add``: add a model file to models.yaml without changing any other byte."""

from __future__ import annotations

import hashlib
import io
import os
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import click
from flask.cli import with_appcontext
from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode, SequenceNode

from app.cli.hosting import Hosting, hosting
from app.cli.terminal import (
    as_json_option,
    name_option,
    printable,
    say,
    trust_option,
    write_facts,
    write_json,
)
from app.serving.catalog import catalog
from app.serving.catalog.model_spec import ModelSpec
from app.serving.errors import InvalidCatalog
from app.serving.models.hosted import HostedModel, Status
from mlmodel.bounded import filetypes, safe_open


@click.command("add")
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@name_option
@click.option("--lazy", is_flag=True, help="Load it when it is first used.")
@click.option(
    "--pin/--no-pin",
    default=None,
    help="Add the SHA-256, by which the file is refused should it ever change, and trusted as it "
    "is. By default it is added to a file that needs no trust, or has it by --trust.",
)
@trust_option
@as_json_option
@with_appcontext
def add(
    *,
    file: Path,
    name: str | None,
    lazy: bool,
    pin: bool | None,
    trust: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write FILE into models.yaml, which is otherwise left as it is.

    The file is verified, and no model is built. Restart or reload the server to load it.
    """
    filetypes.check_folder(file)
    portal = hosting()
    specs = portal.specs()
    digest = hashlib.sha256(safe_open.content(file)).hexdigest()
    spec = ModelSpec(
        line=0,
        file=file,
        name=name,
        sha256=None if pin is False else digest,
        trust="all" if "all" in trust else trust,
        lazy=lazy,
    )
    # A hash makes the file trusted: without --pin, a rejected file does not get one.
    model = _introduced(portal, spec if pin else replace(spec, sha256=None))
    _refuse_duplicate(portal, specs, model)
    entry = _entry(spec, portal.path)
    text = _with_entry(portal.path, entry)
    line = write(portal, text, _placeless(specs), lambda after: _placeless(after[:-1]))
    if as_json:
        added = {"models_file": portal.path.name, "line": line, "name": model.name, "entry": entry}
        write_json(added)
        return
    place = f"{portal.path.name}, line {line}"
    write_facts([("added", model.name), ("to", place), *entry.items()])
    say("Restart or reload the server to load it.")


COMMANDS = (add,)


def _introduced(portal: Hosting, spec: ModelSpec) -> HostedModel:
    """Return the model of a file, which is verified but not built.

    :raises ClickException: if the file is broken.
    """
    file = cast(Path, spec.file).name
    say(f"Verifying {file} ...")
    [model] = portal.hold([replace(spec, lazy=True)])
    if model.status is Status.FAILED:
        raise click.ClickException(printable(f"{file} cannot be served: {model.reason}"))
    return model


def _refuse_duplicate(portal: Hosting, specs: Sequence[ModelSpec], model: HostedModel) -> None:
    path, file = portal.path.name, cast(Path, model.spec.file)
    for spec in specs:
        if spec.file is not None and spec.file.resolve() == file.resolve():
            raise click.ClickException(f"{file.name} is in {path} already, in line {spec.line}")
    for other in portal.hold([replace(spec, lazy=True) for spec in specs]):
        if other.name == model.name:
            raise click.ClickException(
                f"{path} has a model of the name {model.name!r} already, in line "
                f"{other.spec.line}; give this one another with --name"
            )


def _entry(spec: ModelSpec, models_file: Path) -> dict[str, Any]:
    file = cast(Path, spec.file)
    # Only the folder is resolved: the file may be a link to the current version of a model.
    path = os.path.relpath(file.parent.resolve() / file.name, models_file.parent.resolve())
    members = {
        # Escape "${", which would be read as a variable.
        "file": Path(path).as_posix().replace("${", "$${"),
        "name": spec.name,
        "sha256": spec.sha256,
        "trust": spec.trust if isinstance(spec.trust, str) else list(spec.trust),
        "load": "lazy" if spec.lazy else None,
    }
    return {key: value for key, value in members.items() if value}


def _with_entry(path: Path, entry: Mapping[str, Any]) -> str:
    """Return the text of a models.yaml with an entry added after the last.

    The text is edited directly: a YAML round trip keeps comments but changes indents and lists.
    """
    text = path.read_bytes().decode("utf-8")
    models = models_node(text)
    if models.flow_style:
        return _with_flow_entry(text, models, entry)
    newline = "\r\n" if "\r\n" in text else "\n"
    end = text.find("\n", _end(models.value[-1])) + 1 or len(text)
    # Indent the entry like the last one, relative to its dash.
    first, *others = _block(entry).splitlines()
    dash = text[: models.value[-1].start_mark.index].rpartition("\n")[2]
    indent = " " * models.start_mark.column
    gap = dash[len(indent) + 1 :] if dash.startswith(f"{indent}-") else " "
    margin = indent + " " * (1 + len(gap))
    lines = [f"{indent}-{gap}{first}", *(margin + line for line in others)]
    before = text[:end] if text[:end].endswith("\n") else text[:end] + newline
    return before + "".join(line + newline for line in lines) + text[end:]


def _with_flow_entry(text: str, models: SequenceNode, entry: Mapping[str, Any]) -> str:
    start, end = models.start_mark.index, models.end_mark.index
    if not models.value:
        lines = _block(entry).splitlines()
        block = "\n  - " + "\n    ".join(lines)
        return text[:start].rstrip(" ") + block + text[end:]
    kept = text[start : end - 1].rstrip()
    comma = "" if kept.endswith(",") else ","
    return f"{text[:start]}{kept}{comma} {_flow(entry)}]{text[end:]}"


def models_node(text: str) -> Any:
    """Return the YAML node of the list of models in a text."""
    root = YAML(typ="safe", pure=True).compose(text)
    return next(value for key, value in root.value if key.value == "models")


def _end(node: Any) -> int:
    """Return the end of a node's last scalar: its own end mark lies after trailing comments."""
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


def _block(entry: Mapping[str, Any]) -> str:
    return _dumped(entry, flow=False)


def _flow(entry: Mapping[str, Any]) -> str:
    return re.sub(r"\s*\n\s*", " ", _dumped(entry, flow=True).strip())


def _dumped(entry: Mapping[str, Any], flow: bool) -> str:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = flow
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 10_000
    stream = io.StringIO()
    yaml.dump(dict(entry), stream)
    return stream.getvalue()


def write(
    portal: Hosting,
    text: str,
    before: Sequence[ModelSpec],
    kept: Callable[[Sequence[ModelSpec]], Sequence[ModelSpec]],
) -> int:
    """Replace models.yaml atomically, and return the line of its last entry.

    :param before: the entries that must not change.
    :param kept: selects the same from the entries read after the change.
    :raises ClickException: if they would change.
    :raises InvalidCatalog: if the new text has mistakes.
    """
    path = portal.path.resolve()
    draft = path.with_name(f".{uuid.uuid4().hex}.yaml")
    try:
        with draft.open("xb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        draft.chmod(path.stat().st_mode)
        specs = catalog.read(draft, portal.environ)
        if list(kept(specs)) != list(before):
            raise click.ClickException(f"{path.name} is written in a way that cannot be changed")
        draft.replace(path)
    except InvalidCatalog as error:
        raise InvalidCatalog(path, error.mistakes) from error
    finally:
        draft.unlink(missing_ok=True)
    return specs[-1].line


def _placeless(specs: Sequence[ModelSpec]) -> list[ModelSpec]:
    # models.yaml may be a link; the draft is next to its target, so that paths differ.
    return [replace(spec, file=None) for spec in specs]

"""``add``: write a model file into models.yaml, and leave every other byte as it is."""

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
from app.serving.catalog.catalog import ModelSpec
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

    The file is verified, and no model is built. The server takes it in when it starts again.
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
    # A hash says that the file is trusted: without --pin, it is not added to one that is refused.
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
    say("The server takes it in when it starts again.")


COMMANDS = (add,)


def _introduced(portal: Hosting, spec: ModelSpec) -> HostedModel:
    """Return the model of a file, verified and not built.

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
    # The file itself is not resolved: it may be a link to whichever model is the current one.
    path = os.path.relpath(file.parent.resolve() / file.name, models_file.parent.resolve())
    members = {
        # What looks like a variable in the path is none.
        "file": Path(path).as_posix().replace("${", "$${"),
        "name": spec.name,
        "sha256": spec.sha256,
        "trust": spec.trust if isinstance(spec.trust, str) else list(spec.trust),
        "load": "lazy" if spec.lazy else None,
    }
    return {key: value for key, value in members.items() if value}


def _with_entry(path: Path, entry: Mapping[str, Any]) -> str:
    """Return the text of a models.yaml with an entry more after the last.

    Not a round trip through YAML: that keeps comments, and sets indents and lists anew.
    """
    text = path.read_bytes().decode("utf-8")
    models = models_node(text)
    if models.flow_style:
        return _with_flow_entry(text, models, entry)
    newline = "\r\n" if "\r\n" in text else "\n"
    end = text.find("\n", _end(models.value[-1])) + 1 or len(text)
    # The lines of an entry, below the place of its dash.
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
    """Return where the last word of a node ends: its own mark lies behind the comments after it."""
    if isinstance(node, ScalarNode):
        # A text over several lines ends behind its last line break.
        return int(node.end_mark.index) - (node.style in {"|", ">"})
    if node.flow_style or not node.value:
        return int(node.end_mark.index)
    # All of them, because what an alias stands for ends somewhere before.
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
    """Replace models.yaml, whole or not at all, and return the line of its last entry.

    :param before: what must not change.
    :param kept: returns the same of the entries as they are read after the change.
    :raises ClickException: if that would change.
    :raises InvalidCatalog: if the entry cannot be.
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
    # models.yaml may be a link, and its draft lies beside what it leads to.
    return [replace(spec, file=None) for spec in specs]

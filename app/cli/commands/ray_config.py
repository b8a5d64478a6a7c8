"""``ray``: write a configuration of Ray Serve."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from ruamel.yaml import YAML

from app.cli.hosting import Hosting, pass_hosting
from app.cli.terminal import command, file_option, write_message
from app.serving.catalog.model_spec import ModelSpec

#: What builds an application, in the installed package.
IMPORT_PATH = "modelhost.ray_serve:build"
#: Requests beyond those that run, which a replica accepts: its models have queues of their own.
WAITING_FACTOR = 4
#: Above the configuration. ``serve`` is the command of Ray.
COMMENT = """\
# Written by `modelhost ray`. To deploy it: serve deploy FILE
# Each node needs Modelhost, and the same models.yaml and files at the same paths.
# Entries of models.yaml for the server with the pages:
{entries}"""


@command("ray")
@file_option(
    "--output",
    help="The file to write, instead of stdout.",
)
@click.option(
    "--address",
    default="http://localhost:8000",
    help="Address of Ray Serve, for the entries of the server with the pages.",
)
@pass_hosting
def ray(hosting: Hosting, output: Path | None, address: str) -> None:
    """Write a configuration of Ray Serve for the entries marked `ray`.

    Ray starts the replicas on the nodes of its cluster. Each serves one model, with its API and
    pages, below a path with the model's name.
    """
    specs = [spec for spec in hosting.read_specs() if spec.ray is not None]
    if not specs:
        raise click.ClickException(f"{hosting.path.name} has no entry with 'ray'")
    threads = hosting.settings["MODEL_THREADS"]
    path = str(hosting.path.absolute())
    document = {
        "proxy_location": "EveryNode",
        "applications": [_build_application(spec, path, threads) for spec in specs],
    }
    entries = "".join(_write_entry(spec, address.rstrip("/")) for spec in specs)
    with click.open_file(str(output or "-"), "w", encoding="utf-8") as stream:
        stream.write(COMMENT.format(entries=entries))
        YAML().dump(document, stream)
    if output:
        count = len(specs)
        write_message(f"Wrote {count} application{'s' if count > 1 else ''} to {output}")


def _build_application(spec: ModelSpec, path: str, threads: int) -> Mapping[str, Any]:
    options = dict(spec.ray or {})
    deployment = {
        "name": "Model",
        "num_replicas": options.pop("num_replicas", 1),
        "max_ongoing_requests": WAITING_FACTOR * threads,
        "ray_actor_options": {"num_cpus": 1} | options,
    }
    return {
        "name": _to_path(spec),
        "route_prefix": f"/{_to_path(spec)}",
        "import_path": IMPORT_PATH,
        "args": {
            "models_file": path,
            "model": spec.entry_name,
            "threads": WAITING_FACTOR * threads,
        },
        "deployments": [deployment],
    }


def _write_entry(spec: ModelSpec, address: str) -> str:
    version = f", version: {spec.version}" if spec.version else ""
    return (
        f"#   - {{remote: {address}/{_to_path(spec)}, model: {spec.entry_name}, "
        f"name: {spec.provisional_name}{version}}}\n"
    )


def _to_path(spec: ModelSpec) -> str:
    return spec.entry_name.replace("@", "-")

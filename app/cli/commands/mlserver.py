"""``from-mlserver``: add the models of an MLServer folder to models.yaml.

Source: MLServer 1.7.1, "Model Settings" and ``get_model_uri``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import click

from app.cli.commands.adding import add_file
from app.cli.hosting import Hosting, pass_hosting
from app.cli.terminal import (
    as_json_option,
    command,
    trust_option,
    write_json,
    write_message,
    write_table,
)
from app.serving.catalog.model_spec import ModelSpec
from app.serving.errors import ServingError
from app.serving.json_text import InvalidJson, parse
from mlmodel.errors import FlmError, InvalidModel
from mlmodel.model import validate_name
from mlmodel.trust import Trust

#: The file with the settings of a model.
SETTINGS = "model-settings.json"
#: MLServer's runtimes whose model files can be served: the files that each looks for in a folder.
RUNTIMES: Mapping[str, tuple[str, ...]] = {
    "mlserver_sklearn.SKLearnModel": ("model.joblib", "model.pickle", "model.pkl"),
    "mlserver_xgboost.XGBoostModel": ("model.bst", "model.json", "model.ubj"),
    "mlserver_lightgbm.LightGBMModel": ("model.bst",),
    "mlserver_catboost.CatboostModel": ("model.cbm", "model.bin"),
    "mlserver_mlflow.MLflowRuntime": (),
}


@command("from-mlserver")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@trust_option
@as_json_option
@pass_hosting
def from_mlserver(hosting: Hosting, folder: Path, trust: Trust, as_json: bool) -> None:
    """Add the models of FOLDER, which MLServer serves, to models.yaml.

    Each model-settings.json in FOLDER becomes an entry with the model's file, name and version.
    The files are verified, and no model is built.
    """
    found = sorted(folder.rglob(SETTINGS))
    if not found:
        raise click.ClickException(f"{folder} contains no {SETTINGS}")
    results = [_add(hosting, path, trust) for path in found]
    if as_json:
        write_json(results)
    else:
        write_table(_to_line(each) for each in results)
    if any("reason" in each for each in results):
        raise click.exceptions.Exit(1)
    write_message("Restart or reload the server to load the models.")


def _add(hosting: Hosting, path: Path, trust: Trust) -> dict[str, Any]:
    """Add the model of a settings file; return what was added, or the reason why it was not."""
    try:
        name, version, file = _read_settings(path)
        spec = ModelSpec(line=0, file=file, name=name, version=version, trust=trust)
        return {"settings": str(path), **add_file(hosting, spec, file, None)}
    except (click.ClickException, FlmError, ServingError, OSError) as error:
        return {"settings": str(path), "reason": str(error)}


def _to_line(result: Mapping[str, Any]) -> Mapping[str, Any]:
    entry = result.get("entry", {})
    return {
        "settings": result["settings"],
        "name": result.get("name"),
        "version": entry.get("version"),
        "file": entry.get("file"),
        "not added": result.get("reason"),
    }


def _read_settings(path: Path) -> tuple[str, str | None, Path]:
    """Return name, version and file of a model.

    :raises ClickException: if the settings have none, or the runtime is not supported.
    """
    try:
        settings = parse(path.read_bytes())
    except InvalidJson as error:
        raise click.ClickException(f"it {error}") from error
    runtime = _get_text(settings, "implementation")
    if runtime not in RUNTIMES:
        known = ", ".join(RUNTIMES)
        raise click.ClickException(f"implementation must be one of {known}, got {runtime!r}")
    parameters = settings.get("parameters") or {}
    if not isinstance(parameters, Mapping):
        raise click.ClickException(f"parameters must be an object, got {parameters!r}")
    name = settings.get("name") or path.parent.resolve().name
    try:
        validate_name(name)
    except InvalidModel as error:
        raise click.ClickException(str(error).replace("qualified_name", "name")) from error
    version = parameters.get("version")
    return name, str(version) if version else None, _find_file(path.parent, parameters, runtime)


def _get_text(settings: Any, key: str) -> str:
    value = settings.get(key) if isinstance(settings, Mapping) else None
    if not isinstance(value, str):
        raise click.ClickException(f"{key} must be text, got {value!r}")
    return value


def _find_file(folder: Path, parameters: Mapping[str, Any], runtime: str) -> Path:
    """Return the file that ``parameters.uri`` names, by default one of the runtime's own names."""
    uri = _get_text(parameters, "uri") if parameters.get("uri") else "."
    address = urlparse(uri, "file")
    if address.scheme != "file":
        raise click.ClickException(f"parameters.uri must be a local path, got {uri!r}")
    path = folder / address.path
    files = [each for each in (*map(path.joinpath, RUNTIMES[runtime]), path) if each.exists()]
    if not files:
        raise click.ClickException(f"the file {path} does not exist")
    return files[0]

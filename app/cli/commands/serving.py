"""``serve``: run the server."""

from __future__ import annotations

import atexit
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

import config
import mlmodel
from app.cli.terminal import command, count_of, trust_option, write_message
from app.serving.catalog.model_spec import OWN_MODULES, ModelSpec
from app.serving.fetching.places import find_mistake, is_address
from mlmodel.bounded import filetypes
from mlmodel.bounded.safe_open import remove_own_folder
from mlmodel.errors import FlmError
from mlmodel.trust import Trust

#: The program of ``--open``: it waits for the server, whose processes fork and start no thread.
OPEN = """
import sys, time, urllib.request, webbrowser
for _ in range(600):
    try:
        urllib.request.urlopen(sys.argv[1] + "healthz", timeout=5).close()
    except OSError:
        time.sleep(0.1)
    else:
        webbrowser.open(sys.argv[1])
        break
"""


class FileOrAddress(click.Path):
    """The path of a file or folder that exists, or an address from which a file is fetched."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address, or the absolute path."""
        if not is_address(value):
            return str(Path(super().convert(value, param, ctx)).absolute())
        mistake = find_mistake(value)
        if mistake:
            self.fail(mistake, param, ctx)
        return str(value)


@command("serve")
@click.argument("files", nargs=-1, type=FileOrAddress(exists=True))
@click.option("--host", help="Address on which the server listens; by default 127.0.0.1.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port; by default 8000.")
@click.option(
    "--workers", type=click.IntRange(1), help="Processes; by default one for each core, at most 8."
)
@click.option("--open", "is_opened", is_flag=True, help="Open the pages in a browser.")
@trust_option
def serve(
    *,
    files: Sequence[str],
    host: str | None,
    port: int | None,
    workers: int | None,
    is_opened: bool,
    trust: Trust,
) -> None:
    """Serve model FILES, or the models of models.yaml.

    A FILE is a model file of any kind, a folder that MLflow wrote, or an address of one, such as
    models:/credit@champion. Without FILES, the models of the models.yaml in the current folder
    are served. The options override the settings.
    """
    _override({"HOST": host, "PORT": port, "WORKERS": workers})
    if files:
        _start_folders_here()
        os.environ["MODELHOST_MODELS_FILE"] = str(_write_models_file(files, trust))
        variable = f"{config.PREFIX}FETCH_FROM"
        os.environ[variable] = " ".join([os.environ.get(variable, ""), *list_places(files)])
    settings = config.settings(os.environ)
    _check_models_file(Path(settings["MODELS_FILE"]))
    if not files:
        _warn_of_hidden_modules(Path.cwd())
    _check_address(settings["HOST"], settings["PORT"])
    _announce(len(files), Path(settings["MODELS_FILE"]))
    if is_opened:
        url = f"http://{get_browser_host(settings['HOST'])}:{settings['PORT']}/"
        # In a session of its own, where Ctrl-C does not interrupt it.
        subprocess.Popen([sys.executable, "-c", OPEN, url], start_new_session=True)  # noqa: S603
    # gunicorn adds its folder to sys.path, in front of the application, unless it is there.
    sys.argv = ["modelhost", "--chdir", os.getcwd(), "-c", str(config.ROOT / "gunicorn.conf.py")]
    from gunicorn.app.wsgiapp import WSGIApplication  # noqa: PLC0415  only this command needs it

    class Application(WSGIApplication):  # type: ignore[misc]  # gunicorn has no types
        def load(self) -> Any:
            app = super().load()
            if files:
                _stop_without_model(app)
            return app

    Application(prog="modelhost").run()


def _announce(count: int, models_file: Path) -> None:
    if sys.stderr.isatty():
        what = count_of(count, "model") if count else f"the models of {models_file.name}"
        write_message(f"Loading {what} ...")


def get_browser_host(host: str) -> str:
    """Return the host of an address in a browser for the address on which a server listens."""
    own = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared only
    return f"[{own}]" if ":" in own else own


def _stop_without_model(app: Any) -> None:
    """Exit with the reasons if none of the files is a model that can be loaded."""
    from gunicorn.arbiter import Arbiter  # noqa: PLC0415  see above

    from app.serving.models.state import Status  # noqa: PLC0415  see MODEL_LOGGERS
    from app.web.http.extension import modelhost  # noqa: PLC0415

    models = modelhost(app).manager.models()
    if all(model.status is Status.FAILED for model in models):
        reasons = "".join(f"\n{_get_source(model.spec)}: {model.state.detail}" for model in models)
        write_message(f"Modelhost cannot start: no model could be loaded.{reasons}")
        # On this status, gunicorn stops instead of starting another worker.
        sys.exit(Arbiter.APP_LOAD_ERROR)


def _get_source(spec: ModelSpec) -> str:
    return spec.fetched.address if spec.fetched else str(spec.file)


def list_places(files: Sequence[str]) -> list[str]:
    """Return the addresses in a command line as places: each counts as named in FETCH_FROM."""
    named = (file.partition("?")[0] for file in files if is_address(file))
    return [place.replace(" ", "%20") for place in named]


def _override(options: dict[str, str | int | None]) -> None:
    """Set the variables of the options that are given."""
    for name, value in options.items():
        if value is not None:
            os.environ.pop(name, None)
            os.environ[f"{config.PREFIX}{name}"] = str(value)


def _start_folders_here() -> None:
    """Make the folders of settings absolute: that of models.yaml is removed at exit."""
    for name in ("CACHE_FOLDER", "JOBS_FOLDER", "PREDICTION_LOG_FOLDER"):
        variable = f"{config.PREFIX}{name}"
        if os.environ.get(variable):
            os.environ[variable] = os.path.abspath(os.path.expanduser(os.environ[variable]))


def _write_models_file(files: Sequence[str], trust: Trust) -> Path:
    """Write a models.yaml with these files to a folder that is removed at exit."""
    _check_names([file for file in files if not is_address(file)])
    entries = []
    for file in files:
        if not is_address(file):
            _check_no_models_file(Path(file))
            filetypes.check_folder(Path(file))
        # Escape "${", which would be read as a variable.
        entry = {"file": file.replace("${", "$${"), "trust": trust}
        entries.append({key: value for key, value in entry.items() if value})
    folder = tempfile.mkdtemp(prefix="modelhost-serve-")
    atexit.register(remove_own_folder, folder, os.getpid())
    path = Path(folder, "models.yaml")
    # Each on its own line, which errors name.
    lines = ["models:", *(f"- {json.dumps(entry)}" for entry in entries)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _check_no_models_file(path: Path) -> None:
    if path.suffix.lower() in {".yaml", ".yml"}:
        is_found = path.parent == Path.cwd() and path.name == "models.yaml"
        how = "" if is_found else f"MODELHOST_MODELS_FILE={shlex.quote(os.path.relpath(path))} "
        raise click.ClickException(
            f"{path.name} is not a model file. To serve the models that it lists, omit it: "
            f"{how}modelhost serve"
        )


def _check_names(files: Sequence[str]) -> None:
    """Raise an error for files of the same name, which the server would report by line."""
    by_name: dict[str, str] = {}
    for file in files if len(files) > 1 else ():
        name = _get_name(file)
        other = by_name.setdefault(name, file)
        if other is not file:
            raise click.ClickException(
                f"{other} and {file} have the same name {name!r}: rename a file, or write a "
                "models.yaml with a 'name' for each"
            )


def _get_name(file: str) -> str:
    extra = {}
    if os.path.isfile(file):
        with suppress(FlmError):  # the server reports it
            extra = mlmodel.inspect(file).meta.extra or {}
    return str(extra.get("qualified_name") or filetypes.stem(file))


def _check_models_file(path: Path) -> None:
    if not path.exists():
        raise click.ClickException(
            f"there is no {path.name} in {path.parent}.\n\n"
            "To serve model files:     modelhost serve credit.joblib\n"
            "To create a models.yaml:  modelhost init"
        )


def _warn_of_hidden_modules(folder: Path) -> None:
    """Warn about modules that the classes of models cannot import: Modelhost's come first."""
    for name in OWN_MODULES if folder != config.ROOT else ():
        files = (folder / f"{name}.py", folder / name / "__init__.py")
        for file in filter(Path.is_file, files):
            write_message(
                f"Warning: models cannot import {file.relative_to(folder)}: the module {name!r} "
                "is Modelhost's own. If they need it, give it another name."
            )


def _check_address(host: str, port: int) -> None:
    """Raise an error if the server cannot listen at an address.

    gunicorn would try for five seconds, after it has loaded the models.
    """
    if "LISTEN_FDS" in os.environ:  # systemd has opened the socket
        return
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        is_known = isinstance(error, socket.gaierror) or error.errno is None
        reason = error.strerror if is_known else os.strerror(error.errno)
        raise click.ClickException(
            f"the server cannot listen on {host}:{port}: {reason}. "
            "--host and --port select another address."
        ) from error

"""Fetching in a process of its own.

The libraries start threads, which the server's master must not have before it forks, and take
seconds to import. A process can be ended at its time limit, regardless of what it waits for.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any

from app.serving.fetching import mlflow_registry, web
from app.serving.fetching.fetch_request import FetchFailed, FetchRequest
from app.serving.fetching.reasons import describe, hide_secrets
from app.serving.process.processes import APP, ENGINE_ONLY, get_public_environ
from mlmodel.bounded import child_process
from mlmodel.bounded.child_process import ChildProcess, ProcessEnded
from mlmodel.files.mlflow.folder import MAX_FILES

# Without the rest of mlmodel, the process starts with a third of the processor time.
PROGRAM = f"""{ENGINE_ONLY}
from importlib.machinery import PathFinder
sys.modules["mlmodel"] = mlmodel = types.ModuleType("mlmodel")
mlmodel.__path__ = PathFinder.find_spec("mlmodel").submodule_search_locations
from app.serving.fetching.transfer import main
main()
"""
#: Maximum bytes of the process's reply.
MAX_REPLY_BYTES = 100_000
MAX_DETAILS = 1000
#: What fetches from the places of a scheme; :func:`fetch_with_fsspec` from all others.
FETCHERS: Mapping[str, Callable[[FetchRequest], str | None]] = {
    "https": web.fetch,
    "http": web.fetch,
    "models": mlflow_registry.fetch,
    "runs": mlflow_registry.fetch,
}

log = logging.getLogger(__name__)


def transfer(request: FetchRequest, seconds: float) -> str | None:
    """Fetch a file or folder; return its version, or ``None`` if it is unchanged.

    :raises FetchFailed: if that fails or exceeds a limit.
    """
    process = ChildProcess.spawn(PROGRAM, str(APP), environ=get_public_environ())
    try:
        process.send(json.dumps(asdict(request)).encode())
        reply = json.loads(process.receive(seconds, most_bytes=MAX_REPLY_BYTES))
    except TimeoutError:
        raise FetchFailed(
            f"fetching took longer than {seconds:g} seconds (FETCH_SECONDS)"
        ) from None
    except (ProcessEnded, ValueError) as error:
        raise FetchFailed(f"the process that fetches it failed: {error}") from error
    finally:
        process.end()
    if "failure" in reply:
        if reply["details"]:
            log.warning("failed to fetch %s: %s", request.url.partition("?")[0], reply["details"])
        raise FetchFailed(reply["failure"])
    return reply["version"]  # type: ignore[no-any-return]


def main() -> None:
    """Read a request, fetch the file, and send the reply, in the process."""
    channel = child_process.connect()
    request = FetchRequest(**json.loads(channel.receive()))
    child_process.limit_resources(file_bytes=request.max_bytes)
    channel.send(json.dumps(_fetch(request)).encode())


def _fetch(request: FetchRequest) -> dict[str, Any]:
    scheme = request.url.partition(":")[0]
    try:
        return {"version": FETCHERS.get(scheme, fetch_with_fsspec)(request)}
    except FetchFailed as error:
        return {"failure": str(error), "details": ""}
    except Exception as error:  # the libraries raise those of many others
        details = hide_secrets(f"{type(error).__name__}: {error}")[:MAX_DETAILS]
        return {"failure": describe(error, request), "details": details}


def fetch_with_fsspec(request: FetchRequest) -> str | None:
    """Fetch a file or a folder, and return its version; ``None`` if it is unchanged.

    :raises FetchFailed: if it is too large or has names that leave the folder.
    :raises OSError: if it does not exist or cannot be read.
    """
    import fsspec  # noqa: PLC0415  of an extra

    _fail_on_certificates(request)
    system, root = fsspec.url_to_fs(request.url)
    is_folder = system.isdir(root)
    paths = sorted(system.find(root)) if is_folder else [root]
    if len(paths) > MAX_FILES:
        raise FetchFailed(f"the folder has more than {MAX_FILES:,} files")
    marks = "".join(f"{path} {system.ukey(path)}\n" for path in paths)
    version = hashlib.sha256(marks.encode()).hexdigest()
    if version == request.version:
        return None
    for path in paths:
        target = request.path
        if is_folder:
            name = PurePosixPath(path).relative_to(root)
            if ".." in name.parts or not path.isprintable() or "\\" in path:
                raise FetchFailed(f"the folder has a file with the name {str(name)!r:.200}")
            target /= name
            target.parent.mkdir(parents=True, exist_ok=True)
        with system.open(path, "rb") as stream:
            request.copy(stream, target)
    return version


def _fail_on_certificates(request: FetchRequest) -> None:
    """Make aiohttp raise ``FetchFailed`` for a certificate that cannot be verified.

    gcsfs and adlfs retry aiohttp's own errors for more than a minute, and have no option for that.
    """
    try:
        import aiohttp  # noqa: PLC0415  of an extra
    except ImportError:
        return
    connect = aiohttp.BaseConnector.connect

    async def connect_or_fail(self: Any, *args: Any, **options: Any) -> Any:
        try:
            return await connect(self, *args, **options)
        except aiohttp.ClientConnectorCertificateError as error:
            raise FetchFailed(describe(error, request)) from None

    aiohttp.BaseConnector.connect = connect_or_fail

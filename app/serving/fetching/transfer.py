"""Fetching in a process of its own.

The libraries start threads, which the server's master must not have before it forks, and take
seconds to import; and a process can be ended when its time is over, whatever it waits for.
"""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from app.serving.fetching import mlflow_registry, storage, web
from app.serving.fetching.order import FetchFailed, Order
from app.serving.fetching.places import EXTRAS
from app.serving.process.processes import APP, ENGINE_ONLY, get_public_environ
from mlmodel.bounded import child_process
from mlmodel.bounded.child_process import ChildProcess, ProcessEnded

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
#: What fetches from the places of a scheme; :func:`storage.fetch` from all others.
FETCHERS: Mapping[str, Callable[[Order], str | None]] = {
    "https": web.fetch,
    "http": web.fetch,
    "models": mlflow_registry.fetch,
    "runs": mlflow_registry.fetch,
}

log = logging.getLogger(__name__)


def transfer(order: Order, seconds: float) -> str | None:
    """Fetch a file or folder; return its version, or ``None`` if it is the one at hand.

    :raises FetchFailed: if that fails or exceeds a limit.
    """
    process = ChildProcess.spawn(PROGRAM, str(APP), environ=get_public_environ())
    try:
        process.send(json.dumps(asdict(order)).encode())
        reply = json.loads(process.receive(seconds, most_bytes=MAX_REPLY_BYTES))
    except TimeoutError:
        raise FetchFailed("it takes longer than FETCH_SECONDS to fetch") from None
    except (ProcessEnded, ValueError) as error:
        raise FetchFailed(f"the process that fetches it failed: {error}") from error
    finally:
        process.end()
    if "failure" in reply:
        if reply["details"]:
            log.warning("failed to fetch %s: %s", order.url.partition("?")[0], reply["details"])
        raise FetchFailed(reply["failure"])
    return reply["version"]  # type: ignore[no-any-return]


def main() -> None:
    """Read an order, carry it out, and send the reply, in the process."""
    channel = child_process.connect()
    order = Order(**json.loads(channel.receive()))
    child_process.limit_resources(file_bytes=order.max_bytes)
    channel.send(json.dumps(_carry_out(order)).encode())


def _carry_out(order: Order) -> dict[str, Any]:
    scheme = order.url.partition(":")[0]
    try:
        return {"version": FETCHERS.get(scheme, storage.fetch)(order)}
    except Exception as error:  # the libraries raise those of many others
        details = "" if isinstance(error, FetchFailed) else f"{type(error).__name__}: {error}"
        return {"failure": _describe(error, EXTRAS[scheme]), "details": details[:MAX_DETAILS]}


def _describe(error: Exception, extra: str) -> str:
    """Return the public reason; messages of libraries may contain what is secret."""
    if isinstance(error, FetchFailed):
        return str(error)
    if isinstance(error, ImportError) and extra:
        return f"a package that fetches it is not installed: pip install 'modelhost[{extra}]'"
    if isinstance(error, FileNotFoundError):
        return "it does not exist"
    if isinstance(error, PermissionError):
        return "access to it is denied"
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return "it has more bytes than FETCH_MAX_BYTES"
    return f"fetching raised {type(error).__name__}; see the log"

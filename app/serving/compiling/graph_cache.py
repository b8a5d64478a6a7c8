"""A folder with the results of compiling models, so that each file is compiled once."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import re
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from app.serving.process.shared_file import locked
from mlmodel.bounded.safe_open import create_private_folder
from mlmodel.frameworks.sklearn import onnx
from mlmodel.frameworks.sklearn.onnx.runtime import Runtime

#: Packages on whose versions a graph depends.
PACKAGES = ("numpy", "onnx", "onnxruntime", "scikit-learn", "skl2onnx")
#: The project's code that converts, compares and chooses.
SOURCES = Path(onnx.__file__).parent
#: Names of the files of this cache.
OWN_NAME = re.compile(r"[0-9a-f]{64}\.(json|lock|[0-9]+)")
#: Days after which a result that no server has read is deleted.
KEEP_DAYS = 30
SECONDS_OF_A_DAY = 86_400


@dataclass(frozen=True)
class Compiled:
    """The result of compiling a model: the chosen runtime, and the graph if that is one."""

    runtime: Runtime
    graph: bytes | None = None

    def to_json(self) -> bytes:
        """Return it as JSON."""
        graph = None if self.graph is None else base64.b64encode(self.graph).decode()
        return json.dumps({"runtime": asdict(self.runtime), "graph": graph}).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Compiled:
        """Return the result that :meth:`to_json` wrote.

        :raises ValueError: if the content is damaged.
        """
        try:
            read = json.loads(content)
            graph = None if read["graph"] is None else base64.b64decode(read["graph"])
            return cls(Runtime(**read["runtime"]), graph)
        except (KeyError, TypeError) as error:
            raise ValueError("not a result of compiling") from error


class GraphCache:
    """The results in a folder, which only the user of this process can change.

    :param folder: it is created if necessary.
    :raises OSError: if it cannot be created or written, or others can change it.
    """

    def __init__(self, folder: Path) -> None:
        create_private_folder(folder)
        self._folder = folder

    def read(self, key: str) -> Compiled | None:
        """Return the result for a key; ``None`` if there is none, or it is damaged."""
        path = self._folder / f"{key}.json"
        try:
            result = Compiled.from_json(path.read_bytes())
            if result.graph is not None:  # a model without a graph is compiled again after a while
                os.utime(path)
        except (OSError, ValueError):
            return None
        return result

    def write(self, key: str, result: Compiled) -> None:
        """Store the result for a key, and delete those that no server has read for long.

        :raises OSError: if the disk is full, for example.
        """
        path = self._folder / f"{key}.json"
        new = path.with_suffix(f".{os.getpid()}")
        new.write_bytes(result.to_json())
        new.replace(path)
        oldest = time.time() - KEEP_DAYS * SECONDS_OF_A_DAY
        for each in self._folder.iterdir():
            with suppress(OSError):  # another process deletes it too
                # The folder may hold other files.
                if OWN_NAME.fullmatch(each.name) and each.stat().st_mtime < oldest:
                    each.unlink()

    def lock(self, key: str) -> AbstractContextManager[None]:
        """Return the lock of a key, see :func:`~app.serving.process.shared_file.locked`."""
        return locked(self._folder / f"{key}.lock")


def get_key(sha256: str, input_schema: Mapping[str, Any] | None) -> str:
    """Return the key for a model file and everything else that its graph depends on."""
    versions = {}
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    parts = [sha256, input_schema, versions, _get_code_digest(), platform.processor()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def _get_code_digest() -> str:
    files = sorted(SOURCES.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()

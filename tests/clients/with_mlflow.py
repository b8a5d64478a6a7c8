"""Fetch versions from a registry of MLflow in SQLite, and write what comes of it as JSON."""

import json
import sys
import types
from pathlib import Path

from mlflow import MlflowClient

root, folder = Path(sys.argv[1]), Path(sys.argv[2])
# As in the process that fetches: without the rest of both packages.
for name in ("app", "mlmodel"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(root / name)]

from app.serving.fetching import mlflow_registry  # noqa: E402
from app.serving.fetching.fetch_request import FetchFailed, FetchRequest  # noqa: E402

client = MlflowClient()
client.create_registered_model("credit")
for source in ("iris-named", "iris-onnx"):
    client.create_model_version("credit", str(root / "tests" / "data" / "mlflow" / source))


def fetch(number, version=None, max_bytes=1_000_000):
    client.set_registered_model_alias("credit", "champion", str(number))
    target = folder / str(len(list(folder.iterdir()))) / "content"
    target.parent.mkdir()
    request = FetchRequest("models:/credit@champion", str(target), max_bytes, version=version)
    fetched = mlflow_registry.fetch(request)
    return fetched, sorted(each.name for each in target.rglob("*") if each.is_file())


first, files = fetch(1)
found = {"first": first, "files": files, "unchanged": fetch(1, first)[0], "moved": fetch(2, first)}
try:
    fetch(2, max_bytes=10)
except FetchFailed as error:
    found["failure"] = str(error)
sys.stdout.write(json.dumps(found))

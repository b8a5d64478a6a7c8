"""Fetches models from the registry and the runs of MLflow, with the package mlflow."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.serving.fetching.order import FetchFailed, Order
from mlmodel.files.mlflow.folder import MAX_DEPTH, MAX_FILES

#: MLflow's default of 7 takes minutes if the server cannot be reached, at each start too.
MAX_RETRIES = "2"
ALIAS = re.compile(r"models:/([^/@]+)@([^/@]+)")


def fetch(order: Order) -> str | None:
    """Fetch the folder of a model, and return its version; ``None`` if it is the one at hand.

    The tracking server is that of ``MLFLOW_TRACKING_URI``, and of ``MLFLOW_REGISTRY_URI``.

    :raises FetchFailed: if it is too large.
    :raises Exception: any error of mlflow.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", MAX_RETRIES)
    from mlflow import MlflowClient  # noqa: PLC0415  of an extra, and slow to import
    from mlflow.artifacts import download_artifacts  # noqa: PLC0415
    from mlflow.store.artifact.artifact_repository_registry import (  # noqa: PLC0415
        get_artifact_repository,
    )

    url, alias = order.url, ALIAS.fullmatch(order.url)
    if alias:
        found = MlflowClient().get_model_version_by_alias(*alias.groups())
        url = f"models:/{found.name}/{found.version}"
    if url == order.version:
        return None
    sizes = []
    for size in _list_sizes(get_artifact_repository(url), "", 0):
        sizes.append(size)
        order.spend(size)
        if len(sizes) > MAX_FILES:
            raise FetchFailed(f"the folder has more than {MAX_FILES:,} files")
    folder = order.path.with_name("download")
    folder.mkdir()
    # The folder itself, or one in it with the name of the artifact.
    Path(download_artifacts(artifact_uri=url, dst_path=str(folder))).rename(order.path)
    shutil.rmtree(folder, ignore_errors=True)
    return url


def _list_sizes(repository: Any, path: str, depth: int) -> Iterator[int]:
    if depth > MAX_DEPTH:
        raise FetchFailed(f"the folder has more than {MAX_DEPTH} levels of folders")
    for each in repository.list_artifacts(path or None):
        if each.is_dir:
            yield from _list_sizes(repository, each.path, depth + 1)
        else:
            yield each.file_size or 0

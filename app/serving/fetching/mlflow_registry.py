"""Fetches models from the registry and the runs of MLflow, with the package mlflow."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from app.serving.fetching.fetch_request import FetchFailed, FetchRequest
from app.serving.fetching.reasons import hide_secrets
from mlmodel.files.mlflow.folder import MAX_DEPTH, MAX_FILES

#: MLflow's default of 7 takes minutes if the server cannot be reached, at each start too.
MAX_RETRIES = "2"
#: Characters of the text of a registry's error.
MAX_TEXT = 300
ALIAS = re.compile(r"models:/([^/@]+)@([^/@]+)")


def fetch(request: FetchRequest) -> str | None:
    """Fetch the folder of a model, and return its version; ``None`` if it is unchanged.

    The tracking server is that of ``MLFLOW_TRACKING_URI``, and of ``MLFLOW_REGISTRY_URI``.

    :raises FetchFailed: if it is too large, its size is unknown, or the registry responds with an
        error.
    :raises Exception: any other error of mlflow.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", MAX_RETRIES)
    # Unless this is set before the import, MLflow sends events to a server of its makers.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.exceptions import RestException  # noqa: PLC0415  of an extra, and slow to import

    try:
        return _fetch(request)
    except RestException as error:
        text = " ".join(hide_secrets(str(error)).split())
        raise FetchFailed(f"the registry responded with {text[:MAX_TEXT]}") from error


def _fetch(request: FetchRequest) -> str | None:
    from mlflow import MlflowClient  # noqa: PLC0415
    from mlflow.artifacts import download_artifacts  # noqa: PLC0415
    from mlflow.store.artifact.artifact_repository_registry import (  # noqa: PLC0415
        get_artifact_repository,
    )

    url, alias = request.url, ALIAS.fullmatch(request.url)
    if alias:
        found = MlflowClient().get_model_version_by_alias(*alias.groups())
        url = f"models:/{found.name}/{found.version}"
    if url == request.version:
        return None
    _check_sizes(request, _list_sizes(get_artifact_repository(url), "", 0))
    folder = request.path.with_name("download")
    folder.mkdir()
    # The folder itself, or one in it with the name of the artifact.
    Path(download_artifacts(artifact_uri=url, dst_path=str(folder))).rename(request.path)
    # The server may have announced other sizes.
    files = filter(Path.is_file, [request.path, *request.path.rglob("*")])
    _check_sizes(request, (each.stat().st_size for each in files))
    shutil.rmtree(folder, ignore_errors=True)
    return url


def _check_sizes(request: FetchRequest, sizes: Iterable[int]) -> None:
    total = 0
    for count, size in enumerate(sizes):
        if count >= MAX_FILES:
            raise FetchFailed(f"the folder has more than {MAX_FILES:,} files")
        total += size
        request.check_size(total)


def _list_sizes(repository: Any, path: str, depth: int) -> Iterator[int]:
    if depth > MAX_DEPTH:
        raise FetchFailed(f"the folder has more than {MAX_DEPTH} levels of folders")
    for each in repository.list_artifacts(path or None):
        if each.is_dir:
            yield from _list_sizes(repository, each.path, depth + 1)
        elif each.file_size is None:
            raise FetchFailed(f"the place does not list the size of {each.path!r:.200}")
        else:
            yield each.file_size

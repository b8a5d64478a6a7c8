"""The file ``MLmodel`` of a folder that MLflow wrote.

Source: https://mlflow.org/docs/latest/ml/model/#storage-format
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from mlmodel.errors import BadMetadata, UnsupportedFramework
from mlmodel.files.mlflow.folder import MANIFEST

#: Maximum size of the file.
MAX_BYTES = 1_000_000
#: Maximum values in the file, counted again for each alias.
MAX_VALUES = 100_000

#: The flavors whose model is one file that is read here: the member that names it, and the file's
#: name where the member names a folder.
FLAVORS: Mapping[str, tuple[str, str]] = {
    "sklearn": ("pickled_model", ""),
    "xgboost": ("data", ""),
    "lightgbm": ("data", ""),
    "catboost": ("data", ""),
    "onnx": ("data", ""),
    "keras": ("data", "model.keras"),
    "tensorflow": ("data", "model.keras"),
}
#: The flavor of a model that runs its own code, whose file is the manifest itself.
FUNCTION = "python_function"
#: The module whose version a member of a flavor has.
_VERSIONS: Mapping[str, str] = {
    "sklearn_version": "sklearn",
    "xgb_version": "xgboost",
    "lgb_version": "lightgbm",
    "catboost_version": "catboost",
    "keras_version": "keras",
}
#: Members that are shown as metadata.
_SHOWN = ("mlflow_version", "model_id", "model_uuid", "run_id", "utc_time_created", "metadata")


@dataclass(frozen=True)
class Manifest:
    """What ``MLmodel`` states.

    ``versions`` are those of the modules that wrote the model. ``inputs`` are the columns or
    tensors of the signature, ``None`` without one. ``example`` is the name of the file with the
    saved input example, empty without one. ``facts`` are shown as metadata.
    """

    flavor: str
    model_file: str
    versions: Mapping[str, str]
    inputs: Sequence[Mapping[str, Any]] | None
    example: str
    facts: Mapping[str, Any]


def decode(content: bytes) -> Manifest:
    """Read the bytes of an ``MLmodel`` file.

    :raises BadMetadata: if it is too large, not valid YAML, or a member has the wrong type.
    :raises UnsupportedFramework: if no flavor in it can be served.
    """
    document = _parse(content)
    flavors = _member(document, "flavors", dict, "an object")
    if not flavors:
        raise BadMetadata("MLmodel must have a member 'flavors'")
    flavor = next((each for each in (*FLAVORS, FUNCTION) if each in flavors), None)
    if flavor is None:
        raise UnsupportedFramework(
            f"the folder has the flavors {', '.join(sorted(flavors)):.200}; those that are read "
            f"are {', '.join((*FLAVORS, FUNCTION))}"
        )
    stated = _member(flavors, flavor, dict, "an object")
    example = _member(document, "saved_input_example_info", dict, "an object")
    return Manifest(
        flavor=flavor,
        model_file=_model_file(flavor, stated),
        versions={module: str(stated[key]) for key, module in _VERSIONS.items() if stated.get(key)},
        inputs=_inputs(_member(document, "signature", dict, "an object")),
        example=_member(example, "artifact_path", str, "a string") or "",
        facts={
            "flavor": flavor,
            **{key: document[key] for key in _SHOWN if document.get(key) is not None},
        },
    )


def _model_file(flavor: str, stated: Mapping[str, Any]) -> str:
    if flavor == FUNCTION:
        return MANIFEST
    key, inner = FLAVORS[flavor]
    name: str = _member(stated, key, str, "a string")
    if not name:
        raise BadMetadata(f"MLmodel must name the model's file in flavors.{flavor}.{key}")
    is_file = not inner or "." in name.rpartition("/")[2]
    return name if is_file else f"{name.rstrip('/')}/{inner}"


def _inputs(signature: Mapping[str, Any]) -> Sequence[Mapping[str, Any]] | None:
    text = _member(signature, "inputs", str, "a string with JSON")
    if not text:
        return None
    try:
        inputs = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadMetadata(f"signature.inputs of MLmodel must be JSON: {error}") from error
    if isinstance(inputs, list) and all(isinstance(each, dict) for each in inputs):
        return inputs or None
    raise BadMetadata("signature.inputs of MLmodel must be a list of objects")


def _member(members: Mapping[str, Any], key: str, kind: type, title: str) -> Any:
    """Return a member; the empty value of its type if it is absent or null."""
    value = members.get(key)
    if value is None:
        return kind()
    if isinstance(value, kind):
        return value
    raise BadMetadata(f"{key} of MLmodel must be {title}, got {value!r:.60}")


def _parse(content: bytes) -> Mapping[str, Any]:
    if len(content) > MAX_BYTES:
        raise BadMetadata(f"MLmodel must have at most {MAX_BYTES:,} bytes, got {len(content):,}")
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)  # as MLflow writes it
    try:
        document = _Plain().convert(yaml.load(content.decode()))
    except (YAMLError, ValueError, RecursionError) as error:
        problem = getattr(error, "problem", None) or error
        raise BadMetadata(f"MLmodel is not valid YAML: {problem!s:.200}") from error
    if isinstance(document, dict):
        return document
    raise BadMetadata(f"MLmodel must be an object, got {document!r:.60}")


class _Plain:
    """Converts YAML values to JSON values, and counts them: an alias may repeat many."""

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def convert(self, value: Any) -> Any:
        """Return a value as JSON.

        :raises ValueError: if there are too many.
        """
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"more than {MAX_VALUES:,} values, counting each alias as its values")
        if isinstance(value, Mapping):
            return {str(key): self.convert(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.convert(item) for item in value]
        is_json = value is None or isinstance(value, str | bool | int)
        is_finite = isinstance(value, float) and math.isfinite(value)
        return value if is_json or is_finite else str(value)

"""The names, schemas and examples of a model: from its file, or from the caller of ``load``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlmodel.bounded import filetypes
from mlmodel.errors import BadMetadata, InvalidModel
from mlmodel.frameworks import labels
from mlmodel.frameworks.sklearn.onnx.runtime import RuntimeName
from mlmodel.model import Row, validate_name
from mlmodel.reference import profile
from mlmodel.reference.profile import Profile
from mlmodel.schema.texts.formats import with_local_times
from mlmodel.trust import Trust

#: How to handle versions that differ from the packaged ones.
VersionMismatches = Literal["warn", "error"]

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class LoadOptions:
    """The keyword arguments of :func:`mlmodel.load`, which describes them."""

    trust: Trust = ()
    sha256: str | None = None
    limit_bytes: int | None = None
    input_schema: Mapping[str, Any] | None = None
    qualified_name: str | None = None
    version_mismatch: VersionMismatches = "warn"
    runtime: RuntimeName | None = None
    n_jobs: int = 1

    @property
    def granted_trust(self) -> Trust:
        """``"all"`` for a pinned file: the operator who pins a file has reviewed it."""
        return self.trust if self.sha256 is None else "all"


@dataclass(frozen=True)
class FileDescription:
    """The names, schemas and examples in a file; a schema is ``None`` if the file has none."""

    qualified_name: str
    display_name: str
    description: str
    version: str
    examples: Sequence[Row]
    example_names: Sequence[str]
    input_schema: Mapping[str, Any] | None
    output_schema: Mapping[str, Any] | None
    notes: Sequence[str] | None
    outputs: Sequence[str]
    labels: Sequence[Any] | None
    profile: Profile | None

    @classmethod
    def from_extra(
        cls, extra: Mapping[str, Any], path: Path, options: LoadOptions
    ) -> FileDescription:
        """Return the description in a file's ``extra``, with the caller's name and schema.

        :raises BadMetadata: if a member of ``extra`` has the wrong type.
        :raises InvalidModel: if the caller's name is invalid.
        """
        own_schema = _member(extra, "input_schema", dict, "an object")
        input_schema = options.input_schema
        if input_schema is None:
            input_schema = own_schema and with_local_times(own_schema)
        return cls(
            qualified_name=validate_name(options.qualified_name or _name(extra, path)),
            display_name=_text(extra, "display_name"),
            description=_text(extra, "description", "model_description"),
            version=_text(extra, "version", "model_version"),
            examples=_member(extra, "examples", list, "a list") or (),
            example_names=_member(extra, "example_names", list, "a list") or (),
            input_schema=input_schema,
            output_schema=_member(extra, "output_schema", dict, "an object"),
            notes=_member(extra, "schema_notes", list, "a list"),
            outputs=_member(extra, "outputs", list, "a list") or (),
            labels=_member(extra, labels.KEY, list, "a list"),
            profile=_profile(extra),
        )


def _profile(extra: Mapping[str, Any]) -> Profile | None:
    document = extra.get(profile.KEY)
    return None if document is None else Profile.from_json(document)


def _name(extra: Mapping[str, Any], path: Path) -> str:
    """Return the name in the file's metadata, or one derived from the file's name."""
    given = extra.get("qualified_name")
    if given is None:
        return _UNSAFE.sub("-", filetypes.stem(path))[:100].strip("_.-") or "model"
    try:
        return validate_name(given)
    except InvalidModel as error:
        raise BadMetadata(f"extra.{error}") from error


def _text(extra: Mapping[str, Any], *keys: str) -> str:
    """Return the first member that is present, as text: a version may be a number."""
    return next((str(extra[key]) for key in keys if extra.get(key) is not None), "")


def _member(extra: Mapping[str, Any], key: str, kind: type, title: str) -> Any:
    value = extra.get(key)
    if value is None or isinstance(value, kind):
        return value
    raise BadMetadata(f"extra.{key} must be {title}, got {value!r:.60}")

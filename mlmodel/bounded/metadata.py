"""The metadata of a model file, and its JSON encoding."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mlmodel.errors import BadMetadata

#: Maximum number of lists and objects in a file's metadata. Flama stores network weights there.
MOST_CONTAINERS = 1_000_000


@dataclass(frozen=True)
class FrameworkMetadata:
    """The library that built the model. Only Flama 2 has ``family`` and ``config``."""

    family: str
    lib: str
    version: str
    config: dict[str, Any] | None = None


@dataclass(frozen=True)
class ModelMetadata:
    """The model: its class, the framework's ``info``, and the author's params and metrics."""

    obj: str
    info: Any = None
    params: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None


@dataclass(frozen=True)
class Meta:
    """A file's metadata. Members that are missing or ``null`` in the file are ``None``.

    ``timestamp`` is ISO 8601, with or without a time zone, unchanged from the file.
    """

    id: str
    timestamp: str
    framework: FrameworkMetadata
    model: ModelMetadata
    extra: dict[str, Any] | None = None
    capabilities: dict[str, Any] | None = field(default_factory=lambda: {"kind": "ml"})


def decode(document: Any) -> Meta:
    """Convert a parsed JSON document to metadata.

    :raises BadMetadata: if a member is missing or has the wrong type.
    """
    meta = _object({"meta": document}, "meta")
    framework = _object(meta, "framework")
    model = _object(meta, "model")
    return Meta(
        id=_text(meta, "id"),
        timestamp=_text(meta, "timestamp"),
        framework=FrameworkMetadata(
            family=_text(framework, "framework.family", "ml"),
            lib=_text(framework, "framework.lib"),
            version=_text(framework, "framework.version"),
            config=_optional(framework, "framework.config"),
        ),
        model=ModelMetadata(
            obj=_text(model, "model.obj"),
            info=model.get("info"),
            params=_optional(model, "model.params"),
            metrics=_optional(model, "model.metrics"),
        ),
        extra=_optional(meta, "extra"),
        capabilities=_optional(meta, "capabilities"),
    )


def encode(meta: Meta) -> bytes:
    """Return the metadata as compact UTF-8 JSON, as Flama 2 writes it."""
    document = asdict(meta)
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def parse(content: bytes) -> Any:
    """Parse JSON as Flama wrote it, with ``NaN`` and ``Infinity`` read as ``None``.

    :raises BadMetadata: if it is not JSON in UTF-8.
    """
    # Each takes some sixty bytes once parsed: a file full of them would exhaust the memory.
    if content.count(b"[") + content.count(b"{") > MOST_CONTAINERS:
        raise BadMetadata(f"the metadata has more than {MOST_CONTAINERS:,} lists and objects")
    try:
        text = content.decode()
        document = json.loads(text, parse_constant=lambda _: None, parse_float=_finite)
        if "\\u" in text:
            # An escape may be a lone surrogate, which cannot be encoded as UTF-8 again.
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BadMetadata(f"the metadata must be JSON in UTF-8: {error}") from error
    return document


def to_json(value: Any, place: str) -> Any:
    """Return ``value`` in JSON types, with numpy scalars and arrays converted.

    :param place: the value's name in an error message, such as ``"metrics"``.
    :raises BadMetadata: if the value, or anything within it, cannot be JSON.
    """
    match value:
        case None | bool() | int():
            return value
        case str() if _is_utf8(value):
            return value
        case float() if math.isfinite(value):
            return float(value)
        case Mapping() if all(isinstance(key, str) and _is_utf8(key) for key in value):
            return {key: to_json(item, f"{place}.{key}") for key, item in value.items()}
        case list() | tuple():
            return [to_json(item, f"{place}[{at}]") for at, item in enumerate(value)]
    if hasattr(value, "tolist") and not isinstance(value, float):
        return to_json(value.tolist(), place)
    raise BadMetadata(f"{place} must be JSON, got {value!r} of type {type(value).__name__}")


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(members: dict[str, Any], place: str, default: Any = None) -> str:
    value = _member(members, place, default)
    if isinstance(value, str):
        return value
    raise BadMetadata(f"{place} must be a string, got {_short_repr(value)}")


def _object(members: dict[str, Any], place: str) -> dict[str, Any]:
    value = _member(members, place)
    if isinstance(value, dict):
        return value
    raise BadMetadata(f"{place} must be an object, got {_short_repr(value)}")


def _optional(members: dict[str, Any], place: str) -> dict[str, Any] | None:
    return None if _member(members, place) is None else _object(members, place)


def _member(members: dict[str, Any], place: str, default: Any = None) -> Any:
    """Return the member that the last word of ``place`` names."""
    return members.get(place.rpartition(".")[2], default)


def _short_repr(value: Any) -> str:
    return "nothing" if value is None else f"{value!r:.60}"

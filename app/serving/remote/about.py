"""The description of a model on another server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class About:
    """Texts, schemas and examples of a model; a schema of ``None`` is unknown.

    ``extra`` may have a model card and a reference profile.
    """

    display_name: str = ""
    description: str = ""
    version: str = ""
    input_schema: Mapping[str, Any] | None = None
    output_schema: Mapping[str, Any] | None = None
    examples: Sequence[Any] = ()
    example_names: Sequence[str] = ()
    metrics: Mapping[str, Any] | None = None
    params: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] | None = None

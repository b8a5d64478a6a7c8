"""The file that lists the models, and the limits for loading and calling them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.serving.calls.limits import Limits
from app.serving.catalog import catalog
from app.serving.catalog.fingerprint import stamp
from app.serving.catalog.model_spec import ModelSpec
from app.serving.catalog.yaml_document import read_text
from app.serving.errors import InvalidCatalog, Mistake
from app.serving.fetching.fetched_file import Fetching

#: Seconds since the last write after which the file is assumed to be complete.
SETTLED_SECONDS = 1


@dataclass(frozen=True)
class ModelsFile:
    """``models.yaml``, the values of its variables, and the limits of its models."""

    path: Path
    #: Values of ``${NAME}`` in the file.
    environ: Mapping[str, str]
    limits: Limits
    #: Seconds between two checks of the file; 0 to not watch it.
    watch_seconds: float = 0
    #: How to handle pickles without ``sha256`` or ``trust``.
    unpinned: catalog.Unpinned = "check"
    #: The names of the entries to host, with the version if they have one; empty for all.
    only: Sequence[str] = ()
    #: How files at addresses are fetched.
    fetching: Fetching = catalog.NO_FETCHING

    def get_specs(self, text: str | None) -> list[ModelSpec]:
        """Return the entries in a text of the file.

        :raises InvalidCatalog: if the text has mistakes, or no entry with one of the names.
        """
        specs = catalog.read(self.path, self.environ, text, self.unpinned, self.fetching)
        return self._select(specs) if self.only else specs

    def _select(self, specs: Sequence[ModelSpec]) -> list[ModelSpec]:
        named = {spec.entry_name: spec for spec in specs}
        unknown = [name for name in self.only if name not in named]
        if unknown:
            detail = f"has no model {unknown[0]!r} of ONLY_MODELS; valid names: {', '.join(named)}"
            raise InvalidCatalog(self.path, [Mistake(None, "models", detail)])
        return [named[name] for name in dict.fromkeys(self.only)]

    def read(self) -> str | None:
        """Return the text of the file; ``None`` if it cannot be read."""
        try:
            return read_text(self.path)
        except (OSError, ValueError):
            return None

    def read_for_reload(self) -> str | None:
        """Return the text of the file for a reload, which may remove models.

        :raises InvalidCatalog: if it is empty, as a file is at the beginning of a write.
        """
        text = self.read()
        if text is not None and not text.strip():
            detail = "is missing: the file is empty; to remove all models, write `models: []`"
            raise InvalidCatalog(self.path, [Mistake(1, "models", detail)])
        return text

    @property
    def stamp(self) -> tuple[int, ...]:
        """The stamp of the file, see :func:`app.serving.catalog.fingerprint.stamp`."""
        return stamp(self.path)

    def has_changed(self, seen: tuple[int, ...]) -> bool:
        """Return whether the file differs from the one with the stamp ``seen``, and is complete."""
        now = self.stamp
        is_settled = not now or not 0 <= time.time() - now[0] / 1e9 < SETTLED_SECONDS
        return now != seen and is_settled

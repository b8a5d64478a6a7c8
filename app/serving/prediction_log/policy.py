"""What the log of a model keeps: the key ``log`` of an entry in ``models.yaml``."""

from __future__ import annotations

import difflib
import zlib
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from mlmodel.schema.subschemas import JsonSchema, schemas_of
from mlmodel.schema.texts.regex import matches

#: Days for which rows are kept unless the entry has ``keep_days``.
KEEP_DAYS = 180
#: Names of fields in an error.
SHOWN_NAMES = 20
#: The JSON Schema of the key ``log``.
LOG = {
    "anyOf": [
        {"type": "boolean"},
        {
            "type": "object",
            "properties": {
                "rows": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                "keep_days": {"type": "integer", "minimum": 1, "maximum": 36_500},
                "leave_out": {"type": "array", "items": {"type": "string", "minLength": 1}},
            },
            "additionalProperties": False,
        },
    ]
}


@dataclass(frozen=True)
class LogPolicy:
    """Which rows and fields of a model are logged, and for how long."""

    #: The share of rows that are logged.
    share: float = 1.0
    keep_days: int = KEEP_DAYS
    #: Names of members that are not stored, at any depth of a row, a prediction or a truth.
    leave_out: Set[str] = frozenset()

    @classmethod
    def from_entry(cls, value: bool | Mapping[str, Any]) -> LogPolicy | None:
        """Return the policy of a valid value of ``log``; ``None`` if the model is not logged."""
        if isinstance(value, bool):
            return cls() if value else None
        return cls(
            float(value.get("rows", 1)),
            value.get("keep_days", KEEP_DAYS),
            frozenset(value.get("leave_out", ())),
        )

    def find_unknown(self, row: JsonSchema, prediction: JsonSchema) -> str:
        """Return which name in ``leave_out`` no schema has; ``""`` if none, or without fields.

        :param row: the schema of a row.
        :param prediction: the schema of a prediction.
        """
        schemas = [each for _, each in schemas_of(row)]
        if not self.leave_out or not any("properties" in each for each in schemas):
            return ""
        schemas += [each for _, each in schemas_of(prediction)]
        names = {name for each in schemas for name in each.get("properties", ())}
        patterns = {text for each in schemas for text in each.get("patternProperties", ())}
        for name in sorted(self.leave_out - names):
            if any(matches(text, name) for text in patterns):
                continue
            close = difflib.get_close_matches(name, sorted(names), n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"their fields: {_join(names)}"
            return (
                f"'leave_out' of 'log' names {name!r}, which is no field of the model's schemas; "
                f"{hint}"
            )
        return ""

    def is_sampled(self, request_id: str, index: int) -> bool:
        """Return whether a row is logged; the same for each call with the same request id."""
        if self.share >= 1:
            return True
        return zlib.crc32(f"{request_id}/{index}".encode()) < self.share * 2**32

    def strip(self, value: Any) -> Any:
        """Return a JSON value without the members in ``leave_out``."""
        if not self.leave_out:
            return value
        if isinstance(value, Mapping):
            return {
                name: self.strip(member)
                for name, member in value.items()
                if name not in self.leave_out
            }
        return [self.strip(each) for each in value] if isinstance(value, list) else value


def _join(names: Set[str]) -> str:
    listed = sorted(names)
    more = [f"and {len(listed) - SHOWN_NAMES} more"] * (len(listed) > SHOWN_NAMES)
    return ", ".join([*map(repr, listed[:SHOWN_NAMES]), *more])

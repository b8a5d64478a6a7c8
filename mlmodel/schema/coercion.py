"""Convert the numbers of a valid value to the types that its schema names."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from mlmodel.schema.subschemas import COMBINATIONS, JsonSchema, Subschemas, types_of

#: Keywords whose subschemas apply to the same value as the schema that contains them.
SAME_VALUE = (*COMBINATIONS, "if", "then", "else", "dependentSchemas")
#: Cells of a table for each of its values, up to which its columns are looked through.
MOST_ABSENT = 2
NO_NUMBERS = frozenset({bool, str, type(None)})
#: The ``x-dtype`` of a column of numpy integers, which have no missing value.
WHOLE = re.compile(r"u?int(8|16|32|64)")


class Coercion:
    """Converts the numbers of a valid value to the schema's types."""

    def __init__(self, document: JsonSchema) -> None:
        self._root = _Place(document, SAME_VALUE)
        #: Types that need no conversion anywhere in a value.
        self._settled = NO_NUMBERS if _names_integers(document) else NO_NUMBERS | {float}

    def __call__(self, value: Any) -> Any:
        """Return the converted value; the given one is not modified."""
        if type(value) is dict and self._settled.issuperset(map(type, value.values())):
            return value
        return _convert(value, self._root)

    def convert_all(self, values: Sequence[Any]) -> list[Any]:
        """Return the converted values. Values that need no conversion are found together."""
        if len(values) > 1 and set(map(type, values)) == {dict}:
            members = chain.from_iterable(map(dict.values, values))
            if self._settled.issuperset(map(type, members)) or self._are_settled(values):
                return list(values)
        return list(map(self, values))

    def _are_settled(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Return whether no row has a number of another type than its member's."""
        names = set(chain.from_iterable(rows))
        if len(rows) * len(names) > MOST_ABSENT * sum(map(len, rows)):
            return False  # looking up absent members would take longer
        return all(
            self._root.member(name).settled.issuperset(map(type, [row.get(name) for row in rows]))
            for name in names
        )


class _Place(Subschemas):
    """The schemas of a value, and the type that they require of a number."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        types = {kind for node in self.nodes for kind in types_of(node)}
        # Numbers in object and integer columns stay as written: a double holds 53 integer bits.
        dtypes = {str(node.get("x-dtype", "")) for node in self.nodes}
        is_as_written = "object" in dtypes or any(map(WHOLE.fullmatch, dtypes))
        self.to_float = "number" in types and "integer" not in types and not is_as_written
        self.to_int = "integer" in types and "number" not in types
        #: Types of values without members that need no conversion.
        self.settled = NO_NUMBERS.union(
            () if self.to_float else (int,), () if self.to_int else (float,)
        )


def _names_integers(document: Any) -> bool:
    """Return whether the string "integer" occurs anywhere in a schema."""
    if isinstance(document, Mapping):
        return any(map(_names_integers, document.values()))
    if isinstance(document, list):
        return any(map(_names_integers, document))
    return bool(document == "integer")


def _convert(value: Any, place: _Place) -> Any:
    if isinstance(value, dict):
        return {
            name: member if type(member) in NO_NUMBERS else _convert(member, place.member(name))
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [_convert(item, place.item(index)) for index, item in enumerate(value)]
    if place.to_float and type(value) is int and abs(value) <= sys.float_info.max:
        return float(value)
    if place.to_int and type(value) is float and value.is_integer():
        return int(value)
    return value

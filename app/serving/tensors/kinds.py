"""The JSON types that a schema allows for a value, and the datatype of a tensor of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from app.serving.tensors.content_types import JSON, NUMBERS, TEXT
from app.serving.tensors.datatypes import BYTES
from mlmodel.schema.subschemas import COMBINATIONS, JSON_TYPES, JsonSchema, Subschemas, types_of

NUMERIC = frozenset({"integer", "number"})
#: Datatypes and content types by the JSON types of values.
DATATYPES: Mapping[frozenset[str], tuple[str, str]] = {
    frozenset({"boolean"}): ("BOOL", NUMBERS),
    frozenset({"integer"}): ("INT64", NUMBERS),
    frozenset({"number"}): ("FP64", NUMBERS),
    frozenset({"string"}): (BYTES, TEXT),
    NUMERIC: ("FP64", NUMBERS),
}


def read_schema(schema: JsonSchema | None) -> Subschemas:
    """Return a schema with its references, alternatives and parts."""
    return Subschemas(True if schema is None else schema, COMBINATIONS)


def get_kinds(value: Subschemas) -> set[str]:
    """Return the JSON types that the schemas of a value name; empty if they name none."""
    kinds: set[str] = set()
    for node in value.nodes:
        kinds.update(types_of(node))
        constants = [*node.get("enum", ()), *([node["const"]] if "const" in node else [])]
        kinds.update(JSON_TYPES[type(constant)] for constant in constants)
    return kinds


def get_datatype(kinds: Collection[str]) -> tuple[str, str]:
    """Return the datatype and the content type of a tensor for values of JSON types.

    Only floating-point numbers have a value for null, NaN. Other values with null are JSON texts.
    """
    known = frozenset(kinds) - {"null"}
    if known and known <= NUMERIC and "null" in kinds:
        return "FP64", NUMBERS
    return DATATYPES.get(frozenset(kinds), (BYTES, JSON))

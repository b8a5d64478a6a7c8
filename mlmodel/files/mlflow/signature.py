"""The signature of a model that MLflow saved, merged with what the model itself shows.

Source: ``mlflow.types.schema``, ``DataType`` and ``ColSpec``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlmodel.bounded.sizes import MOST_MEMBERS
from mlmodel.errors import BadMetadata, InvalidModel
from mlmodel.files.mlflow import saved_example
from mlmodel.frameworks import Schemas
from mlmodel.schema.subschemas import JSON_TYPES, members_of
from mlmodel.schema.validator import Schema

#: The JSON Schema of each plain type, with the pandas type that MLflow converts values to.
_TYPES: Mapping[str, Mapping[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "x-dtype": "int32"},
    "long": {"type": "integer"},
    "float": {"type": "number", "x-dtype": "float32"},
    "double": {"type": "number"},
    "string": {"type": "string"},
    "datetime": {"type": "string", "format": "date-time-local", "x-dtype": "datetime64[ns]"},
    "sparkml_vector": {"type": "array", "items": {"type": "number"}},
    "any": {},
}
#: The type of the values of a tensor, by the first letters of numpy's name.
_DTYPES: Mapping[str, str] = {
    "bool": "boolean",
    "int": "integer",
    "uint": "integer",
    "float": "number",
    "str": "string",
    "object": "string",
}
#: JSON types that stand for the same numbers in different tables.
_NUMBERS = frozenset({"integer", "number", "boolean"})
#: Axes of a tensor of rows and columns.
_TABLE_AXES = 2


@dataclass(frozen=True)
class SignatureColumn:
    """A column of a signature. ``is_required`` is ``None`` if the signature does not state it."""

    name: str
    schema: Mapping[str, Any]
    is_required: bool | None = None


@dataclass(frozen=True)
class Signature:
    """The inputs of a signature as in ``MLmodel``, and the saved input example.

    ``inputs`` is ``None`` without a signature.
    """

    inputs: Sequence[Mapping[str, Any]] | None = None
    example: saved_example.Example | None = None

    def merge(self, inferred: Schemas) -> Schemas:
        """Return inferred schemas with the names, types and required members of the signature.

        Choices, ranges, and whether a value may be null come from the inferred schema.

        :raises BadMetadata: if the signature has an unknown type.
        :raises InvalidModel: if JSON has no values of a column's type.
        """
        seen = inferred.input or {}
        columns = None if self.inputs is None else _columns(self.inputs, list(members_of(seen)))
        if columns is None:
            return self._with_rows(inferred, seen) if seen else inferred
        merged, notes = _merge(columns, seen)
        return self._with_rows(replace(inferred, notes=tuple(notes)), merged)

    def _with_rows(self, inferred: Schemas, schema: dict[str, Any]) -> Schemas:
        """Return the schemas with the rows of the saved example that satisfy the input schema."""
        properties = members_of(schema)
        rows = self.example.rows(list(properties)) if self.example else []
        validator = Schema(schema)
        rows = [row for row in rows if not validator.violations(row)]
        if rows:
            members = {
                name: _with_example(member, rows[0].get(name))
                for name, member in properties.items()
            }
            schema = {**schema, "properties": members, "examples": rows}
        return replace(inferred, input=schema)


def _with_example(schema: Mapping[str, Any], value: Any) -> Mapping[str, Any]:
    is_known = value is None or {"examples", "enum", "anyOf"} & schema.keys()
    return schema if is_known else {**schema, "examples": [value]}


def _merge(
    columns: Sequence[SignatureColumn], seen: Mapping[str, Any]
) -> tuple[dict[str, Any], Sequence[str]]:
    """Return the schema of a row, and notes on contradictions."""
    inferred = _match(columns, seen)
    # The patterns have the model's names: under others, they would accept unknown members.
    others = seen.get("patternProperties", {}) if inferred.keys() <= members_of(seen).keys() else {}
    properties, required, notes = {}, [], []
    for column in columns:
        own = inferred.get(column.name)
        if own is None and any(re.search(pattern, column.name) for pattern in others):
            continue  # the model does not read it: it is accepted and ignored
        member, note = _merge_member(column, own)
        if _is_required(column, own):
            required.append(column.name)
            if own is not None and _is_nullable(own):
                member["x-seen-missing"] = False
        properties[column.name] = member
        notes += [note] if note else []
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
    if "additionalProperties" in seen or not seen:
        schema["additionalProperties"] = False
    if others:
        schema["patternProperties"] = others
    return schema, notes


def _is_required(column: SignatureColumn, seen: Mapping[str, Any] | None) -> bool:
    """Return whether a row must have a column: one without null could not be left out."""
    if seen is None:
        return column.is_required is not False
    return bool(column.is_required) or not _is_nullable(seen)


def _match(
    columns: Sequence[SignatureColumn], seen: Mapping[str, Any]
) -> dict[str, Mapping[str, Any]]:
    """Return the inferred members by the signature's names.

    A model that was fitted on an array has no names, and LightGBM changes them: those are taken in
    the order of the columns.
    """
    members = members_of(seen)
    names = [column.name for column in columns]
    if len(names) == len(members) and not members.keys() & set(names):
        return dict(zip(names, members.values(), strict=True))
    return {name: members[name] for name in names if name in members}


def _merge_member(
    column: SignatureColumn, seen: Mapping[str, Any] | None
) -> tuple[dict[str, Any], str]:
    """Return the schema of a member, and a note if signature and model contradict each other."""
    if seen is None:
        is_optional = column.is_required is False
        return _nullable(column.schema) if is_optional else dict(column.schema), ""
    own, found = _kinds(column.schema), _kinds(seen) - {"null"}
    agrees = not own or not found or bool(own & found) or (own | found) <= _NUMBERS
    note = ""
    if not agrees:
        note = (
            f"the signature has {column.name} as {_words(own)}, but the model was fitted on "
            f"{_words(found)}"
        )
    if _choices(seen) is not None:
        return _with_choices(column.schema, seen) if agrees else dict(seen), note
    about = {key: value for key, value in seen.items() if key != "type"}
    schema = {**column.schema, **(about if agrees else {})}
    schema = _nullable(schema) if _is_nullable(seen) else schema
    return _drop_invalid_values(schema), note


def _with_choices(own: Mapping[str, Any], seen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inferred schema of a member with choices, as booleans if the signature has those.

    An encoder that was fitted on pandas' nullable booleans stores them as 0.0 and 1.0.
    """
    choices = _choices(seen) or []
    if own.get("type") != "boolean" or not all(each in (0, 1) for each in choices):
        return dict(seen)
    listed = {"enum": [bool(each) for each in choices]}
    values = {"anyOf": [listed, {"type": "null"}]} if "anyOf" in seen else listed
    return {**{key: seen[key] for key in seen if key not in ("anyOf", "enum")}, **values}


def _drop_invalid_values(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without a default and examples that violate it, such as 1.5 for integers."""
    rest = {key: value for key, value in schema.items() if key not in ("default", "examples")}
    validator, is_whole = Schema(rest), "integer" in _kinds(rest)

    def fitting(values: Sequence[Any]) -> list[Any]:
        valid = [each for each in values if not validator.violations(each)]
        return [int(each) if is_whole and type(each) is float else each for each in valid]

    defaults = fitting([schema["default"]]) if "default" in schema else []
    examples = fitting(schema.get("examples", ()))
    return {
        **rest,
        **({"default": defaults[0]} if defaults else {}),
        **({"examples": examples} if examples else {}),
    }


def _columns(
    inputs: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> list[SignatureColumn] | None:
    """Return the columns of a signature; ``None`` if it has tensors that are no table.

    :param names: of the model's own columns, used if the signature has no names.
    """
    if any(each.get("type") == "tensor" for each in inputs):
        return _tensor_columns(inputs, names)
    if len(names) != len(inputs):
        names = [f"x{at}" for at in range(len(inputs))]
    columns = list(_plain_columns(inputs, names))
    if len({column.name for column in columns}) != len(columns):
        raise BadMetadata("the signature has two columns of the same name")
    return columns


def _plain_columns(
    inputs: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> Iterator[SignatureColumn]:
    for each, own in zip(inputs, names, strict=True):
        name = own if each.get("name") is None else str(each["name"])
        yield SignatureColumn(name, _schema(each, name), each.get("required") is not False)


def _tensor_columns(
    inputs: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> list[SignatureColumn] | None:
    tensor = inputs[0].get("tensor-spec")
    shape = tensor.get("shape") if isinstance(tensor, Mapping) else None
    is_table = len(inputs) == 1 and isinstance(shape, list) and len(shape) == _TABLE_AXES
    if not (is_table and isinstance(tensor, Mapping) and isinstance(shape, list)):
        return None
    width = shape[1] if isinstance(shape[1], int) and shape[1] > 0 else len(names)
    if names and len(names) != width:
        return None  # such as a tensor that the model takes as one member
    if width > MOST_MEMBERS:
        raise BadMetadata(
            f"the signature must have at most {MOST_MEMBERS:,} columns, got {width:,}"
        )
    dtype = str(tensor.get("dtype"))
    kind = _DTYPES.get(re.sub(r"\d.*", "", dtype))
    schema: dict[str, Any] = {"type": kind} if kind else {}
    if dtype in ("float16", "float32", "int8", "int16", "int32", "uint8", "uint16", "uint32"):
        schema["x-dtype"] = dtype
    return [SignatureColumn(name, schema) for name in names or [f"x{at}" for at in range(width)]]


def _schema(declared: Any, name: str) -> dict[str, Any]:
    """Return the JSON Schema of the values of a type.

    :param name: of the column, for messages.
    """
    kind = declared.get("type") if isinstance(declared, Mapping) else None
    if kind == "binary":
        raise InvalidModel(f"the column {name!r} of the signature has bytes, which JSON lacks")
    if isinstance(kind, str) and kind in _TYPES:
        return dict(_TYPES[kind])
    if kind == "array":
        return {"type": "array", "items": _schema(declared.get("items"), name)}
    if kind == "map":
        values = _schema(declared.get("values"), name)
        return {"type": "object", "additionalProperties": values}
    members = declared.get("properties") if kind == "object" else None
    if isinstance(members, Mapping):
        return {
            "type": "object",
            "properties": {key: _schema(each, name) for key, each in members.items()},
            "required": [key for key in members if members[key].get("required") is not False],
        }
    raise BadMetadata(f"the column {name!r} of the signature has the unknown type {kind!r:.60}")


def _parts(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [schema, *schema.get("anyOf", ())]


def _choices(schema: Mapping[str, Any]) -> list[Any] | None:
    return next((part["enum"] for part in _parts(schema) if "enum" in part), None)


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    """Return the JSON types of the values of a schema; empty if they are unknown."""
    kinds: set[str] = set()
    for part in _parts(schema):
        types = part.get("type", [])
        kinds.update([types] if isinstance(types, str) else types)
        kinds.update(JSON_TYPES[type(each)] for each in part.get("enum", ()))
    return kinds


def _is_nullable(schema: Mapping[str, Any]) -> bool:
    return "null" in _kinds(schema)


def _nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema that also accepts ``null``."""
    types = schema.get("type")
    if types is None:
        return dict(schema)
    types = [types] if isinstance(types, str) else types
    return {**schema, "type": list(dict.fromkeys([*types, "null"]))}


def _words(kinds: set[str]) -> str:
    return " or ".join(sorted(kinds))

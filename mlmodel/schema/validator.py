"""Validate rows and predictions against a JSON Schema that is checked and compiled once.

Values that the compiled schema does not accept go to the full validator, ``jsonschema``, which
decides and reports the errors. It is extended here: fractions are decimal (0.3 is a multiple of
0.1), a number must fit a double, an error points to the missing or unknown member itself, and
patterns and ``uniqueItems`` are checked in linear time.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import cache, cached_property
from itertools import islice
from typing import Any

from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from mlmodel.errors import InvalidSchema, Violation
from mlmodel.schema.closed import is_closed
from mlmodel.schema.coercion import Coercion
from mlmodel.schema.defaults import build_filler
from mlmodel.schema.examples import build_example
from mlmodel.schema.fast import compile_columns, compile_schema, is_schema
from mlmodel.schema.messages import explain
from mlmodel.schema.rows import Table
from mlmodel.schema.shape import Shape
from mlmodel.schema.subschemas import (
    COMBINATIONS,
    JsonSchema,
    Subschemas,
    get_dialect,
    schemas_of,
)
from mlmodel.schema.texts.formats import build_checker, get_format
from mlmodel.schema.texts.regex import check as check_pattern
from mlmodel.schema.texts.regex import matches

#: For the second keyword, jsonschema matches the patterns of the first itself and may hang.
NOT_TOGETHER = ("patternProperties", "unevaluatedProperties")


class Schema:
    """A JSON Schema that validates and converts values.

    :param document: a JSON Schema of any draft that ``jsonschema`` supports, by default 2020-12.
        It is copied.
    :param is_null_left: whether :meth:`convert` leaves missing nullable members out instead of
        setting them to their defaults.
    :raises InvalidSchema: if the document is not a schema, has a ``$ref`` that points outside
        itself, or a pattern that is not supported.
    """

    document: JsonSchema

    def __init__(self, document: JsonSchema, *, is_null_left: bool = False) -> None:
        try:
            self.document = copy.deepcopy(document)
            self._validator = build_validator(self.document)
            self._fit = compile_schema(self.document, self._validator.format_checker)
            self._read_columns = compile_columns(self.document) if self._fit else None
            self._coercion = Coercion(self.document)
            #: The members of a row whose default violates its own schema, and is not filled in.
            self.invalid_defaults = self._find_invalid_defaults()
            self._fill = build_filler(
                self.document, is_null_left=is_null_left, invalid=self.invalid_defaults
            )
        except RecursionError as error:
            raise InvalidSchema("the JSON Schema is nested too deeply") from error

    def _find_invalid_defaults(self) -> set[str]:
        fill = build_filler(self.document, is_null_left=False)
        if fill is None:
            return set()
        (row,) = fill([{}])
        pointers = [error.absolute_path for error in self._validator.iter_errors(row)]
        return {str(path[0]) for path in pointers if path and path[0] in row}

    @cached_property
    def shape(self) -> Shape:
        """The shape of the values."""
        return Shape.of(self.document)

    @cached_property
    def subschemas(self) -> Subschemas:
        """The schema with its references, alternatives and parts."""
        return Subschemas(self.document, COMBINATIONS)

    @cached_property
    def is_closed(self) -> bool:
        """Whether no object in a valid value has members that the schema does not name."""
        return is_closed(self.document)

    @cached_property
    def is_closed_by_properties(self) -> bool:
        """Whether that holds if ``properties`` name all members where no keyword describes others.

        Schemas of predictions rarely exclude other members.
        """
        return is_closed(self.document, by_properties=True)

    def accepts(self, values: Sequence[Any]) -> bool:
        """Return true only if all values are valid. Fast, but false for some valid values too."""
        if self._read_columns is not None and self._read_columns(values) is not None:
            return True
        return self._fit is not None and self._fit(values)

    def accept(self, values: Sequence[Any]) -> list[Any] | None:
        """Return the values that :meth:`accepts` accepts, converted; otherwise ``None``.

        Many rows with all members are a :class:`Table`.
        """
        read = None if self._read_columns is None else self._read_columns(values)
        if read is not None:  # they need no default and no conversion
            return read if isinstance(read, Table) else list(values)
        return self.convert(values) if self._fit is not None and self._fit(values) else None

    def violations(self, value: Any, row: int = 0, most: int | None = None) -> list[Violation]:
        """Return the violations of a value; an empty list if it is valid.

        :param row: the value's index in its request, passed on to each violation.
        :param most: the maximum number of violations: one value can have a million.
        """
        if self.accepts((value,)):
            return []
        found = (
            Violation(pointer, detail, row)
            for error in self._validator.iter_errors(value)
            for pointer, detail in explain(error)
        )
        return list(islice(found, most))

    def convert(self, values: Sequence[Any]) -> list[Any]:
        """Return valid values with defaults filled in and each number in the schema's type.

        ``5`` becomes ``5.0`` for type ``number``, and ``5.0`` becomes ``5`` for type ``integer``;
        the rest is unchanged. The given values are not modified.
        """
        filled = values if self._fill is None else self._fill(values)
        return self._coercion.convert_all(filled)

    def example(self) -> Any:
        """Return a valid value, preferably the schema's own example.

        If none is easily found, return ``None``, which may be invalid.
        """
        value = build_example(self.document)
        return None if self.violations(value, most=1) else value


def build_validator(document: JsonSchema) -> Validator:
    """Return the full validator for a document.

    :raises InvalidSchema: if the document is not a schema, has a ``$ref`` that points outside
        itself, or a pattern that is not supported.
    """
    dialect = get_dialect(document)
    formats = build_checker(dialect)
    schemas = dict(schemas_of(document))
    for place, schema in schemas.items():
        _check_patterns(place, schema)
        if schema is not document:
            _check_inner(place, schema, dialect)
    if all(any(keyword in schema for schema in schemas.values()) for keyword in NOT_TOGETHER):
        raise InvalidSchema(f"{' and '.join(NOT_TOGETHER)} cannot be used together in one schema")
    if not is_schema(document, dialect):
        try:
            dialect.check_schema(document, format_checker=formats)
        except SchemaError as error:
            pointer, detail = next(explain(error))
            place = pointer or "its root"
            # The validator's own message repeats the schema of schemas.
            raise InvalidSchema(f"not a JSON Schema: at {place}, {detail}") from None
    # With an empty registry, jsonschema fetches nothing for any reference.
    validator = _validator_class(dialect)(
        _without_dialect(document), registry=Registry(), format_checker=formats
    )
    _check_references(validator)
    return validator


@cache
def _validator_class(dialect: type[Validator]) -> type[Validator]:
    """Return a draft's validator class with the keywords of this module; slow, so cached."""
    return extend(  # type: ignore[no-any-return]
        dialect,
        validators={
            "additionalProperties": _additional_properties,
            "format": _format,
            "multipleOf": _multiple_of,
            "pattern": _pattern,
            "patternProperties": _pattern_properties,
            "required": _required,
            "uniqueItems": _unique_items,
        },
        type_checker=dialect.TYPE_CHECKER.redefine_many(
            {"number": _is_number, "integer": _is_integer}
        ),
    )


def _check_inner(place: str, schema: Mapping[str, Any], dialect: type[Validator]) -> None:
    """Check that a subschema has the draft and address of its document.

    :raises InvalidSchema: if it names a draft or an address of its own.
    """
    # jsonschema would validate it with that draft's own class, without the keywords added here.
    if "$schema" in schema:
        raise InvalidSchema(f"at {place}/$schema: only the root may have a $schema")
    address = dialect.ID_OF(schema)
    if isinstance(address, str) and address.partition("#")[0]:
        raise InvalidSchema(f"at {place}: only the root may have an $id, got {address!r:.80}")


def _check_patterns(place: str, schema: Mapping[str, Any]) -> None:
    named = schema.get("patternProperties")
    named = named if isinstance(named, Mapping) else ()
    patterns = [("patternProperties", each) for each in named if isinstance(each, str)]
    if isinstance(schema.get("pattern"), str):
        patterns.append(("pattern", schema["pattern"]))
    for keyword, pattern in patterns:
        try:
            check_pattern(pattern)
        except InvalidSchema as error:
            raise InvalidSchema(f"not a JSON Schema: at {place}/{keyword}, {error}") from error


def _without_dialect(document: JsonSchema) -> JsonSchema:
    """Return a document without ``$schema``, which would select the draft's own validator."""
    if isinstance(document, bool):
        return document
    return {keyword: value for keyword, value in document.items() if keyword != "$schema"}


def _check_references(validator: Validator) -> None:
    """Detect hidden or endless references, which only appear when a value is validated."""
    try:
        values: tuple[Any, ...] = (None, {}, [])
        for value in values:
            validator.is_valid(value)
    except RecursionError as error:
        raise InvalidSchema("a $ref refers to itself without end") from error
    except Unresolvable as error:
        raise InvalidSchema(f"the target of $ref {error.ref!r:.80} does not exist") from error


def _is_number(_checker: object, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    return -sys.float_info.max <= value <= sys.float_info.max


def _is_integer(checker: object, value: object) -> bool:
    return _is_number(checker, value) and int(value) == value  # type: ignore[call-overload]


def _required(
    validator: Validator, names: list[str], value: Any, _schema: object
) -> Iterator[ValidationError]:
    if not validator.is_type(value, "object"):
        return
    for name in names:
        if name not in value:
            yield ValidationError("is required", path=[name])


def _additional_properties(
    validator: Validator, allowed: Any, value: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """Validate the members that a schema does not name, with an error for each."""
    if not validator.is_type(value, "object"):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, member in value.items():
        if name in named or any(matches(pattern, name) for pattern in patterns):
            continue
        if allowed is False:
            yield ValidationError("is not a known member", path=[name])
        else:
            yield from validator.descend(member, allowed, path=name)


def _format(
    validator: Validator, _form: str, value: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not validator.format_checker.conforms(value, get_format(schema)):
        yield ValidationError("is not of the format")


def _pattern(
    validator: Validator, pattern: str, value: Any, _schema: object
) -> Iterator[ValidationError]:
    if validator.is_type(value, "string") and not matches(pattern, value):
        yield ValidationError("does not match the pattern")


def _pattern_properties(
    validator: Validator, patterns: Mapping[str, Any], value: Any, _schema: object
) -> Iterator[ValidationError]:
    if not validator.is_type(value, "object"):
        return
    for pattern, schema in patterns.items():
        for name, member in value.items():
            if matches(pattern, name):
                yield from validator.descend(member, schema, path=name, schema_path=pattern)


def _unique_items(
    validator: Validator, unique: bool, value: Any, _schema: object
) -> Iterator[ValidationError]:
    # By hash, in linear time: jsonschema compares every pair if the items are objects.
    if not unique or not validator.is_type(value, "array"):
        return
    if len(set(map(_hashable, value))) < len(value):
        yield ValidationError("has an item twice")


def _hashable(value: Any) -> Any:
    """Return a key that is equal exactly for values that are equal in JSON Schema."""
    if isinstance(value, Mapping):
        return "object", frozenset((name, _hashable(each)) for name, each in value.items())
    if isinstance(value, list | tuple):
        return "array", tuple(map(_hashable, value))
    return isinstance(value, bool), value


def _multiple_of(
    validator: Validator, divisor: float, value: Any, _schema: object
) -> Iterator[ValidationError]:
    if not validator.is_type(value, "number"):
        return
    # As decimals: 0.3 % 0.1 is not 0 in doubles.
    steps = Fraction(str(value)) / Fraction(str(divisor))
    if steps.denominator != 1:
        yield ValidationError(f"{value!r} is not a multiple of {divisor}")

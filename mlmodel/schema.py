"""A JSON Schema, checked once and compiled once: the judge of rows and answers.

What the compiled schema does not accept goes to the judge, who decides and words the errors. The
judge is ``jsonschema``, taught four things: fractions are decimal (0.3 is a multiple of
0.1), a number fits a double, and a missing or an unknown member is itself what an error points to.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import Any

from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from mlmodel.compiled import compiled
from mlmodel.conversion import Conversion
from mlmodel.errors import InvalidSchema, Violation
from mlmodel.examples import example_of
from mlmodel.formats import checker
from mlmodel.references import JsonSchema, dialect_of, references_in, resolve
from mlmodel.wording import explain, pointer_to


class Schema:
    """One JSON Schema and what it says about values.

    :param document: a JSON Schema of any draft that ``jsonschema`` knows, 2020-12 without
        ``$schema``. It is copied.
    :raises InvalidSchema: if it is none, or has a ``$ref`` that leads outside itself.
    """

    document: JsonSchema

    def __init__(self, document: JsonSchema) -> None:
        self.document = copy.deepcopy(document)
        self._judge = judge(self.document)
        self._fit = compiled(self.document, self._judge.format_checker)
        self._conversion = Conversion(self.document)

    def accepts(self, values: Iterable[Any]) -> bool:
        """Tell, fast, that all values fit. Some that it does not accept may fit as well."""
        return self._fit is not None and self._fit(values)

    def violations(self, value: Any, row: int = 0, most: int | None = None) -> list[Violation]:
        """Return all that is wrong with a value; nothing, if it fits.

        :param row: the value's place among others, handed on to each violation.
        :param most: how many to look for: a value can be wrong in a million ways.
        """
        if self.accepts((value,)):
            return []
        found = (
            Violation(pointer, detail, row)
            for error in self._judge.iter_errors(value)
            for pointer, detail in explain(error)
        )
        return list(islice(found, most))

    def converted(self, values: Iterable[Any]) -> list[Any]:
        """Return values that fit with each number in the type that the schema names.

        ``5`` becomes ``5.0`` where the schema says ``number``, and ``5.0`` becomes ``5`` where it
        says ``integer``; the rest is unchanged. The given values are left as they are.
        """
        return list(map(self._conversion, values))

    def example(self) -> Any:
        """Return a value that fits, the schema's own example where there is one.

        ``None``, which may not fit, where no value is easily found.
        """
        value = example_of(self.document)
        return None if self.violations(value, most=1) else value


def judge(document: JsonSchema) -> Validator:
    """Return what decides whether a value fits.

    :raises InvalidSchema: if the document is no schema, or has a ``$ref`` out of itself.
    """
    dialect = dialect_of(document)
    formats = checker(dialect)
    try:
        dialect.check_schema(document, format_checker=formats)
    except SchemaError as error:
        place = pointer_to(error.path) or "its root"
        raise InvalidSchema(f"not a JSON Schema: at {place}, {error.message[:200]}") from error
    for reference in references_in(document):
        resolve(reference, document)
    taught: type[Validator] = extend(
        dialect,
        validators={
            "additionalProperties": _additional_properties(dialect),
            "multipleOf": _multiple_of,
            "required": _required,
        },
        type_checker=dialect.TYPE_CHECKER.redefine_many(
            {"number": _is_number, "integer": _is_integer}
        ),
    )
    # The empty registry fetches nothing, whatever a reference says.
    made = taught(document, registry=Registry(), format_checker=formats)
    _try(made)
    return made


def _try(judge: Validator) -> None:
    """Find what only shows when a value is judged: a hidden reference, or one to itself."""
    try:
        values: tuple[Any, ...] = (None, {}, [])
        for value in values:
            judge.is_valid(value)
    except RecursionError as error:
        raise InvalidSchema("a $ref leads to itself without end") from error
    except Unresolvable as error:
        raise InvalidSchema(f"a $ref leads nowhere: {error.ref!r:.80}") from error


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


def _additional_properties(dialect: type[Validator]) -> Callable[..., Iterator[ValidationError]]:
    """Return the keyword's check with one error for each unknown member, pointing to it."""
    inherited = dialect.VALIDATORS["additionalProperties"]

    def check(
        validator: Validator, allowed: Any, value: Any, schema: Mapping[str, Any]
    ) -> Iterator[ValidationError]:
        if allowed is not False or not validator.is_type(value, "object"):
            yield from inherited(validator, allowed, value, schema)
            return
        alone = {**_only(schema, "properties", "patternProperties"), "additionalProperties": False}
        for name in value:
            if next(inherited(validator, False, {name: None}, alone), None):
                yield ValidationError("is not a known member", path=[name])

    return check


def _only(schema: Mapping[str, Any], *keywords: str) -> dict[str, Any]:
    return {keyword: schema[keyword] for keyword in keywords if keyword in schema}


def _multiple_of(
    validator: Validator, divisor: float, value: Any, _schema: object
) -> Iterator[ValidationError]:
    if not validator.is_type(value, "number"):
        return
    # Decimals as they were written: 0.3 % 0.1 is not 0 in doubles.
    steps = Fraction(str(value)) / Fraction(str(divisor))
    if steps.denominator != 1:
        yield ValidationError(f"{value!r} is not a multiple of {divisor}")

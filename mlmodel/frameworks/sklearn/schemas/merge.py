"""Combines what a model stores about its columns with what a sample shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from mlmodel.errors import InvalidModel
from mlmodel.frameworks.sklearn.schemas.column import Column, ModelInput, are_renamed, name_list
from mlmodel.frameworks.sklearn.schemas.dtypes import NOT_JSON, join_categories, write
from mlmodel.frameworks.sklearn.schemas.sample import Sample
from mlmodel.schema.messages import join_first, to_short_json

#: Values that one message lists.
MOST_LISTED = 5


def align(model_input: ModelInput | None, sample: Sample) -> tuple[ModelInput | None, Sample]:
    """Return both with the same columns in the same order and under the same names.

    The sample's names are used if the model has none.

    :raises InvalidModel: if the sample does not have the model's columns.
    """
    if model_input is None or model_input.layout == "records":
        return model_input, Sample(_with_names(sample), sample.is_named)
    table, own = sample.table, [column.name for column in model_input.columns]
    if sample.is_named and model_input.is_named and not are_renamed(own, list(table)):
        expected = [column.name for column in model_input.columns if column.is_read]
        missing = [name for name in expected if name not in table]
        if missing:
            raise InvalidModel(
                f"the sample has no column {name_list(missing)}, which the model was fitted on"
            )
        return model_input, replace(sample, table=table[[name for name in own if name in table]])
    if len(own) != table.shape[1]:
        raise InvalidModel(
            f"the model was fitted on {len(own)} columns, the sample has {table.shape[1]}"
        )
    if sample.is_named:
        # LightGBM renames its columns, and models fitted on arrays have no names.
        own = [str(name) for name in table]
        columns = [
            replace(column, name=name, is_renamed=False)
            for column, name in zip(model_input.columns, own, strict=True)
        ]
        model_input = replace(model_input, columns=columns)
    return model_input, Sample(table.set_axis(own, axis=1), sample.is_named)


def merge_columns(model_input: ModelInput | None, seen: Mapping[str, Column]) -> list[Column]:
    """Return the model's columns with the types and ranges that a sample shows.

    :param seen: what the columns of an aligned sample show, by name.
    """
    if model_input is None:
        return list(seen.values())
    return [
        _merge_column(column, seen[column.name])
        if column.name in seen and column.is_read
        else column
        for column in model_input.columns
    ]


def disagreements(
    columns: Iterable[Column],
    model_input: ModelInput | None,
    sample: Sample,
    seen: Mapping[str, Column],
) -> list[str]:
    """Return a message for each difference between a sample and what the model accepts."""
    known = {column.name: column for column in model_input.columns} if model_input else {}
    return [
        note
        for column in columns
        if column.is_read and column.name in seen
        for note in [
            *_missing_notes(column, sample),
            *_differences(_as_written(known.get(column.name), column), seen[column.name], sample),
        ]
    ]


def _as_written(known: Column | None, column: Column) -> Column:
    """Return what the model stores about a column, with the choices written as in the sample."""
    if known is None:
        return column
    is_rewritten = column.has_texts_of_values or column.kind == "boolean"
    return replace(known, choices=column.choices) if known.choices and is_rewritten else known


def unknown_columns(model_input: ModelInput | None, sample: Sample) -> list[str]:
    """Return a message on columns of a sample that the model was not fitted on."""
    if model_input is None or not (model_input.is_named and sample.is_named):
        return []
    own = {column.name for column in model_input.columns}
    others = [str(name) for name in sample.table if str(name) not in own]
    if not others:
        return []
    return [f"the sample has columns that the model was not fitted on: {name_list(others)}"]


def _with_names(sample: Sample) -> Any:
    if sample.is_named:
        return sample.table.rename(columns=str)
    count = sample.table.shape[1]
    is_text = count == 1 and isinstance(sample.table.iat[0, 0], str)
    names = ["text"] if is_text else [f"x{at}" for at in range(count)]
    return sample.table.set_axis(names, axis=1)


def _merge_column(known: Column, seen: Column) -> Column:
    """Return what is known of a column, with the types of the sample's column."""
    missing = tuple(dict.fromkeys([*seen.missing, *known.missing]))
    typed = replace(
        known,
        is_nullable=seen.is_nullable,
        is_never_missing=seen.is_never_missing,
        missing=missing,
    )
    if known.choices:
        return _with_type(typed, seen)
    if seen.dtype == "category" and known.kind != "code":
        # A booster stores the codes of categories, which are numbers.
        return replace(seen, is_open=bool(seen.choices))
    if known.kind == "code":
        kind = seen.kind if seen.kind in ("integer", "string") else "code"
        return replace(seen, kind=kind, dtype=known.dtype, is_open=bool(seen.choices))
    if not seen.is_sure or known.kind == "text" or _conflict(known, seen):
        are_texts = known.kind in ("string", "text") and seen.kind == "string"
        return replace(typed, dtype=seen.dtype if are_texts else known.dtype)
    fitting = (_convert(value, seen.kind) for value in known.examples)
    return replace(
        seen,
        default=_convert(known.default, seen.kind),
        examples=seen.examples or tuple(value for value in fitting if value is not None),
        is_open=bool(seen.choices),
        missing=missing,
    )


def _with_type(known: Column, seen: Column) -> Column:
    """Return a column with an encoder's choices and the type of the sample's column."""
    if not seen.is_sure or _conflict(known, seen):
        return known
    categories = seen.categories and join_categories(seen.categories, known.choices)
    if categories and categories != seen.categories and categories.is_ordered:
        raise InvalidModel(
            f"the sample's column {known.name!r} has ordered categories, and lacks some that the "
            f"model was fitted on: expected {', '.join(map(str, categories.values))}, in order"
        )
    typed = replace(known, dtype=seen.dtype, categories=categories)
    if seen.has_texts_of_values:
        # Use the sample's texts: an encoder may store (0.0, 10.0] for (0, 10].
        return replace(typed, kind=seen.kind, choices=seen.choices)
    if seen.kind == "boolean":
        # An encoder stores pandas' nullable booleans as 0.0 and 1.0.
        return replace(typed, kind="boolean", choices=tuple(map(bool, known.choices)))
    return typed


def _conflict(known: Column, seen: Column) -> bool:
    """Return whether one of model and sample has numbers or booleans, and the other has not.

    Only if the kind of the model's column is sure.
    """
    numbers = {"integer", "number", "boolean"}
    if not known.is_sure or known.kind == seen.kind:
        return False
    return (known.kind in numbers) != (seen.kind in numbers)


def _convert(value: Any, kind: str) -> Any:
    """Return a default in the type that the sample shows; ``None`` if that is impossible."""
    if isinstance(value, float) and kind == "integer":
        return int(value) if value.is_integer() else None
    is_text = kind in ("string", "text")
    return value if isinstance(value, str) == is_text and kind != "boolean" else None


def _missing_notes(column: Column, sample: Sample) -> Iterator[str]:
    if column.is_nullable or len(column.missing) > 1:
        return
    count = int(sample.table[column.name].isna().sum())
    if count:
        yield (
            f"{column.name} is missing in {count} of {len(sample.table)} rows of the sample, "
            "but the model rejects missing values"
        )


def _differences(known: Column, seen: Column, sample: Sample) -> Iterator[str]:
    if known.choices:
        values = sample.table[known.name].dropna()
        unknown = sorted(
            {to_short_json(_to_json(value)) for value in values.unique()} - _choices_as_json(known)
        )
        if unknown:
            listed = join_first(unknown, MOST_LISTED)
            yield f"{known.name} has {listed} in the sample, which the model was not fitted on"
    elif known.kind != "text" and seen.is_sure and _conflict(known, seen):
        kind = seen.kind or "mixed"
        yield f"{known.name} is {kind} in the sample, but the model expects {known.kind}"
    if known.span and seen.span:
        (low, high), (fitted_low, fitted_high) = seen.span, known.span
        if low < fitted_low or fitted_high < high:
            yield (
                f"{known.name} ranges from {low:g} to {high:g} in the sample, but ranged from "
                f"{fitted_low:g} to {fitted_high:g} when the model was fitted"
            )


def _to_json(value: Any) -> Any:
    written = write(value)
    return str(value) if written is NOT_JSON else written


def _choices_as_json(column: Column) -> set[str]:
    return {to_short_json(value) for value in column.choices} | {
        to_short_json(float(value)) for value in column.choices if type(value) in (int, float)
    }

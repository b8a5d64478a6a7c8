"""Sample rows for ``package``, with dates recognized in the texts of a file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import click

from app.cli.terminal import write_message

#: A date, or date and time, as in ISO 8601 and pandas.
DATE = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
#: Rows predicted to find out whether a model was fitted on dates or on their texts.
PREDICTED_ROWS = 50


def read(path: Path, model: Any) -> Any:
    """Return a file's rows as a data frame, without columns that the model was not fitted on.

    Columns of dates become datetimes unless the model was fitted on their texts.
    """
    write_message(f"Reading {path.name} ...")
    frame = _frame(path)
    fitted = [str(name) for name in getattr(model, "feature_names_in_", ())]
    others = [name for name in frame.columns if name not in fitted]
    if fitted and others:
        names = ", ".join(map(str, others))
        write_message(f"Left out columns that the model was not fitted on: {names}")
        frame = frame.drop(columns=others)
    return _convert_dates(frame, model)


def _frame(path: Path) -> Any:
    import pandas  # noqa: PLC0415

    readers = {
        ".csv": pandas.read_csv,
        ".json": pandas.read_json,
        ".ndjson": lambda path: pandas.read_json(path, lines=True),
    }
    if path.suffix.lower() not in readers:
        raise click.UsageError(
            f"--sample must end with one of {', '.join(readers)}, got {path.name!r}"
        )
    try:
        return readers[path.suffix.lower()](path)
    except (ValueError, pandas.errors.ParserError) as error:
        raise click.ClickException(f"{path.name} is not a table: {error}") from error


def _convert_dates(frame: Any, model: Any) -> Any:
    """Convert date columns to datetimes unless the model was fitted on texts.

    A model that accepts the texts but predicts the datetimes differently or rejects them, such as
    an encoder that ignores unknown categories, was fitted on the texts of the file.
    """
    names = [name for name in frame.columns if _has_dates(frame[name])]
    if not names:
        return frame
    with_dates = _parse_dates(frame, names)
    predictions = _predict(model, frame.head(PREDICTED_ROWS))
    if predictions is not None and predictions != _predict(model, with_dates.head(PREDICTED_ROWS)):
        return frame
    write_message(f"Converted to dates: {', '.join(map(str, names))}")
    return with_dates


def _has_dates(column: Any) -> bool:
    values = column.dropna()
    is_text = len(values) > 0 and all(isinstance(value, str) for value in values)
    return is_text and bool(values.str.fullmatch(DATE).all())


def _parse_dates(frame: Any, names: list[Any]) -> Any:
    import pandas  # noqa: PLC0415

    converted = frame.copy()
    for name in names:
        try:
            converted[name] = pandas.to_datetime(frame[name], format="ISO8601")
        except ValueError:  # such as 2026-02-30, or several time zones
            continue
    return converted


def _predict(model: Any, rows: Any) -> list[Any] | None:
    """Return a model's raw predictions as strings; ``None`` if it fails on the rows."""
    predict: Any = getattr(model, "predict", None) or getattr(model, "transform", None)
    # The model's code may raise any error on unsuitable rows.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            predictions = predict(rows)
        return [str(each) for each in getattr(predictions, "values", predictions)]
    except Exception:
        return None

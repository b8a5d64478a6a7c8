"""Sample rows for ``package``, with dates recognized among the texts of a file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import click

from app.cli.terminal import printable, say

#: A date, or date and time, as in ISO 8601 and pandas.
MOMENT = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
#: Rows predicted to find out whether a model was fitted on dates or on their texts.
ASKED = 50


def read(path: Path, model: Any) -> Any:
    """Return a file's rows as a data frame, without columns that the model was not fitted on.

    Columns of dates become datetimes unless the model was fitted on their texts.
    """
    say(f"Reading {path.name} ...")
    frame = _frame(path)
    wanted = [str(name) for name in getattr(model, "feature_names_in_", ())]
    others = [name for name in frame.columns if name not in wanted]
    if wanted and others:
        say(f"Left out, because the model was not fitted on them: {', '.join(map(str, others))}")
        frame = frame.drop(columns=others)
    return _dated(frame, model)


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
        raise click.ClickException(printable(f"{path.name} is no table: {error}")) from error


def _dated(frame: Any, model: Any) -> Any:
    """Convert date columns to datetimes unless the model was fitted on texts.

    A model that accepts the texts but predicts the datetimes differently or rejects them, such as
    an encoder that ignores unknown categories, was fitted on the texts of the file.
    """
    names = [name for name in frame.columns if _is_of_dates(frame[name])]
    if not names:
        return frame
    dated = _with_dates(frame, names)
    texts = _answers(model, frame.head(ASKED))
    if texts is not None and texts != _answers(model, dated.head(ASKED)):
        return frame
    say(f"Taken as dates: {', '.join(map(str, names))}")
    return dated


def _is_of_dates(column: Any) -> bool:
    known = column.dropna()
    is_text = len(known) > 0 and all(isinstance(value, str) for value in known)
    return is_text and bool(known.str.fullmatch(MOMENT).all())


def _with_dates(frame: Any, names: list[Any]) -> Any:
    import pandas  # noqa: PLC0415

    dated = frame.copy()
    for name in names:
        try:
            dated[name] = pandas.to_datetime(frame[name], format="ISO8601")
        except ValueError:  # such as 2026-02-30, or several time zones
            continue
    return dated


def _answers(model: Any, rows: Any) -> list[Any] | None:
    """Return a model's raw predictions as strings; ``None`` if it fails on the rows."""
    ask: Any = getattr(model, "predict", None) or getattr(model, "transform", None)
    # The model's code may raise any error on unsuitable rows.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answers = ask(rows)
        return [str(answer) for answer in getattr(answers, "values", answers)]
    except Exception:
        return None

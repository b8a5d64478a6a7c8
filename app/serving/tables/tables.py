"""Formats of files of rows, the rows of a JSON document, and predictions as CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from app.serving.errors import UnreadableFile
from app.serving.tables.csv_cells import escape_formula, parse_json, to_text
from mlmodel.errors import InvalidInput
from mlmodel.schema.messages import json_reason

#: The format of Parquet files.
PARQUET = "parquet"
#: File extensions, and the format in which rows are read.
FORMATS = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "ndjson",
    ".ndjson": "ndjson",
    ".parquet": PARQUET,
    ".tsv": "csv",
    ".xlsx": "xlsx",
}
#: The column of a prediction that is not an object.
PREDICTION = "prediction"
#: Formats of tables. CSV and workbooks are recognized by their content.
SHEETS = frozenset({"csv", "xlsx"})
#: Extensions behind these, of files that are compressed.
COMPRESSED = (".gz", ".zst")


def without_compression(path: Path) -> Path:
    """Return the path of a file without the extension of its compression."""
    return path.with_suffix("") if path.suffix.lower() in COMPRESSED else path


def read_document(stream: BinaryIO) -> tuple[list[Any], bool]:
    """Return the rows of a JSON document, and whether it is a single one, not a list.

    :raises InvalidInput: if it is not JSON.
    :raises UnreadableFile: if it is not UTF-8.
    """
    try:
        document = parse_json(stream.read().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"the file is not UTF-8: {error.reason}") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InvalidInput(f"the file is not JSON: {json_reason(error)} ({place})") from error
    except ValueError as error:
        raise InvalidInput(f"the file is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidInput("the file is nested too deeply") from error
    return (document, False) if isinstance(document, list) else ([document], True)


def write_csv(predictions: Iterable[Any], stream: TextIO) -> None:
    """Write predictions as CSV, in order. A nested member becomes a column ``a.b``."""
    rows = list(map(flatten, predictions))
    names = columns(rows)
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(map(escape_formula, names))
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)


def flatten(prediction: Any) -> dict[str, Any]:
    """Flatten the members of a prediction, see :func:`to_members`, to columns."""
    return dict(_flat(to_members(prediction), ""))


def to_members(prediction: Any) -> dict[str, Any]:
    """Return the members of a prediction; that of another than an object is ``prediction``."""
    return dict(prediction) if isinstance(prediction, Mapping) else {PREDICTION: prediction}


def columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of all rows, in order of first appearance."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _flat(members: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in members.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _cell(value: Any) -> str:
    return "" if value is None else escape_formula(to_text(value))

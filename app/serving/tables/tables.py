"""Formats of files of rows, the rows of a JSON document, and predictions as CSV."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from app.serving.json_text import InvalidJson, parse
from app.serving.tables.csv_cells import csv_line
from mlmodel.errors import InvalidInput

#: The format of Parquet files, and their first bytes.
PARQUET, PARQUET_MAGIC = "parquet", b"PAR1"
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
#: What precedes the name of a member of a prediction whose name another column has.
FROM_MODEL = "model "
OWN_NAME = re.compile(f"^({FROM_MODEL})+")
#: Formats of tables. CSV and workbooks are recognized by their content.
SHEETS = frozenset({"csv", "xlsx"})
#: Extensions behind these, of files that are compressed.
COMPRESSED = (".gz", ".zst")


def without_compression(path: Path) -> Path:
    """Return the path of a file without the extension of its compression."""
    return path.with_suffix("") if path.suffix.lower() in COMPRESSED else path


def read_document(stream: BinaryIO, max_depth: int) -> tuple[list[Any], bool]:
    """Return the rows of a JSON document, and whether it is a single one, not a list.

    :param max_depth: see :func:`parse`.
    :raises InvalidInput: if it is not JSON.
    """
    try:
        document = parse(stream.read().removeprefix(codecs.BOM_UTF8), max_depth)
    except InvalidJson as error:
        raise InvalidInput(f"the file {error}") from error
    return (document, False) if isinstance(document, list) else ([document], True)


def write_csv(predictions: Iterable[Any], stream: TextIO) -> None:
    """Write predictions as CSV, in order. A nested member becomes a column ``a.b``."""
    rows = list(map(flatten, predictions))
    names = columns(rows)
    stream.write(csv_line(names))
    stream.writelines(csv_line(map(row.get, names)) for row in rows)


def flatten(prediction: Any) -> dict[str, Any]:
    """Flatten the members of a prediction, see :func:`to_members`, to columns."""
    return dict(_flat(to_members(prediction), ""))


def to_members(prediction: Any) -> dict[str, Any]:
    """Return the members of a prediction; that of another than an object is ``prediction``."""
    return dict(prediction) if isinstance(prediction, Mapping) else {PREDICTION: prediction}


def add_columns(members: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """Return members and added columns: a member with the name of one gets the prefix "model".

    So an added column has one name in all rows of a file, regardless of their predictions.
    """
    own = {
        FROM_MODEL + name if OWN_NAME.sub("", name) in added else name: value
        for name, value in members.items()
    }
    return {**own, **added}


def join_problems(problems: Iterable[Mapping[str, Any]]) -> str:
    """Return the problems of a row, each with its ``pointer`` and ``detail``, as text."""
    return "; ".join(f"{each['pointer'][1:]} {each['detail']}".strip() for each in problems)


def columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of all rows, in order of first appearance."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _flat(members: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in members.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value

"""Reading a Parquet file in batches of columns, and the rows of their values as JSON has them.

Dates and times become text in ISO 8601, lists and structs become JSON, and NaN becomes null. The
other values are unchanged.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import date, datetime, time
from itertools import chain
from math import isfinite, isnan
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.serving.errors import UnreadableFile
from app.serving.json_text import to_json
from app.serving.tables.csv_cells import Column, Members, to_text
from app.serving.tables.headers import check_required
from app.serving.tables.tables import PARQUET_MAGIC
from mlmodel.errors import InvalidInput
from mlmodel.schema.subschemas import JsonSchema

#: Bytes of a column that are read at once, and those of all columns together. With 1 MB for a
#: column, a process of jobs keeps 15 MB more.
BUFFER_BYTES, BUFFERS_BYTES = 1 << 14, 16 << 20
#: Bytes of a column in a row group up to which its texts are read as a dictionary.
MAX_DICTIONARY_BYTES = 16 << 20
#: Columns that are read at once: the reader keeps pages and dictionaries of up to 1 MB each, and
#: 390 MB for 500 columns of numbers. Of more columns, each part is copied to a temporary file.
MAX_OPEN_COLUMNS, PART_COLUMNS = 25, 10
#: The beginning of the names that pandas gives to the columns of an index without a name.
INDEX = "__index_level_"

_ATOMS = (
    pa.types.is_null,
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_date,
    pa.types.is_time,
    pa.types.is_timestamp,
)
_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)


class Batch(NamedTuple):
    """Some rows of a file: plain columns of one length, and the problems of rows by index."""

    columns: list[pa.Array]
    problems: Mapping[int, str]

    def cells(self, index: int) -> list[str]:
        """Return the values of a row as text."""
        values = [column[index].as_py() for column in self.columns]
        return ["" if value is None else to_text(value) for value in values]


class ParquetFile:
    """A Parquet file of rows.

    ``names`` are its columns, without those that neither the model uses nor JSON can represent.
    ``structures`` are the names of those with lists and structs.

    :param stream: a seekable stream.
    :param schema: of a row; its references must be resolvable.
    :raises UnreadableFile: if it is not a Parquet file, or is damaged.
    :raises InvalidInput: if its columns do not fit the model.
    """

    def __init__(self, stream: BinaryIO, schema: JsonSchema) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415  0.1 seconds, which other files need not

        self._members = Members(schema)
        try:
            about = pq.read_metadata(stream)
            fields = about.schema.to_arrow_schema()
            stream.seek(0)
            self._file = pq.ParquetFile(
                stream,
                read_dictionary=_find_repeated(about, fields),
                buffer_size=min(BUFFER_BYTES, BUFFERS_BYTES // max(1, len(fields))),
                # Otherwise, whole row groups are read: 620 MB instead of 330 for rows of 20 kB.
                pre_buffer=False,
                page_checksum_verification=True,
            )
        except _ERRORS as error:
            raise UnreadableFile(f"not a readable Parquet file: {error}") from error
        _check(fields, self._members)
        kept = [each for each in fields if _is_supported(each.type)]
        self.names = [each.name for each in kept]
        self.structures = [each.name for each in kept if pa.types.is_nested(each.type)]
        self.rows = self._file.metadata.num_rows

    def batches(
        self,
        max_rows: int,
        max_characters: int,
        *,
        folder: Path | None = None,
        proceed: Callable[[int], None] = lambda _: None,
    ) -> Iterator[Batch]:
        """Yield the rows in batches.

        :param folder: of temporary files; by default, that of the system.
        :param proceed: called with the bytes that are written to them; raises an error to stop.
        :raises UnreadableFile: if the file is damaged, or has a value that JSON cannot represent.
        """
        columns = [
            self._members.column(name) if is_member(self._members, name) else None
            for name in self.names
        ]
        try:
            size = self._batch_rows(max_rows, max_characters)
            for batch in self._read(size, folder, proceed):
                batch.validate(full=True)
                for piece in _pieces(batch, max_characters):
                    yield _convert(piece, self.names, columns)
        except _ERRORS as error:
            if isinstance(error, OSError) and error.errno is not None:  # the disk, not the file
                raise
            raise UnreadableFile(f"the Parquet file cannot be read: {error}") from error

    def _read(
        self, size: int, folder: Path | None, proceed: Callable[[int], None]
    ) -> Iterator[pa.RecordBatch]:
        if len(self.names) <= MAX_OPEN_COLUMNS:
            yield from self._file.iter_batches(size, columns=self.names, use_threads=False)
            return
        starts = range(0, len(self.names), PART_COLUMNS)
        parts = [self.names[start : start + PART_COLUMNS] for start in starts]
        groups = range(self._file.num_row_groups)
        for group in (each for each in groups if self._file.metadata.row_group(each).num_rows):
            with ExitStack() as stack:
                files = [stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in parts]
                for file, names in zip(files, parts, strict=True):
                    self._copy(group, names, size, file, proceed)
                readers = [pa.ipc.open_stream(file) for file in files]
                for batches in zip(*readers, strict=True):
                    columns = chain.from_iterable(each.columns for each in batches)
                    yield pa.RecordBatch.from_arrays(list(columns), self.names)

    def _copy(
        self,
        group: int,
        names: Sequence[str],
        size: int,
        file: BinaryIO,
        proceed: Callable[[int], None],
    ) -> None:
        """Write some columns of a row group to a file."""
        batches = self._file.iter_batches(size, [group], names, use_threads=False)
        first = next(batches)
        with pa.ipc.new_stream(file, first.schema) as writer:
            for batch in chain([first], batches):
                proceed(batch.nbytes)
                writer.write_batch(batch)
        file.seek(0)

    def _batch_rows(self, max_rows: int, max_characters: int) -> int:
        about = self._file.metadata
        groups = [about.row_group(at) for at in range(about.num_row_groups)]
        sizes = [each.total_byte_size / max(1, each.num_rows) for each in groups]
        return max(1, min(max_rows, int(max_characters / max(1, *sizes, 1))))


class ValueColumns:
    """The columns of a batch, whose values form rows.

    A null is left out of its row unless the schema allows null.

    :param names: see :attr:`ParquetFile.names`.
    :param structures: see there.
    :param schema: of a row; its references must be resolvable.
    """

    def __init__(self, names: Sequence[str], structures: Sequence[str], schema: JsonSchema) -> None:
        members = Members(schema)
        self._names = names
        self._structures = frozenset(structures)
        self._columns = [
            members.column(name) if is_member(members, name) else None for name in names
        ]

    def rows(self, values: Sequence[pa.ChunkedArray]) -> list[dict[str, Any]]:
        """Return the rows, which are not validated."""
        rows: list[dict[str, Any]] = [{} for _ in range(len(values[0]))]
        for column, array in zip(self._columns, values, strict=True):
            if column is None:
                continue
            name = column.name
            is_json = name in self._structures
            for row, value in zip(rows, array.to_pylist(), strict=True):
                if value is not None:
                    row[name] = json.loads(value) if is_json else value
                elif column.allows_null:
                    row[name] = None
        return rows


def is_parquet(stream: BinaryIO) -> bool:
    """Return whether a stream, which is at its beginning, is a Parquet file."""
    beginning = stream.read(len(PARQUET_MAGIC))
    stream.seek(0)
    return beginning == PARQUET_MAGIC


def is_member(members: Members, name: str) -> bool:
    """Return whether a column of a Parquet file is part of the row."""
    return members.has(name) and not name.startswith(INDEX)


#: What pyarrow raises for files that it cannot read, and Python for values beyond its types.
_ERRORS = (pa.ArrowException, OSError, ValueError, OverflowError, KeyError, NotImplementedError)


def _check(fields: pa.Schema, members: Members) -> None:
    twice = [name for name, count in Counter(fields.names).items() if count > 1]
    if twice:
        raise InvalidInput(f"the file has the column {twice[0]!r:.100} more than once")
    used = [each for each in fields if is_member(members, each.name)]
    if not used:
        listed = ", ".join(members.names) or "any"
        raise InvalidInput(f"the file must have columns of the model, such as {listed:.200}")
    check_required(fields.names, members)
    for each in used:
        if not _is_supported(each.type):
            raise InvalidInput(
                f"the column {each.name!r:.100} has the type {each.type!s:.100}, which JSON "
                "does not have: convert it to numbers or text"
            )


def _find_repeated(about: Any, fields: pa.Schema) -> list[str]:
    """Return the columns of texts to decode late, so that a repeated text takes its size once.

    All texts of a row group are then kept until its end. Larger columns are left out: writers give
    up dictionaries of more than about 1 MB.
    """
    texts = {each.name for each in fields if pa.types.is_string(each.type)}
    for at in range(about.num_row_groups):
        group = about.row_group(at)
        for place in range(group.num_columns):
            column = group.column(place)
            if column.total_uncompressed_size > MAX_DICTIONARY_BYTES:
                texts.discard(column.path_in_schema)
    return sorted(texts)


def _is_supported(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_supported(kind.value_type)
    if any(is_kind(kind) for is_kind in _LISTS):
        return _is_supported(kind.value_type)
    if pa.types.is_struct(kind):
        return all(_is_supported(kind.field(at).type) for at in range(kind.num_fields))
    return any(is_kind(kind) for is_kind in _ATOMS)


def _pieces(batch: pa.RecordBatch, max_characters: int) -> Iterator[pa.RecordBatch]:
    """Divide a batch whose texts are too long together."""
    ends = np.cumsum(sum(map(_sizes, batch.columns), np.zeros(len(batch))))
    start = 0
    while start < len(batch):
        done = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, done + max_characters, "right")))
        yield batch.slice(start, end - start)
        start = end


def _sizes(column: pa.Array) -> Any:
    if not pa.types.is_dictionary(column.type) or not pa.types.is_string(column.type.value_type):
        return column.nbytes / len(column)
    sizes = pc.take(pc.binary_length(column.dictionary), column.indices)
    return pc.fill_null(sizes, 0).to_numpy(zero_copy_only=False)


def _convert(
    batch: pa.RecordBatch, names: Sequence[str], columns: Sequence[Column | None]
) -> Batch:
    problems: dict[int, str] = {}
    arrays = []
    for name, column in zip(names, columns, strict=True):
        array = batch.column(name)
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        plain, infinite = _to_plain(array, column)
        arrays.append(plain)
        if column is not None:
            problems |= dict.fromkeys(infinite, f"{name} is infinite, which JSON does not have")
    return Batch(arrays, problems)


def _to_plain(array: pa.Array, column: Column | None) -> tuple[pa.Array, Sequence[int]]:
    """Return a column as one of plain values, and the indices of values that are infinite."""
    kind = array.type
    if pa.types.is_floating(kind):
        floats = array.cast(pa.float64())
        infinite = pc.indices_nonzero(pc.fill_null(pc.is_inf(floats), False)).to_pylist()
        return pc.if_else(pc.is_finite(floats), floats, None), infinite
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return array, ()
    if pa.types.is_nested(kind):
        return _to_texts(array)
    if pa.types.is_temporal(kind):
        values = _to_microseconds(array).to_pylist()
        texts = [None if value is None else _to_iso(value, column) for value in values]
        return pa.array(texts, pa.string()), ()
    return array.cast(pa.string()), ()


def _to_microseconds(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_timestamp(kind):
        with suppress(pa.ArrowInvalid):  # moments of pandas hold further digits too
            return array.cast(pa.timestamp("us", kind.tz))
        return array
    return array.cast(pa.time64("us")) if pa.types.is_time64(kind) else array


def _to_iso(value: date | time, column: Column | None) -> str:
    if column is None or not isinstance(value, datetime | time):
        return value.isoformat()
    return str(column.value(value))


def _to_texts(array: pa.Array) -> tuple[pa.Array, Sequence[int]]:
    texts: list[str | None] = []
    infinite = []
    for at, value in enumerate(array.to_pylist()):
        try:
            texts.append(None if value is None else to_json(_to_value(value)))
        except _Infinite:
            texts.append(None)
            infinite.append(at)
    return pa.array(texts, pa.string()), infinite


class _Infinite(Exception):
    """A number in a list or a struct is infinite."""


def _to_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _to_value(each) for name, each in value.items()}
    if isinstance(value, list):
        return list(map(_to_value, value))
    if isinstance(value, float) and not isfinite(value):
        if isnan(value):
            return None
        raise _Infinite
    return value.isoformat() if isinstance(value, date | time) else value

import io

import pyarrow as pa
import pytest

from app.serving.errors import UnreadableFile
from app.serving.jobs.chunks import chunk_tables
from app.serving.tables import csv_file


def read(text, width=2):
    tables = list(chunk_tables.read_csv(io.StringIO(text, newline=""), 2, ",", width))
    return [line for table in tables for line in zip(*table.to_pydict().values(), strict=True)]


@pytest.mark.parametrize(
    "text",
    [
        "a,1\nb,2\n",
        "a,1\r\n,2",
        "a, 1\r b,NA\n",
        "a,1\n\nb,2\n",
        "a,1\n,\nb,2\n",
        "a,1\n  \nb,2\n \n",
        "a,1\nb\nc,2,3\n",
        "\ufeffa,\x00\nb,\x0b\u2028\n",
        "a," + "x" * 200_000 + "\nb,2\n",
    ],
)
def test_both_readers_of_csv_agree(text, monkeypatch):
    found = read(text)

    monkeypatch.setattr(chunk_tables, "_read_plain", lambda *_: None)

    assert read(text) == found


def test_quoted_cell_may_end_in_the_next_piece(monkeypatch):
    monkeypatch.setattr(chunk_tables, "PIECE_CHARACTERS", 4)

    assert [(line[0], *line[3:]) for line in read('a,"1\n2\n3"\nb,2\nc,3\n')] == [
        (2, "a", "1\n2\n3"),
        (5, "b", "2"),
        (6, "c", "3"),
    ]


def test_quoted_empty_text_of_one_column_is_line():
    assert [(line[0], line[3]) for line in read('a\n""\n\nb\n', width=1)] == [
        (2, "a"),
        (3, ""),
        (5, "b"),
    ]


def test_long_line_is_an_error(monkeypatch):
    monkeypatch.setattr(chunk_tables, "PIECE_CHARACTERS", 4)
    monkeypatch.setattr(csv_file, "MAX_LINE_CHARACTERS", 20)

    with pytest.raises(UnreadableFile, match="a line has more than 20 characters"):
        read("a," + "1" * 30)


def test_table_stays_readable_if_its_file_is_truncated(tmp_path):
    path = tmp_path / "part.arrow"
    table = pa.table({"a": list(range(10_000)), "b": ["x"] * 10_000})
    chunk_tables.write_table(table, path, None)

    found, column = chunk_tables.read_table(path), chunk_tables.read_table(path, "b")
    path.write_bytes(b"")

    assert found.equals(table)
    assert column.equals(table.select(["b"]))
    with pytest.raises(pa.ArrowInvalid):
        chunk_tables.read_table(path)

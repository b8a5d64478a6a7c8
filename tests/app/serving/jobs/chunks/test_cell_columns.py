import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.serving.jobs.chunks.cell_columns import CellColumns
from app.serving.tables.columns import Columns

MEMBERS = {
    "number": {"type": "number"},
    "whole": {"type": "integer"},
    "bounded": {"type": ["number", "null"], "minimum": 0},
    "as written": {"type": "number", "x-dtype": "int64"},
    "choice": {"enum": ["a", "b ", "1"]},
    "level": {"enum": [1, 2.5, None]},
    "truth": {"type": "boolean"},
    "text": {"type": "string"},
    "day": {"type": "string", "format": "date"},
    "list": {"type": "array"},
    "any": {},
}
SCHEMA = {"type": "object", "properties": MEMBERS, "required": ["number", "text", "choice"]}
SPELLINGS = (
    "|0|-0|-0.0|5|5.0|007|.5|5.|+1|1e5|1e400|-1E-3|inf|nan|NA|none|1,5|1.234,5|52.000|12 %|0.1e1"
    "|9007199254740993|123456789012345678|1234567890123456789012|0.30000000000000004|\u0663|1\n"
    "|true|WAHR|a|b|b | a| |2.5|31.01.2026|01/02/2026|[1]|{}|x y|\u00e9"
)
NUMBERS = st.floats(allow_nan=False).map(repr) | st.integers().map(str)
CELLS = st.sampled_from(SPELLINGS.split("|")) | NUMBERS | st.text(max_size=5)


@pytest.mark.parametrize("name", MEMBERS)
@example(["", "[1]"], ".")
@given(st.lists(CELLS, max_size=6), st.sampled_from([".", ",", ""]))
def test_bulk_conversion_equals_that_of_single_cells(name, cells, decimal):
    columns = Columns([name], SCHEMA)
    expected = [columns.row(columns.values([cell], decimal)) for cell in cells]

    rows = CellColumns([name], SCHEMA, decimal).rows([pa.chunked_array([cells], pa.string())])

    # The text of a float shows its type, its sign and its last digit.
    assert list(map(repr, rows)) == list(map(repr, expected))

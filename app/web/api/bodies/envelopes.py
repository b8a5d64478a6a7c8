"""Bodies with several rows, in our own forms and in those of other model servers.

An array of rows, and pandas' split format, see :mod:`.split_frames`. Or an object with one of
:data:`KEYS`, whose value has rows, lists of values in the order of the schema, or lists of values
by column:

    {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}     MLflow
    {"dataframe_records": [{"a": 1, "b": 2}]}                          MLflow
    {"inputs": {"a": [1], "b": [2]}}                                   MLflow, TensorFlow Serving
    {"instances": [[1, 2]]}                                            TensorFlow Serving, KServe v1
    {"data": {"a": [1], "b": [2]}}, {"X": [{"a": 1, "b": 2}]},
    {"features": [[1, 2]]}                                             other Python servers

Sources: mlflow.org, "Deploy MLflow Model as a Local Inference Server"; tensorflow.org, "RESTful
API"; KServe, "V1 Protocol".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, NamedTuple

from app.serving.errors import TooManyRows
from app.serving.tables.csv_cells import Members
from app.web.api.bodies import split_frames
from mlmodel.errors import InvalidInput, Violation
from mlmodel.schema.messages import to_short_json
from mlmodel.schema.rows import Table
from mlmodel.schema.shape import escape, unescape
from mlmodel.schema.validator import Schema

SPLIT, RECORDS = "dataframe_split", "dataframe_records"
#: Members of a body that hold rows, and further members that such a body may have.
KEYS: Mapping[str, frozenset[str]] = {
    SPLIT: frozenset({"params"}),
    RECORDS: frozenset({"params"}),
    "inputs": frozenset({"params", "signature_name"}),
    "instances": frozenset({"params", "parameters", "signature_name"}),
    "data": frozenset(),
    "X": frozenset(),
    "features": frozenset(),
}
#: One of these is in each body of several rows that is an object, which has few members.
MARKS = frozenset({*KEYS, split_frames.NAMES})
MOST_MEMBERS = 3
#: The signature that every TensorFlow model has.
DEFAULT_SIGNATURE = "serving_default"
#: Maximum characters of the example row in an error.
MAX_EXAMPLE = 2_000

#: Returns violations of rows with pointers into the body that the rows came from.
Locate = Callable[[Sequence[Violation]], Sequence[Violation]]


class Rows(NamedTuple):
    """A row, or a list of rows, and where its violations are in the body.

    ``lines`` are the lines of the rows in a file; empty for JSON.
    """

    value: Any
    locate: Locate
    lines: Sequence[int] = ()

    @property
    def size(self) -> int:
        """The number of rows."""
        return len(self.value) if isinstance(self.value, list) else 1

    def point_into_body(self, error: InvalidInput) -> InvalidInput:
        """Return an error about the rows with pointers into the body."""
        return InvalidInput(str(error), violations=self.locate(error.violations))

    def add_line(self, error: Exception, index: int) -> Exception:
        """Return the error of one row with its line, if it is that of a file."""
        if not self.lines or not isinstance(error, InvalidInput):
            return error
        found = [name_line(each, self.lines[index]) for each in error.violations]
        return InvalidInput(str(error), violations=found)


def name_line(violation: Violation, line: int) -> Violation:
    """Return a violation with a line of a file at the end of its detail."""
    return replace(violation, detail=f"{violation.detail} (line {line})")


def is_likely(body: Any) -> bool:
    """Return whether a body looks like rows in another form than an array of rows.

    Every prediction calls this: a usual row takes a fraction of a microsecond.
    """
    if not isinstance(body, dict) or len(body) > MOST_MEMBERS or MARKS.isdisjoint(body):
        return False
    return _get_key(body) is not None or split_frames.is_likely(body)


def plain_rows(body: Any) -> Rows:
    """Return a body that is a row or an array of rows."""
    return Rows(body, _in_array if isinstance(body, list) else tuple)


def read_rows(body: Any, schema: Schema, most: int, example: Any = None) -> Rows:
    """Return the rows of a body. A body with a member of the schema is a row.

    So is a valid one, unless the schema names its members, and the value is an array or object:
    a body of another server must not be a row of defaults.

    :param schema: of a row.
    :param most: the maximum number of rows.
    :param example: a row to show in an error.
    :raises TooManyRows: if there are more.
    :raises InvalidInput: if the body has one of :data:`KEYS` and its form does not fit the schema.
    """
    if split_frames.is_likely(body):
        document = schema.document if isinstance(schema.document, Mapping) else None
        return _from_split(body, most) if split_frames.is_allowed(document) else plain_rows(body)
    key = _get_key(body)
    names = _member_names(schema)
    if key is None or key in names:
        return plain_rows(body)
    may_be_row = not names or not isinstance(body[key], list | dict)
    if may_be_row and not schema.violations(body, most=1):
        return plain_rows(body)
    _check_others(key, body)
    candidates = list(_candidates(key, body[key], schema, most))
    fitting = [each for each in candidates if _are_valid(each.value, schema)]
    if len(fitting) == 1 or (candidates and not fitting):
        return (fitting or candidates)[0]
    raise InvalidInput(_advice(example), pointer=f"/{key}")


def with_example(error: InvalidInput, rows: Rows, schema: Schema, example: Any) -> InvalidInput:
    """Return an error about rows with pointers into the body.

    If none of the rows resembles one of the model, the first violation shows a row.

    :param schema: of a row.
    """
    located = rows.point_into_body(error)
    names = _member_names(schema)
    wrong = {each.pointer for each in error.violations}
    values = rows.value if isinstance(rows.value, list) else [rows.value]
    if example is None or not names or any(_resembles(each, names, wrong) for each in values):
        return located
    return InvalidInput(
        str(error), violations=[Violation("", _advice(example)), *located.violations]
    )


def _resembles(row: Any, names: Sequence[str], wrong: Set[str]) -> bool:
    """Return whether a row has a member of the schema that is no array or object by mistake."""
    if not isinstance(row, dict):
        return False
    known = [name for name in names if name in row]
    return not row or any(
        not isinstance(row[name], list | dict) or f"/{escape(name)}" not in wrong for name in known
    )


def _get_key(body: Mapping[str, Any]) -> str | None:
    """Return the member that holds the rows; ``None`` if the body has unknown members too."""
    found = (key for key in KEYS.keys() & body.keys() if body.keys() - {key} <= KEYS[key])
    return next(found, None)


def _check_others(key: str, body: Mapping[str, Any]) -> None:
    for each in body.keys() - {key}:
        if body[each] not in (None, {}, DEFAULT_SIGNATURE):
            expected = DEFAULT_SIGNATURE if each == "signature_name" else "empty"
            got = to_short_json(body[each])
            raise InvalidInput(f"must be {expected}, got {got}", pointer=f"/{each}")


def _member_names(schema: Schema) -> list[str]:
    """Return the names of a row's members in order; empty if rows are not objects."""
    document = schema.document
    if not isinstance(document, Mapping) or "object" not in document.get("type", "object"):
        return []
    members = Members(document)
    return list(members.names | dict.fromkeys(members.required))


def _are_valid(rows: Sequence[Any], schema: Schema) -> bool:
    return schema.accepts(rows) or not any(schema.violations(row, most=1) for row in rows)


def _candidates(key: str, value: Any, schema: Schema, most: int) -> Iterator[Rows]:
    """Yield the ways to read a value as rows, the likeliest first."""
    if key == SPLIT:
        if split_frames.is_likely(value):
            yield _from_inner_split(key, value, most)
    elif isinstance(value, list):
        _check_count(value, most)
        yield from _from_list(key, value, _member_names(schema))
    elif isinstance(value, dict) and key != RECORDS:
        yield from _from_columns(key, value, schema, most)


def _from_list(key: str, value: list[Any], names: Sequence[str]) -> Iterator[Rows]:
    if not names or all(isinstance(row, dict) for row in value):
        yield Rows(value, lambda found: _below(key, _in_array(found)))
        return
    if key == RECORDS:
        return
    if all(isinstance(line, list) and len(line) == len(names) for line in value):
        rows = Table.build(len(value), split_frames.to_columns(names, value))
        yield Rows(rows, lambda found: _below(key, _in_lines(found, names)))
    if len(names) == 1:
        rows = [{names[0]: each} for each in value]
        yield Rows(rows, lambda found: _below(key, _in_values(found)))


def _from_columns(key: str, value: dict[str, Any], schema: Schema, most: int) -> Iterator[Rows]:
    row = Rows([value], lambda found: _below(key, found))
    lists = [each for each in value.values() if isinstance(each, list)]
    # Members of one row may be arrays of any size.
    sizes = {len(each) for each in lists}
    is_table = len(sizes) == 1 and max(sizes) <= most
    if lists and len(lists) == len(value) and (is_table or not _are_valid(row.value, schema)):
        _check_count(lists[0], most)
        _check_lengths(key, value)
        rows = Table.build(len(lists[0]), value)
        yield Rows(rows, lambda found: _below(key, _in_columns(found, value)))
    yield row


def _from_split(body: dict[str, Any], most: int) -> Rows:
    names = body[split_frames.NAMES]
    rows = split_frames.to_rows(body, most)
    return Rows(rows, lambda found: split_frames.with_frame_pointers(found, names))


def _from_inner_split(key: str, value: dict[str, Any], most: int) -> Rows:
    try:
        rows = _from_split(value, most)
    except InvalidInput as error:
        raise InvalidInput(str(error), violations=_below(key, error.violations)) from error
    return Rows(rows.value, lambda found: _below(key, rows.locate(found)))


def _check_count(rows: Sequence[Any], most: int) -> None:
    if len(rows) > most:
        raise TooManyRows(most, len(rows))


def _check_lengths(key: str, columns: Mapping[str, Sequence[Any]]) -> None:
    count = len(next(iter(columns.values())))
    wrong = [(name, len(each)) for name, each in columns.items() if len(each) != count]
    if wrong:
        raise InvalidInput(
            "the columns differ in length",
            violations=[
                Violation(
                    f"/{key}/{escape(name)}", f"must be a list of {count}, got a list of {got}"
                )
                for name, got in wrong
            ],
        )


def _advice(example: Any) -> str:
    advice = "cannot be read as rows of this model"
    if example is None:
        return advice
    row = json.dumps(example, ensure_ascii=False)
    shown = row if len(row) <= MAX_EXAMPLE else f"{row[:MAX_EXAMPLE]}..."
    return f"{advice}; send a row such as {shown}, or an array of such rows"


def _in_array(found: Sequence[Violation]) -> tuple[Violation, ...]:
    return tuple(replace(each, pointer=f"/{each.row}{each.pointer}") for each in found)


def _in_lines(found: Sequence[Violation], names: Sequence[str]) -> tuple[Violation, ...]:
    prefix = f"/{split_frames.LINES}"
    return tuple(
        replace(each, pointer=each.pointer.removeprefix(prefix))
        for each in split_frames.with_frame_pointers(found, names)
    )


def _in_values(found: Sequence[Violation]) -> tuple[Violation, ...]:
    return tuple(
        replace(each, pointer=f"/{each.row}{_split_member(each.pointer)[1]}") for each in found
    )


def _in_columns(found: Sequence[Violation], columns: Mapping[str, Any]) -> tuple[Violation, ...]:
    """Return violations in a body by columns; a missing column is reported once."""
    moved = []
    for each in found:
        member, rest = _split_member(each.pointer)
        name = unescape(member)
        if each.pointer and name in columns:
            moved.append(replace(each, pointer=f"/{member}/{each.row}{rest}"))
        else:
            subject = f"{to_short_json(name)} " if each.pointer else ""
            moved.append(Violation("", f"{subject}{each.detail}"))
    return tuple(dict.fromkeys(moved))


def _split_member(pointer: str) -> tuple[str, str]:
    """Return the first member of a pointer, escaped, and the rest of it."""
    member, slash, rest = pointer.removeprefix("/").partition("/")
    return member, f"{slash}{rest}"


def _below(key: str, found: Sequence[Violation]) -> tuple[Violation, ...]:
    return tuple(replace(each, pointer=f"/{key}{each.pointer}") for each in found)

"""Stores the actual outcomes of logged predictions."""

from __future__ import annotations

import sqlite3
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from app.serving.calls.caller import CLI, JOB
from app.serving.errors import (
    AmbiguousPrediction,
    LogUnavailable,
    PredictionNotLogged,
    TruthExists,
)
from app.serving.prediction_log import month_files
from app.serving.prediction_log.comparison import fit
from app.serving.prediction_log.export import from_iso, to_iso
from app.serving.prediction_log.policy import LogPolicy
from app.serving.prediction_log.store import from_json
from app.serving.prediction_log.writer import COMMIT_SECONDS, PredictionLog, to_stored_json
from mlmodel.errors import InvalidInput, Violation
from mlmodel.reference.main_value import get_truth_shape
from mlmodel.schema.shape import Shape

FIND = (
    "SELECT id, prediction, truth, truth_who, who, row, model, time FROM predictions"
    " WHERE request_id = ? AND row_index = ? ORDER BY time, id"
)
#: Rows of a job or of the command line have lines of a file from 1, not indexes from 0.
FIND_LINE = "SELECT 1 FROM predictions WHERE request_id = ? AND source IN (?, ?) LIMIT 1"
FIND_OWN = "SELECT 1 FROM predictions WHERE request_id = ? AND who IS ? LIMIT 1"
#: The rows of one request have one time.
COUNT = (
    "SELECT COALESCE(MAX(row_index) + 1, 0) FROM predictions"
    " WHERE request_id = ? AND who IS ? AND model = ? AND time = ?"
)
#: Only as the row was found. SQLite gives the id of a deleted row again.
UPDATE = (
    "UPDATE predictions SET truth = ?, truth_time = ?, truth_who = ?"
    " WHERE id = ? AND request_id = ? AND truth IS ?"
)
#: The JSON Schema of the index of a row, which SQLite stores in 64 bits.
INDEX = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}


@dataclass(frozen=True)
class Truth:
    """The true value for a row of a request; ``None`` removes an earlier one.

    ``time`` is that of the prediction, as :func:`to_iso` returns it, to select one of several.
    ``pointer`` is its place in the body, and ``line`` that in a table, for errors.
    """

    request_id: str
    index: int
    value: Any
    pointer: str = ""
    line: int | None = None
    time: str | None = None

    @property
    def where(self) -> str:
        """The line in a table as an addition to an error."""
        return f" (line {self.line})" if self.line else ""


class _Logged(NamedTuple):
    """A logged prediction: its file, what identifies it there, and its truth so far.

    ``row`` has its id, its request id and the JSON of its truth.
    """

    path: Path
    row: tuple[int, str, str | None]
    prediction: Any
    truth: Any
    truth_who: str | None
    who: str | None
    input: str
    unique_name: str
    time: float


def store_truths(
    prediction_log: PredictionLog,
    model: str,
    policy: LogPolicy | None,
    truths: Sequence[Truth],
    output_schema: Mapping[str, Any] | None,
    *,
    unique_name: str,
    who: str | None,
    are_texts: bool = False,
    are_all: bool = False,
    may_replace: bool = False,
) -> int:
    """Store truths, all or none, and return the number of those whose predictions are logged.

    Clients choose request ids, so that several predictions may have one. The truth is for that of
    its ``time`` alone, if it has one, else for that of ``who``, else for the only one. Of the
    repetitions of a row by one user, the last one of ``unique_name`` gets it, or the last one. A
    prediction that another process has just made is found after it is written: this waits for it
    if none is found.
    A truth that is known already stays as it is, with its time and who gave it.

    :param model: the name without a version.
    :param policy: of the model; ``None`` if it is not logged.
    :param output_schema: of the model; if it lists the classes, a truth must be one of them.
    :param unique_name: the unique name of the version that is addressed.
    :param who: who gives the truths.
    :param are_texts: whether the values are texts of cells.
    :param are_all: whether they are those of all rows of one request.
    :param may_replace: whether to replace truths that others gave.
    :raises PredictionNotLogged: if no prediction is found.
    :raises InvalidInput: if a truth cannot be compared with its prediction, or ``are_all`` and the
        request has another number of rows, or if that of a row of a file has no line.
    :raises AmbiguousPrediction: if several predictions could be meant.
    :raises TruthExists: if a truth replaces or removes that of another user.
    :raises LogUnavailable: if the log cannot be read or written.
    """
    if policy is None:
        raise PredictionNotLogged(f"the model {model!r} has no prediction log")
    try:
        prediction_log.flush()
        logged = _find(prediction_log.folder, model, truths, who)
        if any(
            place not in logged and policy.is_sampled(each.request_id, each.index)
            for place, each in enumerate(truths)
        ):
            time.sleep(COMMIT_SECONDS + 0.1)
            logged = _find(prediction_log.folder, model, truths, who)
        found = {place: _choose(truths[place], each, unique_name) for place, each in logged.items()}
        _check_distinct(truths, found)
        _check_lines(prediction_log.folder, model, truths, found)
        if truths and not found:
            has_time = any(each.time for each in truths)
            key = "request id, row and time" if has_time else "request id and row"
            raise PredictionNotLogged(
                f"no prediction with this {key} is in the log of "
                f"{model!r}: it was not sampled, has been deleted, or does not exist"
            )
        if are_all and truths:
            _check_count(policy, truths, list(found.values()))
        output = get_truth_shape(output_schema)
        values = _fit_all(truths, found, output, policy.leave_out, are_texts=are_texts)
        values = _get_changes(found, {at: policy.strip(each) for at, each in values.items()})
        if not may_replace:
            _check_authors([(truths[place], found[place]) for place in values], who)
        _write(found, values, who)
    except (OSError, sqlite3.Error) as error:
        raise LogUnavailable(f"the prediction log of {model!r} cannot be used: {error}") from error
    return len(found)


def parse_time(text: str | None) -> str | None:
    """Return a time as exports of the log have it; ``None`` for ``None``.

    :raises ValueError: if the text is no time.
    """
    try:
        return None if text is None else to_iso(from_iso(text))
    except (ValueError, OverflowError) as error:
        raise ValueError(
            "must be the time of the prediction as exports of the log have it, such as "
            f"2026-11-29T14:30:00.125+00:00, got {text!r}"
        ) from error


def _find(
    folder: Path, model: str, truths: Sequence[Truth], who: str | None
) -> dict[int, list[_Logged]]:
    """Return the logged predictions that may be meant, by the position of their truth.

    They are in the order of their times.
    """
    found: dict[int, list[_Logged]] = {}
    with ExitStack() as stack:
        files = [
            (path, stack.enter_context(closing(month_files.open_existing(path))))
            for path in month_files.find_paths(folder, model)
        ]

        @cache  # a request may have thousands of rows
        def has_own(request_id: str) -> bool:
            wanted = request_id, who
            return any(each.execute(FIND_OWN, wanted).fetchone() for _, each in files)

        for place, truth in enumerate(truths):
            logged = [
                _to_logged(path, truth.request_id, row)
                for path, connection in files
                for row in connection.execute(FIND, (truth.request_id, truth.index))
                if truth.time in {None, to_iso(row[-1])}
            ]
            own = [each for each in logged if each.who == who]
            # If the giver's own row is not logged, that of another user must not replace it.
            if own or (logged and (truth.time or not has_own(truth.request_id))):
                found[place] = own or logged
    return found


def _to_logged(path: Path, request_id: str, row: Sequence[Any]) -> _Logged:
    prediction, truth = (each and from_json(each) for each in row[1:3])
    return _Logged(path, (row[0], request_id, row[2]), prediction, truth, *row[3:])


def _choose(truth: Truth, logged: Sequence[_Logged], unique_name: str) -> _Logged:
    has_users = len({each.who for each in logged}) > 1
    if has_users or len({each.input for each in logged}) > 1:
        difference = "of different users" if has_users else "of one user with different inputs"
        found = f"{len(logged)} predictions {difference}"
        raise AmbiguousPrediction(truth.request_id, truth.index, found, truth.where)
    return next((each for each in reversed(logged) if each.unique_name == unique_name), logged[-1])


def _check_distinct(truths: Sequence[Truth], found: Mapping[int, _Logged]) -> None:
    """Raise InvalidInput if two truths, which differ in their times, are for one prediction."""
    first: dict[tuple[Path, int], Truth] = {}
    for place, logged in found.items():
        truth = truths[place]
        other = first.setdefault((logged.path, logged.row[0]), truth)
        if other is not truth:
            detail = f"is for the same prediction as {other.pointer}{other.where}"
            raise InvalidInput(f"{detail}{truth.where}", pointer=truth.pointer)


def _check_lines(
    folder: Path, model: str, truths: Sequence[Truth], found: Mapping[int, _Logged]
) -> None:
    """Raise InvalidInput if the truth of a row of a file has no line."""
    first: dict[str, Truth] = {}
    for place, truth in enumerate(truths):
        if not truth.index and place not in found:
            first.setdefault(truth.request_id, truth)
    for path in month_files.find_paths(folder, model) if first else ():
        with closing(month_files.open_existing(path)) as connection:
            for request_id, truth in first.items():
                if connection.execute(FIND_LINE, (request_id, JOB, CLI)).fetchone():
                    detail = f"needs 'line', as in the result: a file was predicted{truth.where}"
                    raise InvalidInput(detail, pointer=truth.pointer)


def _check_count(policy: LogPolicy, truths: Sequence[Truth], found: Sequence[_Logged]) -> None:
    """Raise InvalidInput if a request has another number of rows, as far as the log has them.

    The log lacks the last row if it was not sampled, or rejected: its truth is null.
    """
    rows = 0
    for path, *request in {
        (each.path, each.row[1], each.who, each.unique_name, each.time) for each in found
    }:
        with closing(month_files.open_existing(path)) as connection:
            rows = max(rows, *connection.execute(COUNT, request).fetchone())
    known = max((each.index + 1 for each in truths if each.value is not None), default=0)
    if len(truths) < rows or (policy.share >= 1 and known > rows):
        detail = f"must have a value or null for each row: {rows} logged, got {len(truths)}"
        raise InvalidInput(detail, pointer="/truth")


def _fit_all(
    truths: Sequence[Truth],
    found: dict[int, _Logged],
    output: Shape,
    left_out: Set[str],
    *,
    are_texts: bool,
) -> dict[int, Any]:
    values, violations = {}, []
    for place, logged in found.items():
        truth = truths[place]
        try:
            values[place] = fit(logged.prediction, truth.value, output, left_out, is_text=are_texts)
        except ValueError as error:
            violations.append(Violation(truth.pointer, f"{error}{truth.where}", place))
    if violations:
        raise InvalidInput("truths cannot be compared with predictions", violations=violations)
    return values


def _check_authors(changes: Sequence[tuple[Truth, _Logged]], who: str | None) -> None:
    for truth, logged in changes:
        if logged.truth is not None and logged.truth_who != who:
            raise TruthExists(truth.request_id, truth.index, truth.where)


def _get_changes(found: dict[int, _Logged], values: dict[int, Any]) -> dict[int, Any]:
    return {place: value for place, value in values.items() if value != found[place].truth}


def _write(found: dict[int, _Logged], values: dict[int, Any], who: str | None) -> None:
    by_path: dict[Path, list[tuple[Any, ...]]] = defaultdict(list)
    for place, value in values.items():
        logged = found[place]
        by_path[logged.path].append((*_to_columns(value, who), *logged.row))
    with ExitStack() as stack:
        connections = []
        for path, rows in sorted(by_path.items()):  # in one order, so that no two requests block
            connection = stack.enter_context(closing(month_files.open_existing(path)))
            connection.execute("BEGIN IMMEDIATE")
            if connection.executemany(UPDATE, rows).rowcount < len(rows):  # closing rolls back
                raise sqlite3.OperationalError(
                    "another request has changed these predictions meanwhile; repeat this one"
                )
            connections.append(connection)
        for connection in connections:
            connection.execute("COMMIT")


def _to_columns(value: Any, who: str | None) -> tuple[str | None, float | None, str | None]:
    if value is None:
        return None, None, None
    return to_stored_json(value).decode(), time.time(), who

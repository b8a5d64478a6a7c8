"""Stores the actual outcomes of logged predictions."""

from __future__ import annotations

import sqlite3
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from app.serving.errors import LogUnavailable, PredictionNotLogged, TruthExists
from app.serving.prediction_log import month_files
from app.serving.prediction_log.comparison import fit
from app.serving.prediction_log.policy import LogPolicy
from app.serving.prediction_log.store import from_json
from app.serving.prediction_log.writer import COMMIT_SECONDS, PredictionLog, to_json
from mlmodel.errors import InvalidInput, Violation
from mlmodel.schema.shape import Shape

FIND = (
    "SELECT id, prediction, truth, truth_who FROM predictions"
    " WHERE request_id = ? AND row_index = ? ORDER BY id DESC LIMIT 1"
)
LAST = "SELECT MAX(row_index) FROM predictions WHERE request_id = ?"
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

    ``pointer`` is its place in the body, and ``line`` that in a table, for errors.
    """

    request_id: str
    index: int
    value: Any
    pointer: str = ""
    line: int | None = None


class _Logged(NamedTuple):
    """A logged prediction: its file, what identifies it there, and its truth so far.

    ``row`` has its id, its request id and the JSON of its truth.
    """

    path: Path
    row: tuple[int, str, str | None]
    prediction: Any
    truth: Any
    truth_who: str | None


def store_truths(
    prediction_log: PredictionLog,
    model: str,
    policy: LogPolicy | None,
    truths: Sequence[Truth],
    output_schema: Mapping[str, Any] | None,
    *,
    who: str | None,
    are_texts: bool = False,
    are_all: bool = False,
    may_replace: bool = False,
) -> int:
    """Store truths, all or none, and return the number of those whose predictions are logged.

    If two predictions have the same request id and index, the later one gets the truth. A
    prediction that another process has just made is found after it is written: this waits for it.
    A truth that is known already stays as it is, with its time and who gave it.

    :param model: the name without a version.
    :param policy: of the model; ``None`` if it is not logged.
    :param output_schema: of the model; if it lists the classes, a truth must be one of them.
    :param who: who gives the truths.
    :param are_texts: whether the values are texts of cells.
    :param are_all: whether they are those of all rows of one request.
    :param may_replace: whether to replace truths that others gave.
    :raises PredictionNotLogged: if no prediction is found.
    :raises InvalidInput: if a truth cannot be compared with its prediction, or ``are_all`` and the
        request has another number of rows.
    :raises TruthExists: if a truth replaces or removes that of another user.
    :raises LogUnavailable: if the log cannot be read or written.
    """
    if policy is None:
        raise PredictionNotLogged(f"the model {model!r} has no prediction log")
    try:
        prediction_log.flush()
        found = _find(prediction_log.folder, model, truths)
        if any(
            place not in found and policy.is_sampled(each.request_id, each.index)
            for place, each in enumerate(truths)
        ):
            time.sleep(COMMIT_SECONDS + 0.1)
            found = _find(prediction_log.folder, model, truths)
        if truths and not found:
            raise PredictionNotLogged(
                "no prediction with this request id and row is in the log of "
                f"{model!r}: it was not sampled, has been deleted, or does not exist"
            )
        if are_all and truths:
            _check_count(prediction_log.folder, model, policy, truths)
        values = _fit_all(truths, found, Shape.of(output_schema), are_texts=are_texts)
        values = _get_changes(found, {at: policy.strip(each) for at, each in values.items()})
        if not may_replace:
            _check_authors([(truths[place], found[place]) for place in values], who)
        _write(found, values, who)
    except (OSError, sqlite3.Error) as error:
        raise LogUnavailable(f"the prediction log of {model!r} cannot be used: {error}") from error
    return len(found)


def _find(folder: Path, model: str, truths: Sequence[Truth]) -> dict[int, _Logged]:
    """Return the logged predictions by the position of their truth."""
    found: dict[int, _Logged] = {}
    for path in reversed(month_files.find_paths(folder, model)):
        with closing(month_files.open_existing(path)) as connection:
            for place, truth in enumerate(truths):
                if place in found:
                    continue
                row = connection.execute(FIND, (truth.request_id, truth.index)).fetchone()
                if row is not None:
                    prediction, known = (each and from_json(each) for each in row[1:3])
                    identity = row[0], truth.request_id, row[2]
                    found[place] = _Logged(path, identity, prediction, known, row[3])
    return found


def _check_count(folder: Path, model: str, policy: LogPolicy, truths: Sequence[Truth]) -> None:
    """Raise InvalidInput if a request has another number of rows, as far as its log shows it.

    The log ends before the last row if that row was not sampled, or rejected: its truth is null.
    """
    rows = 0
    for path in month_files.find_paths(folder, model):
        with closing(month_files.open_existing(path)) as connection:
            [last] = connection.execute(LAST, (truths[0].request_id,)).fetchone()
            rows = max(rows, 0 if last is None else last + 1)
    known = max((each.index + 1 for each in truths if each.value is not None), default=0)
    if len(truths) < rows or (policy.share >= 1 and known > rows):
        detail = f"must have a value or null for each row: {rows} logged, got {len(truths)}"
        raise InvalidInput(detail, pointer="/truth")


def _fit_all(
    truths: Sequence[Truth], found: dict[int, _Logged], output: Shape, *, are_texts: bool
) -> dict[int, Any]:
    values, violations = {}, []
    for place, logged in found.items():
        truth = truths[place]
        try:
            values[place] = fit(logged.prediction, truth.value, output, is_text=are_texts)
        except ValueError as error:
            line = f" (line {truth.line})" if truth.line else ""
            violations.append(Violation(truth.pointer, f"{error}{line}", place))
    if violations:
        raise InvalidInput("truths cannot be compared with predictions", violations=violations)
    return values


def _check_authors(changes: Sequence[tuple[Truth, _Logged]], who: str | None) -> None:
    for truth, logged in changes:
        if logged.truth is not None and logged.truth_who != who:
            line = f" (line {truth.line})" if truth.line else ""
            raise TruthExists(truth.request_id, truth.index, line)


def _get_changes(found: dict[int, _Logged], values: dict[int, Any]) -> dict[int, Any]:
    return {place: value for place, value in values.items() if value != found[place].truth}


def _write(found: dict[int, _Logged], values: dict[int, Any], who: str | None) -> None:
    by_path: dict[Path, list[tuple[Any, ...]]] = defaultdict(list)
    for place, value in values.items():
        logged = found[place]
        by_path[logged.path].append((*_to_columns(value, who), *logged.row))
    for path, rows in by_path.items():
        with closing(month_files.open_existing(path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            if connection.executemany(UPDATE, rows).rowcount < len(rows):  # closing rolls back
                raise sqlite3.OperationalError(
                    "another request has changed these predictions meanwhile; repeat this one"
                )
            connection.execute("COMMIT")


def _to_columns(value: Any, who: str | None) -> tuple[str | None, float | None, str | None]:
    if value is None:
        return None, None, None
    return to_json(value).decode(), time.time(), who

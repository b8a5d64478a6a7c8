"""Rows of several callers in one call of their model.

Many models take as long for one row as for fifty. So whoever comes while a call runs waits for it
to end, and is asked together with all who wait by then. Nobody waits for others to come.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from app.serving.calls.executor import Lane, Limits, Places

#: From rows to answers, as many and in their order.
Ask = Callable[[Sequence[Any]], Any]

#: Seconds of a call below which joining costs more than it saves. All calls pass the same lane,
#: joined or not; what joining itself takes is some microseconds a caller.
WORTH_JOINING = 0.00005
#: By how much what calls take is corrected after each: so it follows the median, and a call that
#: the machine has held up once changes little.
STEP = 0.1


class Batcher:
    """Asks a model, with the rows of as many callers as wait: those in a lane of one thread.

    :param max_rows: rows of a call for several callers. Who brings as many or more is asked
        alone, in a lane of as many threads as the limits say; with 0, all are.
    :param ends_soon: whether a call of few rows surely does. It runs in the thread of whoever
        asks: another thread would cost more than most such calls.
    """

    def __init__(self, limits: Limits, max_rows: int, *, ends_soon: bool = False) -> None:
        # All their threads together are as many as the limits say.
        joint = replace(limits, threads=1)
        others = replace(limits, threads=max(limits.threads - 1, 1))
        places = Places(limits)
        self._alone = Lane(others if max_rows else limits, places)
        self._joint = self._alone if limits.threads == 1 else Lane(joint, places)
        self._max_rows = max_rows
        self._ends_soon = ends_soon
        self._lock = threading.Lock()
        self._waiting: dict[int, _Call] = {}
        self._seconds = 0.0

    def run(self, ask: Ask, rows: Sequence[Any]) -> Any:
        """Return the answers to the rows. Raises what :meth:`Lane.run` raises.

        If a call for several callers fails, each is asked apart, and hears only of its own rows.
        """
        if len(rows) >= self._max_rows:
            return self._alone.run(ask, rows)
        if self._ends_soon:
            return ask(rows)
        call = _Call(ask, rows)
        with self._lock:
            self._waiting[id(call)] = call
        try:
            return self._joint.run(self._answer, call)
        finally:
            with self._lock:
                self._waiting.pop(id(call), None)

    def close(self) -> None:
        """Let the threads end when the calls that wait are done."""
        self._alone.close()
        self._joint.close()

    def _answer(self, call: _Call) -> Any:
        """Answer a caller whose turn has come, in the lane's thread."""
        if not call.is_answered:
            calls = self._joined(call)
            started = time.perf_counter()
            _ask_all(calls)
            self._took(time.perf_counter() - started)
        return call.answer()

    def _took(self, seconds: float) -> None:
        known = self._seconds or seconds
        self._seconds = known * (1 + STEP if seconds > known else 1 - STEP)

    def _joined(self, first: _Call) -> list[_Call]:
        """Return who is asked together with a caller, itself first."""
        calls, count = [first], len(first.rows)
        with self._lock:
            self._waiting.pop(id(first), None)
            if self._seconds < WORTH_JOINING:
                return calls
            for call in list(self._waiting.values()):
                if call.ask == first.ask and count + len(call.rows) <= self._max_rows:
                    calls.append(self._waiting.pop(id(call)))
                    count += len(call.rows)
        return calls


class _Call:
    """One caller's rows, and then what came of them."""

    def __init__(self, ask: Ask, rows: Sequence[Any]) -> None:
        self.ask = ask
        self.rows = rows
        self.is_answered = False
        self._answers: Any = None
        self._error: BaseException | None = None

    def tell(self, answers: Any, error: BaseException | None = None) -> None:
        """Keep what came of it."""
        self._answers, self._error, self.is_answered = answers, error, True

    def answer(self) -> Any:
        """Return the answers, or raise the error that came instead."""
        if self._error is not None:
            raise self._error
        return self._answers


def _ask_all(calls: list[_Call]) -> None:
    if len(calls) > 1 and _ask_together(calls):
        return
    for call in calls:
        # A model may raise anything; the caller alone hears of it.
        try:
            call.tell(call.ask(call.rows))
        except BaseException as error:
            call.tell(None, error)


def _ask_together(calls: list[_Call]) -> bool:
    """Ask once for all callers; tell whether that went well."""
    rows = [row for call in calls for row in call.rows]
    try:
        answers = calls[0].ask(rows)
    except BaseException:  # whose rows it was is found by asking apart
        return False
    if not isinstance(answers, list) or len(answers) != len(rows):
        return False
    start = 0
    for call in calls:
        call.tell(answers[start : start + len(call.rows)])
        start += len(call.rows)
    return True

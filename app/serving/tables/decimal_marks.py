"""Detection of the decimal mark of a table from the numbers in it."""

from __future__ import annotations

from collections.abc import Iterable

from mlmodel.schema.texts.numerals import COMMA, POINT, decimal_marks

#: Lines that are read to detect the mark, from the first one with such a number.
MAX_LINES = 100_000


class DecimalMark:
    """The decimal mark, as far as the numbers that were added determine it.

    It is a point as soon as some text is a number only with a point, and a comma if some text is a
    number only with a comma and none only with a point. If every mark could group digits
    (``52.000``), it is unknown.
    """

    def __init__(self) -> None:
        self._lines = 0
        self._is_point = self._is_comma = self._is_either = False

    def add(self, texts: Iterable[str]) -> bool:
        """Add the texts of the numeric columns of a line, and return whether some count."""
        marks = {decimal_marks(text) for text in texts if POINT in text or COMMA in text}
        marks.discard("")
        self._is_point |= POINT in marks
        self._is_comma |= COMMA in marks
        self._is_either |= POINT + COMMA in marks
        if marks or self._lines:
            self._lines += 1
        return bool(marks)

    @property
    def is_final(self) -> bool:
        """Whether no further line can change the mark."""
        return self._is_point or self._lines >= MAX_LINES

    @property
    def value(self) -> str:
        """The mark; empty if it is unknown. It is a point if no number has one."""
        if self._is_point or not (self._is_comma or self._is_either):
            return POINT
        return COMMA if self._is_comma else ""

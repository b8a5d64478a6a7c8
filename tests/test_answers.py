import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

from app.serving.answers import to_json
from app.serving.errors import InvalidAnswer


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


@dataclass
class Point:
    x: np.float32
    when: date


class Pydantic:
    """What pydantic's models look like from outside."""

    def model_dump(self):
        return {"a": Decimal("1.5")}


@pytest.mark.parametrize(
    ("answer", "plain"),
    [
        (None, None),
        (True, True),
        (np.bool_(True), True),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.str_("a"), "a"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(["a", None], dtype=object), ["a", None]),
        (np.datetime64("2026-01-31"), "2026-01-31"),
        (float("nan"), None),
        (float("-inf"), None),
        (np.array([np.nan]), [None]),
        (pd.Series([1, 2]), [1, 2]),
        (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
        (pd.Timestamp("2026-01-31T12:00:00Z"), "2026-01-31T12:00:00+00:00"),
        (pd.NaT, None),
        (pd.NA, None),
        (pd.Categorical(["a"]), ["a"]),
        (datetime(2026, 1, 31, tzinfo=UTC), "2026-01-31T00:00:00+00:00"),
        (date(2026, 1, 31), "2026-01-31"),
        (time(12, 30), "12:30:00"),
        (timedelta(seconds=90), "PT90S"),
        (timedelta(milliseconds=1500), "PT1.5S"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Decimal("1.5"), 1.5),
        (Decimal("3"), 3),
        (Decimal("NaN"), None),
        ((1, 2), [1, 2]),
        ({1}, [1]),
        (b"\x00\xff", "AP8="),
        (Point(np.float32(1), date(2026, 1, 31)), {"x": 1.0, "when": "2026-01-31"}),
        (Pydantic(), {"a": 1.5}),
        ({Colour.RED: 1, np.int64(2): 2, True: 3}, {"red": 1, "2": 2, "true": 3}),
        ((n for n in range(2)), [0, 1]),
    ],
    ids=repr,
)
def test_an_answer_becomes_plain_json(answer, plain):
    converted = to_json(answer)

    assert converted == plain
    assert json.loads(json.dumps(converted, allow_nan=False)) == plain


@pytest.mark.parametrize("answer", [object(), Colour, 1j, {(1, 2): 3}, lambda: 1], ids=repr)
def test_what_json_cannot_say_is_refused(answer):
    with pytest.raises(InvalidAnswer, match="the answer has"):
        to_json(answer)


def test_an_answer_that_holds_itself_is_refused():
    answer = []
    answer.append(answer)

    with pytest.raises(InvalidAnswer, match="the answer is nested deeper than 100"):
        to_json(answer)

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from uuid import UUID

import numpy as np
import pandas as pd
import pydantic
import pytest
import scipy.sparse
from pydantic import v1

from app.serving.calls.to_json import rows_to_json, to_json
from app.serving.errors import InvalidPrediction
from mlmodel.schema.rows import Table


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


@dataclass
class Point:
    x: np.float32
    when: date


class Written(pydantic.BaseModel, arbitrary_types_allowed=True):
    colour: Colour
    when: datetime
    share: float = pydantic.Field(serialization_alias="part")
    array: np.ndarray | None = None


class RootOf1(v1.BaseModel):
    __root__: list[timedelta]


class WrittenBy1(v1.BaseModel, arbitrary_types_allowed=True):
    colour: Colour
    price: Decimal
    share: float = v1.Field(alias="part")
    array: np.ndarray | None = None


@pytest.mark.parametrize(
    ("prediction", "plain"),
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
        (np.datetime64("2026-01-31T12:00:00", "ns"), "2026-01-31T12:00:00"),
        (np.array(["2026-01-31", "NaT"], dtype="datetime64[ns]"), ["2026-01-31T00:00:00", None]),
        (np.array([1500], dtype="timedelta64[ms]"), ["PT1.5S"]),
        (pd.Series(pd.to_datetime(["2026-01-31"])), ["2026-01-31T00:00:00"]),
        (np.longdouble(0.5), 0.5),
        (scipy.sparse.csr_matrix([[0, 1]]), [[0, 1]]),
        (Decimal("1" + "0" * 400 + ".5"), None),
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
        (
            [Written(colour="red", when="2026-01-31T12:00:00Z", share=float("nan"))],
            [{"colour": "red", "when": "2026-01-31T12:00:00Z", "part": None, "array": None}],
        ),
        (
            Written(colour="red", when="2026-01-31T12:00:00Z", share=1, array=np.array([2])),
            {"colour": "red", "when": "2026-01-31T12:00:00+00:00", "part": 1.0, "array": [2]},
        ),
        (
            {"nested": WrittenBy1(colour="red", price="1.5", part=float("inf"))},
            {"nested": {"colour": "red", "price": 1.5, "part": None, "array": None}},
        ),
        (RootOf1(__root__=["PT90S"]), [90.0]),
        (
            WrittenBy1(colour="red", price=3, part=1, array=np.array([2])),
            {"colour": "red", "price": 3, "part": 1.0, "array": [2]},
        ),
        ({Colour.RED: 1, np.int64(2): 2, True: 3}, {"red": 1, "2": 2, "true": 3}),
        ((n for n in range(2)), [0, 1]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_prediction_becomes_json(prediction, plain):
    converted = to_json(prediction)

    assert converted == plain
    assert json.loads(json.dumps(converted, allow_nan=False)) == plain


UNREPRESENTABLE = [
    object(),
    Colour,
    1j,
    {(1, 2): 3},
    lambda: 1,
    {1: "a", "1": "b"},
    pd.DataFrame([[1, 2]], columns=["a", "a"]),
    "\ud800",
    10**5000,
]


@pytest.mark.parametrize("prediction", UNREPRESENTABLE, ids=lambda value: type(value).__name__)
def test_unrepresentable_prediction_is_rejected(prediction):
    with pytest.raises(InvalidPrediction, match="the prediction has"):
        to_json(prediction)


def test_recursive_prediction_is_rejected():
    prediction = []
    prediction.append(prediction)

    with pytest.raises(InvalidPrediction, match="the prediction is nested deeper than 100"):
        to_json(prediction)


@pytest.mark.parametrize(
    "predictions",
    [
        [{"a": 1.5, "b": "x"}, {"a": 2.5, "b": "y"}],
        [{"a": 1.5}, {"a": math.nan}],
        [{"a": math.inf}, {"a": -math.inf}],
        [{"a": 1.5}, {"b": True}],
        [{1: "x"}, {1: "y"}],
        [{"a": 1}, {"a": [np.float64(2)]}],
        [{}, {}],
        (2.5, None),
    ],
)
def test_predictions_are_converted_like_single_values(predictions):
    assert repr(rows_to_json(predictions)) == repr(to_json(predictions))


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ([{"a": "x"}, {"a": "\ud800"}], r"unpaired surrogate \(row 1, at /a\)"),
        ([{"a": [{"b/c": object()}]}], r"which has no JSON form \(row 0, at /a/0/b~1c\)"),
        ([1, object()], r"which has no JSON form \(row 1\)"),
    ],
)
def test_error_names_place_in_predictions(predictions, message):
    with pytest.raises(InvalidPrediction, match=message):
        rows_to_json(predictions)


def test_recursive_predictions_are_rejected():
    prediction = {}
    prediction["a"] = [prediction, prediction]

    with pytest.raises(InvalidPrediction, match=r"nested deeper than 100 \(row 0, at /a/0"):
        rows_to_json([prediction])


def test_table_is_converted_by_column_without_its_columns():
    table = Table([{"y": 1.5}], {"y": [9.0]})

    predictions = rows_to_json(table)

    assert (type(predictions), predictions) == (list, [{"y": 1.5}])
    assert predictions[0] is table[0]

"""Rows on which a graph and its model are compared, chosen where the two might differ."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlmodel.frameworks.sklearn.onnx.conversion import LARGEST, Input, Inputs
from mlmodel.frameworks.sklearn.predict.column_values import keyword
from mlmodel.frameworks.sklearn.structure import active_steps, inner_parts
from mlmodel.model import Row
from mlmodel.schema.coercion import WHOLE

#: Rows of each kind.
RANDOM = 2000
FEW = 64
THRESHOLDS = 1500
#: Numbers tried around one threshold.
NEIGHBOURS = 6
JUMPS = 60
#: Rows in which the same values are missing.
MISSING_ROWS = 5
#: Known values of a column that are changed a little, to get unseen ones.
CHANGED_VALUES = 3
#: Shares of random values: missing ones, and known ones of a column that accepts others.
NULL_SHARE, KNOWN_SHARE = 0.1, 0.3
SEED = 5

#: Texts that no encoder was fitted on, some similar to missing values.
STRANGE = ("", " ", "\N{WHITE QUESTION MARK ORNAMENT} none of them", "nan", "None", "0", "a" * 300)
#: Numbers at the limits of float arithmetic.
EXTREMES = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    5e-324,
    1e-300,
    2.0**24 + 1,
    2.0**31,
    2.0**53,
    -LARGEST,
    LARGEST,
)

Probes = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class ProbeColumn:
    """One column that the model reads, and the values to try in it.

    ``known`` are values that the schema lists; others are invalid if ``is_closed``. ``seen`` are
    the values of the example rows. Random numbers are between ``low`` and ``high``. ``thresholds``
    are those of the model's trees.
    """

    input: Input
    known: Sequence[Any]
    seen: Sequence[Any]
    is_text: bool
    is_whole: bool
    is_closed: bool
    low: float
    high: float
    thresholds: Sequence[float]

    @property
    def name(self) -> str:
        """The name of the column's member in a row."""
        return self.input.name

    @property
    def is_nullable(self) -> bool:
        """Whether the graph accepts a missing value."""
        return self.input.absent is not None

    @property
    def is_continuous(self) -> bool:
        """Whether the column accepts any number."""
        return not (self.is_text or self.is_whole or self.is_closed)


class RowSampler:
    """Draws rows that a schema accepts, restricted to the columns of a graph.

    :param members: the schemas of a row's members.
    :param rows: examples.
    :param is_short: whether to draw only a few rows.
    """

    def __init__(
        self,
        inputs: Inputs,
        members: Mapping[str, Any],
        rows: Sequence[Row],
        model: Any,
        *,
        is_short: bool = False,
    ) -> None:
        self.is_short = is_short
        self._rows = [dict(row) for row in rows]
        self._columns = _columns(inputs, members, self._rows, model)
        self._random = np.random.default_rng(SEED)

    def probes(self) -> Probes:
        """Return rows by what they probe."""
        found = {
            "examples": self._rows,
            "random": [self.draw() for _ in range(FEW if self.is_short else RANDOM)],
            "thresholds": [] if self.is_short else list(self._around_thresholds()),
            "extremes": list(self._extremes()),
            "missing": list(self._missing()),
            "unseen": list(self._unseen()),
        }
        return {kind: rows for kind, rows in found.items() if rows}

    def continuous(self) -> list[str]:
        """Return the names of the columns that accept any number."""
        return [each.name for each in self._columns if each.is_continuous]

    def draw(self) -> dict[str, Any]:
        """Return a random row that the schema accepts."""
        row = dict(self._pick(self._rows))
        return row | {each.name: self._value(each) for each in self._columns}

    def _pick(self, values: Sequence[Any]) -> Any:
        return values[int(self._random.integers(len(values)))]

    def _value(self, column: ProbeColumn) -> Any:
        if column.is_nullable and self._random.random() < NULL_SHARE:
            return None
        if column.is_text:
            return self._pick(column.known or column.seen)
        if column.known and (column.is_closed or self._random.random() < KNOWN_SHARE):
            return self._pick(column.known)
        number = float(self._random.uniform(column.low, column.high))
        return round(number) if column.is_whole else number

    def _around_thresholds(self) -> Iterator[dict[str, Any]]:
        """Yield rows with a number at a tree's threshold, or next to it on either side."""
        pairs = sorted(
            {
                (column.name, threshold)
                for column in self._columns
                if column.is_continuous
                for threshold in column.thresholds
                if abs(threshold) <= LARGEST
            }
        )
        step = math.ceil(len(pairs) * NEIGHBOURS / THRESHOLDS) or 1
        for name, threshold in pairs[::step]:
            for value in _neighbours(threshold):
                yield self.draw() | {name: value}

    def _extremes(self) -> Iterator[dict[str, Any]]:
        for column in self._columns:
            if column.is_text or column.is_closed:
                continue
            for value in (*EXTREMES, column.low, column.high):
                if not column.is_whole:
                    yield self.draw() | {column.name: value}
                elif float(value).is_integer():
                    yield self.draw() | {column.name: int(value)}

    def _missing(self) -> Iterator[dict[str, Any]]:
        """Yield rows in which one value, or all values that may be missing, are missing."""
        names = [column.name for column in self._columns if column.is_nullable]
        for name in names:
            yield from (self.draw() | {name: None} for _ in range(MISSING_ROWS))
        if names:
            yield from (self.draw() | dict.fromkeys(names) for _ in range(MISSING_ROWS))

    def _unseen(self) -> Iterator[dict[str, Any]]:
        """Yield rows with texts and numbers that a model was most likely not fitted on."""
        for column in self._columns:
            for value in _unseen_values(column):
                yield self.draw() | {column.name: value}


def _columns(
    inputs: Inputs, members: Mapping[str, Any], rows: Sequence[Row], model: Any
) -> list[ProbeColumn]:
    """Return the columns that the model reads, numbers first."""
    names = [each.name for each in inputs.numbers]
    thresholds: dict[str, list[float]] = defaultdict(list)
    for at, threshold in tree_thresholds(model):
        # It finds no trees behind a step that reorders the columns.
        if at < len(names):
            thresholds[names[at]].append(threshold)
    return [
        _column(each, members.get(each.name), rows, thresholds[each.name], is_text=is_text)
        for columns, is_text in ((inputs.numbers, False), (inputs.texts, True))
        for each in columns
        if each.filler is None
    ]


def _column(
    column: Input, schema: Any, rows: Sequence[Row], thresholds: Sequence[float], *, is_text: bool
) -> ProbeColumn:
    schema = schema if isinstance(schema, Mapping) else {}
    kind = _type(schema)
    choices = keyword(schema, "enum")
    listed = choices or keyword(schema, "examples") or ()
    known = [False, True] if kind == "boolean" else [each for each in listed if each is not None]
    seen = [row.get(column.name) for row in rows]
    low, high = 0.0, 0.0
    if not is_text:
        numbers = [each for each in (*known, *seen) if isinstance(each, int | float)]
        low, high = _range([*thresholds, *numbers, *(keyword(schema, "x-range") or ())])
    return ProbeColumn(
        column,
        known,
        seen,
        is_text,
        is_whole=kind == "integer",
        is_closed=kind == "boolean" or bool(choices),
        low=low,
        high=high,
        thresholds=thresholds,
    )


def _type(schema: Mapping[str, Any]) -> str:
    """Return the JSON type of a column's values; empty if the schema names none."""
    if WHOLE.fullmatch(str(keyword(schema, "x-dtype") or "")):
        return "integer"  # the graph leaves a fraction to the model
    types = keyword(schema, "type") or ()
    return next(
        (one for one in ([types] if isinstance(types, str) else types) if one != "null"), ""
    )


def _range(numbers: Sequence[float]) -> tuple[float, float]:
    """Return a range a little wider than that of some numbers."""
    low, high = min(numbers, default=-1.0), max(numbers, default=1.0)
    margin = (high - low) * 0.1 or max(abs(high), 1.0)
    return max(low - margin, -LARGEST), min(high + margin, LARGEST)


def _neighbours(threshold: float) -> list[float]:
    """Return a threshold, as a double and as a float32, and the numbers next to both."""
    narrow = np.float32(threshold)
    near = {
        threshold,
        math.nextafter(threshold, -math.inf),
        math.nextafter(threshold, math.inf),
        float(np.nextafter(narrow, np.float32(-np.inf))),
        float(np.nextafter(narrow, np.float32(np.inf))),
        float(narrow),
    }
    return sorted(near)


def _unseen_values(column: ProbeColumn) -> list[Any]:
    some = column.known[:CHANGED_VALUES]
    if not column.is_text:
        change = 1 if column.is_whole else 0.5
        return [] if column.is_closed else [value + change for value in some]
    if column.input.known is not None:
        return []  # the graph accepts only these
    longer = [f"{value}{end}" for value in some for end in (" ", "x")]
    return [*STRANGE, *longer, *(str(value).swapcase() for value in some)]


def tree_thresholds(model: Any) -> list[tuple[int, float]]:
    """Return the thresholds of trees that read the input columns as they are, with the columns."""
    steps = active_steps(model)
    if steps:
        return tree_thresholds(steps[0])
    if hasattr(model, "tree_"):
        tree = model.tree_
        inner = tree.children_left != -1
        return list(zip(tree.feature[inner].tolist(), tree.threshold[inner].tolist(), strict=True))
    if hasattr(model, "_predictors"):
        nodes = np.concatenate([each.nodes for stage in model._predictors for each in stage])
        inner = nodes[nodes["is_leaf"] == 0]
        return list(
            zip(inner["feature_idx"].tolist(), inner["num_threshold"].tolist(), strict=True)
        )
    members = [part for part, subset in inner_parts(model) if subset is None]
    return [each for member in members for each in tree_thresholds(member)]

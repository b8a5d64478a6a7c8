"""Rows on which a graph and its model are compared, chosen where the two might differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mlmodel.frameworks.sklearn.onnx.convert import LARGEST, Input, Inputs
from mlmodel.frameworks.sklearn.schemas.columns import inner_parts, steps_of
from mlmodel.model import Row
from mlmodel.schema.coercion import WHOLE

#: Rows of each kind.
RANDOM = 2000
FEW = 64
THRESHOLDS = 1500
#: Numbers tried around one threshold.
NEIGHBOURS = 6
JUMPS = 60
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


class Space:
    """The rows that a schema accepts, restricted to the columns of a graph."""

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
        self.rows = [dict(row) for row in rows]
        self.numbers = [each for each in inputs.numbers if each.filler is None]
        self.texts = [each for each in inputs.texts if each.filler is None]
        self._columns = [each.name for each in inputs.numbers]
        self._members = members
        self._random = np.random.default_rng(SEED)
        # splits() finds no trees behind a step that reorders the columns.
        self._splits = [each for each in splits(model) if each[0] < len(self._columns)]
        names = [each.name for each in (*inputs.numbers, *inputs.texts)]
        self._types = {name: self._type(name) for name in names}
        self._values = {name: self._known(name) for name in names}
        self._closed = {name for name in names if self._is_closed(name)}
        self._spans = {each.name: self._span(each.name) for each in self.numbers}

    def probes(self) -> Probes:
        """Return rows by what they probe."""
        found = {
            "examples": self.rows,
            "random": [self.random() for _ in range(FEW if self.is_short else RANDOM)],
            "thresholds": [] if self.is_short else list(self._around_splits()),
            "extremes": list(self._extremes()),
            "missing": list(self._missing()),
            "unseen": list(self._unseen()),
        }
        return {kind: rows for kind, rows in found.items() if rows}

    def open_numbers(self) -> list[str]:
        """Return the columns that accept any number."""
        return [
            each.name
            for each in self.numbers
            if self._types[each.name] != "integer" and each.name not in self._closed
        ]

    def random(self) -> dict[str, Any]:
        """Return a random row that the schema accepts."""
        row = dict(self.rows[self._random.integers(len(self.rows))])
        row |= {each.name: self._number(each) for each in self.numbers}
        return row | {each.name: self._text(each) for each in self.texts}

    def _number(self, column: Input) -> Any:
        values, (low, high) = self._values[column.name], self._spans[column.name]
        if column.absent is not None and self._random.random() < 0.1:  # noqa: PLR2004
            return None
        if values and (column.name in self._closed or self._random.random() < 0.3):  # noqa: PLR2004
            return values[self._random.integers(len(values))]
        drawn = float(self._random.uniform(low, high))
        return round(drawn) if self._types[column.name] == "integer" else drawn

    def _text(self, column: Input) -> Any:
        values = self._values[column.name] or [row[column.name] for row in self.rows]
        if column.absent is not None and self._random.random() < 0.1:  # noqa: PLR2004
            return None
        return values[self._random.integers(len(values))]

    def _around_splits(self) -> Iterator[dict[str, Any]]:
        """Yield rows with a number at a tree's threshold, or next to it on either side."""
        takes = set(self.open_numbers())
        pairs = sorted(
            {
                (self._columns[at], split)
                for at, split in self._splits
                if self._columns[at] in takes and abs(split) <= LARGEST
            }
        )
        step = math.ceil(len(pairs) * NEIGHBOURS / THRESHOLDS) or 1
        for name, split in pairs[::step]:
            narrow = np.float32(split)
            near = {
                split,
                math.nextafter(split, -math.inf),
                math.nextafter(split, math.inf),
                float(np.nextafter(narrow, np.float32(-np.inf))),
                float(np.nextafter(narrow, np.float32(np.inf))),
                float(narrow),
            }
            for value in sorted(near):
                yield self.random() | {name: value}

    def _extremes(self) -> Iterator[dict[str, Any]]:
        for each in self.numbers:
            if each.name in self._closed:
                continue
            is_whole = self._types[each.name] == "integer"
            for value in (*EXTREMES, *self._spans[each.name]):
                if not is_whole:
                    yield self.random() | {each.name: value}
                elif float(value).is_integer():
                    yield self.random() | {each.name: int(value)}

    def _missing(self) -> Iterator[dict[str, Any]]:
        """Yield rows in which one value, or all values that may be missing, are missing."""
        names = [each.name for each in (*self.numbers, *self.texts) if each.absent is not None]
        for name in names:
            yield from (self.random() | {name: None} for _ in range(5))
        if names:
            yield from (self.random() | dict.fromkeys(names) for _ in range(5))

    def _unseen(self) -> Iterator[dict[str, Any]]:
        """Yield rows with texts and numbers that a model was most likely not fitted on."""
        for each in self.texts:
            if each.known is not None:
                continue
            near = [
                f"{value}{more}" for value in self._values[each.name][:3] for more in (" ", "x")
            ]
            upper = [str(value).swapcase() for value in self._values[each.name][:3]]
            for value in (*STRANGE, *near, *upper):
                yield self.random() | {each.name: value}
        for each in self.numbers:
            if each.name not in self._closed:
                for value in self._values[each.name][:3]:
                    other = value + 1 if self._types[each.name] == "integer" else value + 0.5
                    yield self.random() | {each.name: other}

    def _span(self, name: str) -> tuple[float, float]:
        """Return the range from which numbers of a column are drawn."""
        known = [split for at, split in self._splits if self._columns[at] == name]
        known += [value for value in self._values[name] if not isinstance(value, bool)]
        known += [row[name] for row in self.rows if type(row.get(name)) in (int, float)]
        known += list(self._said(name, "x-range") or ())
        low, high = min(known, default=-1.0), max(known, default=1.0)
        room = (high - low) * 0.1 or max(abs(high), 1.0)
        return max(low - room, -LARGEST), min(high + room, LARGEST)

    def _known(self, name: str) -> list[Any]:
        if self._types[name] == "boolean":
            return [False, True]
        values = self._said(name, "enum") or self._said(name, "examples") or ()
        return [value for value in values if value is not None]

    def _is_closed(self, name: str) -> bool:
        return bool(self._said(name, "enum")) or self._types[name] == "boolean"

    def _type(self, name: str) -> str:
        if WHOLE.fullmatch(str(self._said(name, "x-dtype") or "")):
            return "integer"  # the graph leaves a fraction to the model
        types = self._said(name, "type") or ()
        return next(
            (one for one in ([types] if isinstance(types, str) else types) if one != "null"), ""
        )

    def _said(self, name: str, word: str) -> Any:
        schema = self._members.get(name)
        if not isinstance(schema, Mapping):
            return None
        parts = [schema, *schema.get("anyOf", ())]
        return next((part[word] for part in parts if word in part), None)


def splits(model: Any) -> list[tuple[int, float]]:
    """Return the thresholds of trees that read the input columns as they are, with the columns."""
    steps = [step for step in steps_of(model) or () if step is not None and step != "passthrough"]
    if steps:
        return splits(steps[0])
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
    return [each for member in members for each in splits(member)]

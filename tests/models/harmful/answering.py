"""Returns unexpected predictions."""

import numpy as np
import pandas as pd

from mlmodel import MLModel

RING = []
RING.append(RING)

ANSWERS = {
    "nan": lambda: float("nan"),
    "bytes": lambda: b"\x00\xff",
    "frame": lambda: pd.DataFrame({"a": [1.5, np.nan], "b": ["x", "y"]}),
    "large": lambda: "x" * 50_000_000,
    "object": object,
    "itself": lambda: RING,
    "surrogate": lambda: "\ud800",
    "digits": lambda: 10**10_000,
    "generator": lambda: (number for number in range(3)),
}


class Answering(MLModel):
    """Returns the requested kind of prediction."""

    qualified_name = "answering"

    def predict(self, row):
        return ANSWERS[row["what"]]()


class Numbers(Answering):
    """Promises a number."""

    qualified_name = "numbers"
    output_schema = {"type": "number"}

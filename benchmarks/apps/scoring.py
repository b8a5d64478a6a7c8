"""What every peer does with its estimators, written once; run in the peer's own environment."""

from __future__ import annotations

import json
import os
from pathlib import Path

import joblib
import numpy as np
import pandas as pd


class Scorer:
    """An estimator with the names and kinds of its fields."""

    def __init__(self, path, fields):
        self.estimator = joblib.load(path)
        self.fields = fields
        self.is_mixed = set(fields.values()) != {"number"}
        self.classes = [str(label) for label in self.estimator.classes_]

    def inputs(self, rows):
        """Return what the estimator was fitted on: a frame for mixed columns, else an array."""
        if not self.is_mixed:
            return np.array([[row[name] for name in self.fields] for row in rows], dtype=float)
        return pd.DataFrame(
            {
                name: np.array(
                    [row[name] for row in rows], dtype=object if kind == "text" else float
                )
                for name, kind in self.fields.items()
            }
        )

    def answers(self, rows):
        """Return the label and the probabilities of each row, from one call of the estimator."""
        odds = self.estimator.predict_proba(self.inputs(rows))
        labels = odds.argmax(axis=1).tolist()
        return [
            {
                "prediction": self.classes[label],
                "probabilities": dict(zip(self.classes, each, strict=True)),
            }
            for label, each in zip(labels, odds.tolist(), strict=True)
        ]


def described():
    """Return the path and fields of each model that is to be served."""
    return json.loads(Path(os.environ["BENCHMARK_MODELS"]).read_text())


def scorers():
    """Load every model that is to be served."""
    return {name: Scorer(**model) for name, model in described().items()}

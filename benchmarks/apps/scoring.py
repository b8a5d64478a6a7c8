"""Loads and calls the estimators, for all peers. Runs in the environment of the peer."""

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
        """Return the estimator's input: a data frame for mixed columns, else an array."""
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

    def predict(self, rows):
        """Return the label and the probabilities of each row, from one call of the estimator."""
        probabilities = self.estimator.predict_proba(self.inputs(rows))
        labels = probabilities.argmax(axis=1).tolist()
        return [
            {
                "prediction": self.classes[label],
                "probabilities": dict(zip(self.classes, each, strict=True)),
            }
            for label, each in zip(labels, probabilities.tolist(), strict=True)
        ]


def descriptions():
    """Return the path and fields of each model to serve."""
    return json.loads(Path(os.environ["BENCHMARK_MODELS"]).read_text())


def scorers():
    """Load every model to serve."""
    return {name: Scorer(**model) for name, model in descriptions().items()}

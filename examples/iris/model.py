"""The class that ``models.yaml`` names: ``class: examples.iris.IrisModel``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from scipy.special import softmax

from mlmodel import MLModel

FILE = Path(__file__).parents[1] / "models" / "iris.joblib"
#: The metrics and the reference profile of the estimator, which ``examples/train.py`` writes.
FACTS = FILE.with_suffix(".json")

#: Who made the model, and what it is for.
CARD = {
    "developers": "The authors of Modelhost, as an example",
    "training_rows": 150,
    "direct_use": "Shows a model as a class of its own.",
    "out_of_scope_use": "Other species of iris: the model knows only these three.",
    "bias_risks_limitations": "50 flowers of each species, nearly all measured by one botanist.",
    "training_data": "Fisher's irises (1936), as scikit-learn ships them.",
    "testing_data": "Each fifth of the same flowers, predicted by a model of the other four.",
}

#: The measures in the order in which the estimator was fitted, with their range in the data.
MEASURES = {
    "sepal_length": (4.3, 7.9, 5.1),
    "sepal_width": (2.0, 4.4, 3.5),
    "petal_length": (1.0, 6.9, 1.4),
    "petal_width": (0.1, 2.5, 0.2),
}


def _measure(name: str, low: float, high: float, example: float) -> dict[str, Any]:
    part, _, side = name.partition("_")
    return {
        "type": "number",
        "title": f"{part.capitalize()} {side}",
        "description": f"The {side} of a {part}.",
        "exclusiveMinimum": 0,
        "maximum": 30,
        "examples": [example],
        "x-range": [low, high],
        "x-unit": "cm",
    }


class IrisModel(MLModel):
    """Classifies setosa, versicolor and virginica.

    :param certainty: the probability from which on an answer is called certain.
    """

    display_name = "Iris species"
    qualified_name = "iris"
    description = (
        "Which of three species an iris belongs to, from four measures of one flower "
        "(Fisher, 1936; logistic regression)."
    )
    version = "1.0.0"
    input_schema = {
        "type": "object",
        "properties": {name: _measure(name, *numbers) for name, numbers in MEASURES.items()},
        "required": list(MEASURES),
        "additionalProperties": False,
    }
    output_schema = {
        "type": "object",
        "properties": {
            "species": {"$ref": "#/$defs/Species"},
            "probability": {"type": "number", "minimum": 0, "maximum": 1},
            "certain": {
                "type": "boolean",
                "description": "Whether the probability reaches the certainty that was set.",
            },
        },
        "required": ["species", "probability", "certain"],
        "$defs": {"Species": {"enum": ["setosa", "versicolor", "virginica"]}},
    }
    examples = (
        {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2},
        {"sepal_length": 6.0, "sepal_width": 2.9, "petal_length": 4.5, "petal_width": 1.5},
        {"sepal_length": 6.9, "sepal_width": 3.1, "petal_length": 5.4, "petal_width": 2.1},
    )

    example_names = ("small flower", "medium flower", "large flower")

    def __init__(self, certainty: float = 0.8) -> None:
        self.certainty = certainty

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The metrics, the card and the reference profile."""
        facts = json.loads(FACTS.read_text())
        return {**facts, "extra": {"card": CARD, **facts["extra"]}}

    def load(self) -> None:
        """Read the estimator that ``examples/train.py`` has fitted."""
        self.estimator = joblib.load(FILE)

    def predict(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one flower."""
        return self.predict_rows([row])[0]

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Predict all rows of a call at once, much faster than one after the other."""
        flowers = np.array([[row[name] for name in MEASURES] for row in rows])
        # `predict_proba` multiplies matrices: the last digit of a row depends on the other rows.
        products = flowers[:, np.newaxis, :] * self.estimator.coef_
        probabilities = softmax(products.sum(axis=2) + self.estimator.intercept_, axis=1)
        species = self.estimator.classes_[probabilities.argmax(axis=1)]
        return [
            {"species": name, "probability": highest, "certain": highest >= self.certainty}
            for name, highest in zip(
                species.tolist(), probabilities.max(axis=1).tolist(), strict=True
            )
        ]

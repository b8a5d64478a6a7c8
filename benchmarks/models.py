"""The models of the benchmark, their test rows, and the predictions of their estimators."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris, make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from mlmodel import dump

Row = dict[str, Any]

SEED = 7
#: Number of rows in the sample from which Modelhost infers the schemas.
SAMPLE = 100
IRIS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
#: Kinds of fields in models.json.
NUMBER, MAYBE, TEXT = "number", "number or null", "text"


@dataclass(frozen=True)
class Prediction:
    """A prediction for one row."""

    label: str
    #: By label; None if a server returns only the label.
    probabilities: dict[str, float] | None = None


@dataclass(frozen=True)
class Model:
    """A fitted classifier with test rows.

    The estimator was fitted on an array if all fields are numbers, else on a data frame.
    """

    name: str
    about: str
    estimator: Any
    fields: dict[str, str]
    table: pd.DataFrame

    @property
    def is_mixed(self) -> bool:
        """Whether the estimator was fitted on a data frame."""
        return set(self.fields.values()) != {NUMBER}

    def rows(self, count: int) -> list[Row]:
        """Return ``count`` rows as JSON objects; they repeat from the start if there are fewer."""
        cells = self.table.astype(object).where(self.table.notna(), None)
        rows = cells.to_dict(orient="records")
        return [rows[at % len(rows)] for at in range(count)]

    def predictions(self, count: int) -> list[Prediction]:
        """Return the estimator's own predictions for these rows."""
        all_rows = self._predictions
        return [all_rows[at % len(all_rows)] for at in range(count)]

    @cached_property
    def _predictions(self) -> list[Prediction]:
        inputs = self.table if self.is_mixed else self.table.to_numpy()
        with threadpool_limits(1):
            labels = [str(label) for label in self.estimator.predict(inputs)]
            probabilities = self.estimator.predict_proba(inputs).tolist()
        classes = [str(label) for label in self.estimator.classes_]
        return [
            Prediction(label, dict(zip(classes, each, strict=True)))
            for label, each in zip(labels, probabilities, strict=True)
        ]


def train(name: str) -> Model:
    """Fit one of :data:`TRAINERS`. The result is always the same."""
    with threadpool_limits(1):  # on a busy machine several threads take minutes
        return TRAINERS[name]()


def build_large(count: int) -> list[Model]:
    """Return different models of 20 MB: nearest neighbours of 125,000 points in 20 dimensions."""
    return [_neighbours(at) for at in range(count)]


def write(model: Model, folder: Path) -> None:
    """Write the files that servers load: NAME.joblib, NAME.flm and NAME.fields.json."""
    joblib.dump(model.estimator, folder / f"{model.name}.joblib")
    dump(
        model.estimator,
        folder / f"{model.name}.flm",
        model_id=model.name,
        sample=model.table.head(SAMPLE),
    )
    (folder / f"{model.name}.fields.json").write_text(json.dumps(model.fields))


def _iris(name: str, about: str, estimator: Any) -> Model:
    flowers = load_iris()
    species = flowers.target_names[flowers.target]
    table = pd.DataFrame(flowers.data, columns=IRIS)
    # Shuffled, because the data is sorted by label.
    test_rows = table.sample(frac=1, random_state=SEED).reset_index(drop=True)
    return Model(
        name, about, estimator.fit(flowers.data, species), dict.fromkeys(IRIS, NUMBER), test_rows
    )


def _logistic() -> Model:
    return _iris("logistic", "logistic regression on iris", LogisticRegression(max_iter=1000))


def _forest() -> Model:
    forest = RandomForestClassifier(n_estimators=100, random_state=SEED)
    return _iris("forest", "random forest of 100 trees on iris", forest)


def _pipeline() -> Model:
    """Fit a pipeline with mixed columns on synthetic loan applications."""
    table, outcome = _loans(4_000)
    words = ["purpose", "home", "region"]
    numbers = [column for column in table if column not in words]
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("words", OneHotEncoder(handle_unknown="ignore", sparse_output=False), words),
        ]
    )
    boosting = HistGradientBoostingClassifier(random_state=SEED)
    fields = {
        column: TEXT if column in words else MAYBE if table[column].hasnans else NUMBER
        for column in table
    }
    test_rows = table.head(300).copy()
    # A category outside the training data, after the rows of the sample.
    test_rows.loc[[SAMPLE + 10, SAMPLE + 60, SAMPLE + 90], "region"] = "region Z"
    return Model(
        "pipeline",
        "imputer, scaler and one-hot encoder of 8 mixed columns, gradient boosting",
        make_pipeline(columns, boosting).fit(table, outcome),
        fields,
        test_rows,
    )


def _loans(count: int) -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(SEED)
    table = pd.DataFrame(
        {
            "income": rng.lognormal(10.4, 0.5, count).round(2),
            "amount": rng.lognormal(9, 0.7, count).round(2),
            "age": rng.integers(18, 80, count).astype(float),
            "savings": rng.lognormal(8, 1, count).round(2),
            "years_employed": rng.gamma(2, 3, count).round(1),
            "purpose": rng.choice(["car", "house", "studies", "travel", "other"], count),
            "home": rng.choice(["own", "rent", "with parents"], count),
            "region": rng.choice([f"region {letter}" for letter in "ABCDEFGH"], count),
        }
    )
    risk = table["amount"] / table["income"] - table["years_employed"] / 20
    risk += (table["home"] == "rent") * 0.3 + rng.normal(0, 0.3, count)
    outcome = np.where(risk > risk.quantile(0.7), "default", "repaid")
    for column in ("savings", "years_employed"):
        table.loc[rng.random(count) < 0.15, column] = np.nan
    return table, outcome


def _mlp() -> Model:
    inputs, target = make_classification(
        3_000, 20, n_informative=12, n_classes=3, random_state=SEED
    )
    labels = np.array(["low", "middle", "high"])[target]
    inputs = inputs.round(4)
    network = MLPClassifier((64, 32), max_iter=60, early_stopping=True, random_state=SEED)
    names = [f"x{at}" for at in range(inputs.shape[1])]
    return Model(
        "mlp",
        "neural network 64-32 of 20 numbers",
        network.fit(inputs, labels),
        dict.fromkeys(names, NUMBER),
        pd.DataFrame(inputs[:300], columns=names),
    )


def _neighbours(at: int) -> Model:
    rng = np.random.default_rng(SEED + at)
    points = rng.random((125_000, 20))
    labels = rng.choice(["low", "middle", "high"], len(points))
    names = [f"x{each}" for each in range(points.shape[1])]
    return Model(
        f"large{at}",
        "5 nearest of 125,000 points of 20 numbers (20 MB)",
        KNeighborsClassifier(algorithm="brute").fit(points, labels),
        dict.fromkeys(names, NUMBER),
        pd.DataFrame(points[:20].round(4), columns=names),
    )


TRAINERS: dict[str, Callable[[], Model]] = {
    "logistic": _logistic,
    "forest": _forest,
    "pipeline": _pipeline,
    "mlp": _mlp,
}

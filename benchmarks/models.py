"""The models that are served, the rows that are asked, and what the estimators say of them."""

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
#: Rows that show Modelhost what a model takes.
SAMPLE = 100
IRIS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
#: A field's kind, in the words of models.json: a number, a number or null, a text.
NUMBER, MAYBE, TEXT = "number", "number or null", "text"


@dataclass(frozen=True)
class Answer:
    """What a model says of one row."""

    label: str
    #: Of each label; None where a server tells the label alone.
    probabilities: dict[str, float] | None = None


@dataclass(frozen=True)
class Model:
    """A fitted classifier with the rows to ask it.

    Its estimator was fitted on an array where all fields are plain numbers, and on a frame where
    they are mixed, as one would.
    """

    name: str
    about: str
    estimator: Any
    fields: dict[str, str]
    table: pd.DataFrame

    @property
    def is_mixed(self) -> bool:
        """Whether the estimator reads a frame."""
        return set(self.fields.values()) != {NUMBER}

    def rows(self, count: int) -> list[Row]:
        """Return so many rows as JSON has them, from the first, and again where they end."""
        cells = self.table.astype(object).where(self.table.notna(), None)
        rows = cells.to_dict(orient="records")
        return [rows[at % len(rows)] for at in range(count)]

    def answers(self, count: int) -> list[Answer]:
        """Return what the estimator itself says of those rows."""
        told = self._answers
        return [told[at % len(told)] for at in range(count)]

    @cached_property
    def _answers(self) -> list[Answer]:
        inputs = self.table if self.is_mixed else self.table.to_numpy()
        with threadpool_limits(1):
            labels = [str(label) for label in self.estimator.predict(inputs)]
            odds = self.estimator.predict_proba(inputs).tolist()
        classes = [str(label) for label in self.estimator.classes_]
        return [
            Answer(label, dict(zip(classes, each, strict=True)))
            for label, each in zip(labels, odds, strict=True)
        ]


def train(name: str) -> Model:
    """Fit one of :data:`TRAINERS`; a second or two, the same every time."""
    with threadpool_limits(1):  # on a busy machine several threads take minutes
        return TRAINERS[name]()


def large(count: int) -> list[Model]:
    """Return so many different models of 20 MB: neighbours among 125,000 points of 20 numbers."""
    return [_neighbours(at) for at in range(count)]


def write(model: Model, folder: Path) -> None:
    """Write what the servers load: NAME.joblib, NAME.flm with its schemas, NAME.fields.json."""
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
    # In another order, or one label would answer for long.
    asked = table.sample(frac=1, random_state=SEED).reset_index(drop=True)
    return Model(
        name, about, estimator.fit(flowers.data, species), dict.fromkeys(IRIS, NUMBER), asked
    )


def _logistic() -> Model:
    return _iris("logistic", "logistic regression on iris", LogisticRegression(max_iter=1000))


def _forest() -> Model:
    forest = RandomForestClassifier(n_estimators=100, random_state=SEED)
    return _iris("forest", "random forest of 100 trees on iris", forest)


def _pipeline() -> Model:
    """Fit a pipeline as applications for loans would want it, on made-up ones."""
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
    asked = table.head(300).copy()
    # Words that nobody has seen, after those of the sample.
    asked.loc[[SAMPLE + 10, SAMPLE + 60, SAMPLE + 90], "region"] = "region Z"
    return Model(
        "pipeline",
        "imputer, scaler and one-hot encoder of 8 mixed columns, gradient boosting",
        make_pipeline(columns, boosting).fit(table, outcome),
        fields,
        asked,
    )


def _loans(count: int) -> tuple[pd.DataFrame, Any]:
    chance = np.random.default_rng(SEED)
    table = pd.DataFrame(
        {
            "income": chance.lognormal(10.4, 0.5, count).round(2),
            "amount": chance.lognormal(9, 0.7, count).round(2),
            "age": chance.integers(18, 80, count).astype(float),
            "savings": chance.lognormal(8, 1, count).round(2),
            "years_employed": chance.gamma(2, 3, count).round(1),
            "purpose": chance.choice(["car", "house", "studies", "travel", "other"], count),
            "home": chance.choice(["own", "rent", "with parents"], count),
            "region": chance.choice([f"region {letter}" for letter in "ABCDEFGH"], count),
        }
    )
    burden = table["amount"] / table["income"] - table["years_employed"] / 20
    burden += (table["home"] == "rent") * 0.3 + chance.normal(0, 0.3, count)
    outcome = np.where(burden > burden.quantile(0.7), "default", "repaid")
    for column in ("savings", "years_employed"):
        table.loc[chance.random(count) < 0.15, column] = np.nan
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
    chance = np.random.default_rng(SEED + at)
    points = chance.random((125_000, 20))
    labels = chance.choice(["low", "middle", "high"], len(points))
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

"""Train the example models that are missing or older than this: ``python -m examples.train``.

Each takes a second or so. ``--all`` trains them again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score, roc_auc_score
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from examples import loans, tickets
from examples.iris.model import FACTS, MEASURES
from mlmodel import dump
from mlmodel.reference.profile import Profile

FOLDER = Path(__file__).parent / "models"


def main(arguments: list[str]) -> None:
    """Train what is missing or outdated, or all of it."""
    parser = argparse.ArgumentParser(description="Train the example models.")
    parser.add_argument("--all", action="store_true", help="also those that are there already")
    options = parser.parse_args(arguments)
    FOLDER.mkdir(exist_ok=True)
    for name, train in TRAINERS.items():
        if options.all or _is_older(FOLDER / name):
            sys.stdout.write(f"Training {name} ... ")
            sys.stdout.flush()
            sys.stdout.write(f"{train(FOLDER / name)}\n")


def train_iris(path: Path) -> str:
    """Fit the estimator of :class:`examples.iris.IrisModel`."""
    flowers = load_iris()
    species = flowers.target_names[flowers.target]
    estimator = LogisticRegression(max_iter=1000).fit(flowers.data, species)
    accuracy = round(cross_val_score(estimator, flowers.data, species).mean(), 3)
    joblib.dump(estimator, path)
    profile = Profile.from_rows(
        [dict(zip(MEASURES, row, strict=True)) for row in flowers.data.tolist()],
        [{"species": name} for name in estimator.predict(flowers.data).tolist()],
    )
    facts = {"metrics": {"accuracy": accuracy}, "extra": {"reference": profile.to_json()}}
    FACTS.write_text(json.dumps(facts))
    return f"accuracy {accuracy:.3f} in a cross-validation"


def train_wine(path: Path) -> str:
    """Package a classifier on the 178 wines that scikit-learn ships; its fields are inferred."""
    wines = load_wine(as_frame=True)
    features = wines.data.rename(columns={"od280/od315_of_diluted_wines": "od280_od315"})
    growers = wines.target.map({0: "grower A", 1: "grower B", 2: "grower C"})
    seen, unseen, is_seen, is_unseen = _split(features, growers)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(seen, is_seen)
    accuracy = accuracy_score(is_unseen, pipeline.predict(unseen))
    dump(
        pipeline,
        path,
        model_id="wine",
        params={"C": 1.0},
        metrics={"accuracy": round(accuracy, 3)},
        sample=seen,
        y=is_seen,
        extra={
            "display_name": "Wine growers",
            "description": (
                "Which of three growers in one region of Italy made a wine, from its chemical "
                "analysis (UCI wine data, as scikit-learn ships them)."
            ),
            "version": "1.0.0",
            "card": _card(
                seen,
                unseen,
                direct_use="Shows a classifier of numbers whose schema is inferred from a sample.",
                out_of_scope_use="Wines of other regions, grapes and years.",
                bias_risks_limitations=(
                    "178 wines of one region and three growers. An accuracy on 45 wines is "
                    "uncertain by several points."
                ),
                training_data=(
                    "[Wine recognition](https://archive.ics.uci.edu/dataset/109/wine), three "
                    "quarters of it, drawn at random."
                ),
            ),
        },
    )
    return f"accuracy {accuracy:.3f} on wines that it has not seen"


def train_diabetes(path: Path) -> str:
    """Package a regressor on the 442 patients that scikit-learn ships, in their own units."""
    patients = load_diabetes(as_frame=True, scaled=False)
    features = patients.data.rename(columns=DIABETES_NAMES)
    seen, unseen, was_seen, was_unseen = _split(features, patients.target)
    pipeline = make_pipeline(StandardScaler(), RidgeCV()).fit(seen, was_seen)
    predicted = pipeline.predict(unseen)
    alpha = float(pipeline[-1].alpha_)
    dump(
        pipeline,
        path,
        model_id="diabetes",
        params={"alpha": alpha},
        metrics={
            "r2": round(r2_score(was_unseen, predicted), 3),
            "mean_absolute_error": round(mean_absolute_error(was_unseen, predicted), 1),
        },
        sample=seen,
        y=was_seen,
        extra={
            "display_name": "Diabetes progression",
            "description": (
                "How far diabetes will have progressed in a year, from 25 to 346, from ten "
                "measures of today (Efron et al., 2004, as scikit-learn ships them). Not for "
                "medical use."
            ),
            "version": "1.0.0",
            "input_schema": _with_sex(_numbers(features, DIABETES)),
            "card": _card(
                seen,
                unseen,
                direct_use="Shows a regressor with titles, units and limits of its author.",
                out_of_scope_use="Any medical use: diagnosis, treatment, insurance.",
                bias_risks_limitations=(
                    "The measures explain less than half of the variation between patients: the "
                    "average error is a quarter of the average itself."
                ),
                training_data=(
                    "442 patients of Efron, Hastie, Johnstone and Tibshirani, *Least Angle "
                    "Regression* (2004), three quarters of them, drawn at random."
                ),
            ),
            "examples": _examples(unseen),
        },
    )
    return f"R² {r2_score(was_unseen, predicted):.3f} on patients that it has not seen"


def train_loan(path: Path) -> str:
    """Package a pipeline on synthetic loan applications with mixed columns."""
    table = loans.applications(6_000)
    features = table.drop(columns="outcome")
    seen, unseen, was_seen, was_unseen = _split(features, table["outcome"])
    words = ["purpose", "home"]
    numbers = [name for name in features if name not in words]
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("words", OneHotEncoder(handle_unknown="ignore"), words),
        ]
    )
    pipeline = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(seen, was_seen)
    default = list(pipeline.classes_).index("default")
    area = roc_auc_score(was_unseen == "default", pipeline.predict_proba(unseen)[:, default])
    dump(
        pipeline,
        path,
        model_id="loan",
        metrics={"roc_auc": round(area, 3)},
        sample=seen,
        y=was_seen,
        extra={
            "display_name": "Loan default",
            "description": (
                "Will the applicant default on the loan, and how likely is it? Learned from "
                "made-up applications, which examples/loans.py generates: a demonstration, not for "
                "real decisions."
            ),
            "version": "1.0.0",
            "input_schema": LOAN,
            "card": _card(
                seen,
                unseen,
                direct_use="Shows a classifier of mixed columns, some of them missing.",
                out_of_scope_use="Decisions about loans: the applicants are invented.",
                bias_risks_limitations=(
                    "Only 12% of the applicants default, so *repaid* is the likelier outcome for "
                    "nearly all: read the probability, not the predicted word. Applicants in rare "
                    "situations, such as three earlier defaults, are few."
                ),
                bias_recommendations="Compare the probability with 12%, that of any applicant.",
                training_data="6,000 applications that `examples/loans.py` generates, 75% of them.",
            ),
            "examples": _examples(unseen),
            "example_names": [
                f"{purpose}, {outcome}"
                for purpose, outcome in zip(unseen["purpose"][:3], was_unseen[:3], strict=True)
            ],
        },
    )
    return f"ROC AUC {area:.3f} on applications that it has not seen"


def train_tickets(path: Path) -> str:
    """Package a classifier of texts on synthetic support requests."""
    texts, teams = tickets.requests(2_000)
    seen, unseen, was_seen, was_unseen = _split(texts, teams)
    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression()
    ).fit(seen, was_seen)
    accuracy = accuracy_score(was_unseen, pipeline.predict(unseen))
    dump(
        pipeline,
        path,
        model_id="tickets",
        metrics={"accuracy": round(accuracy, 3)},
        sample=seen,
        y=was_seen,
        extra={
            "display_name": "Support tickets",
            "description": (
                "Which team a request to a shop's support goes to. Learned from made-up "
                "requests, which examples/tickets.py generates: a demonstration."
            ),
            "version": "1.0.0",
            "card": _card(
                seen,
                unseen,
                direct_use="Shows a classifier of texts.",
                out_of_scope_use="Requests in other languages than English.",
                bias_risks_limitations=(
                    "The requests consist of few sentences, so the accuracy says nothing about "
                    "requests that people write."
                ),
                training_data="2,000 requests that `examples/tickets.py` generates, 75% of them.",
            ),
        },
    )
    return f"accuracy {accuracy:.3f} on requests that it has not seen"


def _is_older(path: Path) -> bool:
    return not path.exists() or path.stat().st_mtime < Path(__file__).stat().st_mtime


def _card(seen: Any, unseen: Any, **texts: str) -> dict[str, Any]:
    """Return the card of a model that was tested on a random quarter of its data."""
    return {
        "training_rows": len(seen),
        "testing_rows": len(unseen),
        "developers": "The authors of Modelhost, as an example",
        "testing_data": "The other quarter, which the model has not seen.",
        **texts,
    }


def _split(features: Any, target: Any) -> list[Any]:
    return train_test_split(features, target, test_size=0.25, random_state=1)


def _examples(table: pd.DataFrame, count: int = 3) -> list[dict[str, Any]]:
    """Return rows as JSON, without what is missing in them."""
    rows = table.head(count).astype(object).replace({np.nan: None}).to_dict(orient="records")
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def _numbers(table: pd.DataFrame, fields: dict[str, tuple[str, str, str, float]]) -> dict[str, Any]:
    """Return the schema of plain number columns: title, unit, meaning, range and upper limit."""
    properties = {
        name: {
            "type": "number",
            "title": title,
            "minimum": 0,
            "maximum": maximum,
            "x-range": [float(low), float(high)],
            "examples": [float(table[name].iloc[0])],
        }
        | ({"description": meaning} if meaning else {})
        | ({"x-unit": unit} if unit else {})
        for name, (title, unit, meaning, maximum) in fields.items()
        for low, high in [(table[name].min(), table[name].max())]
    }
    return _object(properties, list(fields))


def _with_sex(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with the one column that is a choice, not a measure."""
    sex = {"enum": [1, 2], "title": "Sex", "description": "1 or 2, as the data have it."}
    return {**schema, "properties": {**schema["properties"], "sex": sex}}


def _object(properties: dict[str, Any], required: list[str], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        **more,
    }


#: scikit-learn's names of the columns, and better ones.
DIABETES_NAMES = {
    "bp": "blood_pressure",
    "s1": "total_cholesterol",
    "s2": "ldl",
    "s3": "hdl",
    "s4": "cholesterol_ratio",
    "s5": "log_triglycerides",
    "s6": "blood_sugar",
}
#: Column: title, unit, meaning, largest value that can be meant.
DIABETES = {
    "age": ("Age", "years", "", 130),
    "sex": ("Sex", "", "", 2),
    "bmi": ("Body mass index", "kg/m²", "", 100),
    "blood_pressure": ("Blood pressure", "mm Hg", "Mean arterial pressure.", 300),
    "total_cholesterol": ("Total cholesterol", "mg/dl", "", 1000),
    "ldl": ("LDL", "mg/dl", "Low-density lipoproteins.", 1000),
    "hdl": ("HDL", "mg/dl", "High-density lipoproteins.", 500),
    "cholesterol_ratio": ("Cholesterol ratio", "", "Total cholesterol / HDL.", 50),
    "log_triglycerides": ("Triglycerides", "log mg/dl", "Natural logarithm.", 20),
    "blood_sugar": ("Blood sugar", "mg/dl", "", 1000),
}

LOAN = _object(
    {
        "annual_income": {
            "type": "number",
            "title": "Annual income",
            "description": "Before tax.",
            "exclusiveMinimum": 0,
            "maximum": 10_000_000,
            "x-range": [10_000, 100_000],
            "examples": [36_000],
            "x-unit": "€",
        },
        "loan_amount": {
            "type": "number",
            "title": "Loan amount",
            "minimum": 100,
            "maximum": 1_000_000,
            "x-range": [500, 50_000],
            "examples": [9_500],
            "x-unit": "€",
        },
        "term_months": {
            "enum": list(loans.TERMS),
            "title": "Term",
            "description": "Repayment period in months.",
        },
        "purpose": {"enum": list(loans.PURPOSES), "title": "Purpose"},
        "home": {"$ref": "#/$defs/Home"},
        "years_employed": {
            "type": "number",
            "title": "Years in the job",
            "description": "With the current employer.",
            "minimum": 0,
            "maximum": 80,
            "x-range": [0, 30],
            "examples": [4.5],
        },
        "earlier_defaults": {
            "type": "integer",
            "title": "Earlier defaults",
            "description": "Loans on which the applicant has defaulted before.",
            "minimum": 0,
            "maximum": 100,
            "x-range": [0, 5],
            "default": 0,
        },
        "card_use": {
            "type": "number",
            "title": "Credit card use",
            "description": "How much of the credit cards' limit is used.",
            "minimum": 0,
            "maximum": 200,
            "x-range": [0, 100],
            "examples": [30],
            "x-unit": "%",
        },
        "savings": {
            "type": ["number", "null"],
            "title": "Savings",
            "description": "Leave blank if unknown.",
            "minimum": 0,
            "maximum": 100_000_000,
            "x-range": [0, 60_000],
            "examples": [2_500],
            "x-unit": "€",
        },
    },
    [
        "annual_income",
        "loan_amount",
        "term_months",
        "purpose",
        "home",
        "years_employed",
        "earlier_defaults",
        "card_use",
    ],
    **{
        "$defs": {
            "Home": {
                "enum": list(loans.HOMES),
                "title": "Home",
                "description": "How the applicant lives.",
            }
        }
    },
)

TRAINERS: dict[str, Callable[[Path], str]] = {
    "iris.joblib": train_iris,
    "wine.flm": train_wine,
    "diabetes.flm": train_diabetes,
    "loan.flm": train_loan,
    "tickets.flm": train_tickets,
}

if __name__ == "__main__":
    main(sys.argv[1:])

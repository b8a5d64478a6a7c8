"""Models for the tests of forms and pages."""

from __future__ import annotations

from typing import Any

from mlmodel.errors import InvalidInput
from mlmodel.model import MLModel, Row

HOSTILE = "<script>document.title='hit'</script><img src=x onerror=document.title='hit'>\"'"


class Loan(MLModel):
    """Numbers, choices, and optional, nullable, nested and referred fields."""

    qualified_name = "loan"
    display_name = "Loan default"
    description = (
        "Will an applicant fall behind with the payments in the first two years? "
        "For loan officers, as one opinion among others.\n"
        "The data was made by a generator; it describes no real person."
    )
    version = "1.2.0"
    metadata = {
        "framework": "scikit-learn 1.9.1",
        "metrics": {"roc_auc": 0.8712345, "rows": 12000, "brier": 0.0931},
        "params": {"max_depth": 6, "learning_rate": 0.05, "features": ["income", "amount"]},
    }
    input_schema = {
        "$defs": {
            "Address": {
                "type": "object",
                "description": "Where the applicant lives.",
                "properties": {
                    "city": {"type": "string", "maxLength": 40},
                    "since": {"type": "string", "format": "date", "title": "Lives there since"},
                },
                "required": ["city"],
            },
        },
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "income": {
                "type": "number",
                "minimum": 0,
                "x-unit": "EUR a year",
                "description": "Before tax.",
            },
            "amount": {"type": "number", "exclusiveMinimum": 0, "maximum": 75000, "x-unit": "EUR"},
            "term_months": {
                "type": "integer",
                "minimum": 6,
                "maximum": 120,
                "title": "Term",
                "x-unit": "months",
            },
            "purpose": {"enum": ["car", "home", "education", "other"]},
            "employed": {"type": "boolean", "title": "In employment"},
            "rate": {
                "anyOf": [{"type": "number"}, {"type": "null"}],
                "title": "Agreed rate",
                "x-unit": "%",
            },
            "children": {"type": "integer", "minimum": 0},
            "owns": {
                "type": "array",
                "uniqueItems": True,
                "items": {"enum": ["house", "flat", "car"]},
            },
            "past_rates": {"type": "array", "items": {"type": "number"}},
            "address": {"$ref": "#/$defs/Address"},
            "note": {"type": "string", "maxLength": 500},
        },
        "required": ["income", "amount", "term_months", "purpose", "employed", "rate"],
    }
    output_schema = {
        "type": "object",
        "properties": {
            "prediction": {"enum": ["pays", "defaults"], "title": "Most likely"},
            "probabilities": {
                "type": "object",
                "additionalProperties": {"type": "number"},
                "description": "How likely each outcome is.",
            },
            "received": {"type": "object", "description": "The row as the model saw it."},
        },
        "required": ["prediction", "probabilities"],
    }
    examples = (
        {
            "income": 42500.5,
            "amount": 12000,
            "term_months": 48,
            "purpose": "car",
            "employed": True,
            "rate": None,
            "owns": ["car"],
            "past_rates": [4.5, 5],
            "address": {"city": "Porto"},
        },
        {
            "income": 18000,
            "amount": 30000,
            "term_months": 96,
            "purpose": "other",
            "employed": False,
            "rate": 7.25,
            "children": 3,
        },
    )

    def predict(self, row: Row) -> dict[str, Any]:
        risk = min(0.98, row["amount"] / (row["income"] + 1) * 0.4)
        return {
            "prediction": "defaults" if risk > 0.5 else "pays",
            "probabilities": {"pays": 1 - risk, "defaults": risk},
            "received": dict(row),
        }


class Iris(MLModel):
    """Four numbers without examples."""

    qualified_name = "iris"
    display_name = "Iris species"
    description = "Which species an iris is, from the sizes of its flower."
    version = "2.0"
    input_schema = {
        "type": "object",
        "properties": {
            name: {
                "type": "number",
                "minimum": 0.1,
                "maximum": 8,
                "examples": [example],
                "x-unit": "cm",
            }
            for name, example in (
                ("sepal_length", 5.1),
                ("sepal_width", 3.5),
                ("petal_length", 1.4),
                ("petal_width", 0.2),
            )
        },
        "required": ["sepal_length", "sepal_width", "petal_length", "petal_width"],
        "additionalProperties": False,
    }
    output_schema = {"type": "object"}

    def predict(self, row: Row) -> dict[str, Any]:
        if row["petal_width"] > row["petal_length"]:
            raise InvalidInput("must not be more than petal_length", pointer="/petal_width")
        return {
            "prediction": "setosa",
            "probabilities": {"versicolor": 0.02, "setosa": 0.9796, "virginica": 0.0004},
        }


class Hostile(MLModel):
    """Markup wherever words can be."""

    qualified_name = "hostile"
    display_name = HOSTILE
    description = f"{HOSTILE}\n\n| left | right |\n| :-- | --: |\n| 1 | 2 |\n"
    version = HOSTILE
    input_schema = {
        "type": "object",
        "properties": {
            "text": {
                "type": "string",
                "title": HOSTILE,
                "description": HOSTILE,
                "default": HOSTILE,
            },
            "choice": {"enum": [HOSTILE, "plain"], "x-unit": HOSTILE},
            HOSTILE: {"type": "number", "examples": [HOSTILE]},
        },
    }
    examples = ({"text": HOSTILE, "choice": HOSTILE},)

    def predict(self, row: Row) -> Any:
        return {HOSTILE: HOSTILE, "list": [HOSTILE], "table": [{HOSTILE: HOSTILE}]}


class Anything(MLModel):
    """Takes any JSON and gives it back."""

    qualified_name = "anything"

    def predict(self, row: Any) -> Any:
        return row


class Broken(MLModel):
    """Cannot be loaded."""

    qualified_name = "broken"
    display_name = "Broken model"

    def load(self) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    def predict(self, row: Row) -> Any:
        raise AssertionError("a failed model is never asked")

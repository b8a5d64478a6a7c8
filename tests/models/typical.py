"""Models with a reference profile, to explain."""

import math

from mlmodel import MLModel, endpoint
from mlmodel.reference.profile import Profile

ROW = {
    "type": "object",
    "properties": {
        "income": {"type": "number", "exclusiveMinimum": 0},
        "term": {"enum": [12, 24, 36]},
        "savings": {"type": ["number", "null"]},
        "note": {"type": "string"},
    },
    "required": ["income", "term", "note"],
}
COLUMNS = {
    "income": [20.0 + index for index in range(60)],
    "term": [12, 24, 36] * 20,
    "savings": [None, 5.0, 7.0, 9.0, 11.0] * 12,
    "note": [f"note {index}" for index in range(60)],
}


class Lender(MLModel):
    """Repaid if the income is high enough, which a long term makes less likely."""

    qualified_name = "lender"
    input_schema = ROW
    metadata = {"extra": {"reference": Profile.from_columns(COLUMNS).to_json()}}

    def predict(self, row):
        savings = row.get("savings") or 0
        repaid = 1 / (1 + math.exp((row["term"] + 14 - row["income"] - savings) / 10))
        label = "repaid" if repaid > 0.5 else "default"
        return {"prediction": label, "probabilities": {"default": 1 - repaid, "repaid": repaid}}


class Price(Lender):
    """A number, linear in its fields."""

    qualified_name = "price"

    def predict(self, row):
        return {"prediction": 2 * row["income"] - row["term"]}


class Noted(Lender):
    """A number that depends on a text, too, and on more fields than a table of effects has."""

    qualified_name = "noted"
    more = [f"part_{at}" for at in range(14)]
    input_schema = ROW | {
        "properties": {
            **ROW["properties"],
            "note": {"type": "string", "title": "Remark"},
            **{name: {"type": "number"} for name in more},
        }
    }
    metadata = {
        "extra": {
            "reference": Profile.from_columns(
                COLUMNS | dict.fromkeys(more, COLUMNS["income"])
            ).to_json()
        }
    }

    def predict(self, row):
        return {"prediction": sum(row.get(name, 0) for name in self.more) + len(row["note"])}


class Chance(Lender):
    """A probability without classes."""

    qualified_name = "chance"
    output_schema = {
        "type": "object",
        "properties": {
            "prediction": {"type": "number", "minimum": 0, "maximum": 1, "title": "Probability"}
        },
    }

    def predict(self, row):
        return {"prediction": super().predict(row)["probabilities"]["repaid"]}


class Agreed(Lender):
    """A boolean, with the probabilities of both values."""

    qualified_name = "agreed"

    def predict(self, row):
        share = super().predict(row)["probabilities"]["repaid"]
        return {"prediction": share > 0.5, "probabilities": {"false": 1 - share, "true": share}}


class Label(Lender):
    """A label without probabilities."""

    qualified_name = "label"

    def predict(self, row):
        return "rich" if row["income"] > 50 else "poor"


class Cluster(Lender):
    """The number of a cluster, described as for a packaged clusterer."""

    qualified_name = "cluster"
    output_schema = {
        "type": "object",
        "properties": {"prediction": {"type": "integer", "title": "Cluster"}},
    }

    def predict(self, row):
        return {"prediction": int(row["income"] // 25)}


class Rare(Lender):
    """A label that only the highest incomes have."""

    qualified_name = "rare"

    def predict(self, row):
        return "top" if row["income"] > 77.7 else "usual"


class Opaque(Lender):
    """A list."""

    qualified_name = "opaque"

    def predict(self, row):
        return [row["income"], row["term"]]


class Outlier(Lender):
    """A label with a title."""

    qualified_name = "outlier"
    output_schema = {
        "type": "object",
        "properties": {
            "prediction": {"oneOf": [{"const": 1, "title": "usual"}, {"const": -1, "title": "odd"}]}
        },
    }

    def predict(self, row):
        return {"prediction": 1 if row["income"] > 50 else -1}


class Labels(Lender):
    """Labels of two outputs."""

    qualified_name = "labels"
    output_schema = {
        "type": "object",
        "properties": {
            "prediction": {
                "type": "object",
                "properties": {"rich": {"enum": [0, 1]}, "young": {"enum": [0, 1]}},
            }
        },
    }

    def predict(self, row):
        return {"prediction": {"rich": int(row["income"] > 50), "young": int(row["term"] > 12)}}


class Pair(Labels):
    """Probabilities of two outputs."""

    qualified_name = "pair"

    def predict(self, row):
        shares = {"rich": {"0": 0.75, "1": 0.25}, "young": {"0": 0.5, "1": 0.5}}
        return {**super().predict(row), "probabilities": shares}


class Bounds(Lender):
    """Several numbers."""

    qualified_name = "bounds"
    output_schema = {
        "type": "object",
        "properties": {
            "low": {"type": "number"},
            "high": {"type": "number", "title": "Upper limit"},
        },
    }

    def predict(self, row):
        limit = row["income"] * row["term"] + (row.get("savings") or 0) ** 2
        return {"low": row["income"], "high": limit}


class Extremes(Lender):
    """A huge and a tiny number."""

    qualified_name = "extremes"
    output_schema = {
        "type": "object",
        "properties": {
            "huge": {"type": "number", "x-unit": "EUR"},
            "tiny": {"type": "number"},
        },
    }

    def predict(self, row):
        return {"huge": 1e13 * row["income"], "tiny": 1e-11 * row["term"]}


class Own(Lender):
    """An endpoint of its own."""

    qualified_name = "own"

    @endpoint("explain")
    def explain(self, row):
        return {"because": row["income"]}


class Summary(Lender):
    """An endpoint of its own that is no explanation of a row."""

    qualified_name = "summary"

    @endpoint("explain", methods=["GET"])
    def explain(self, row):
        return {"because": "of the training data"}


class Mood(MLModel):
    """A model of texts."""

    qualified_name = "mood"
    input_schema = {"type": "object", "properties": {"text": {"type": "string"}}}

    def predict(self, row):
        words = row["text"].split()
        return {"score": words.count("good") - 2 * words.count("bad")}


class Reasoned(Mood):
    """A model whose predictions have members with the names of an explanation's columns."""

    qualified_name = "reasoned"

    def predict(self, row):
        return {**super().predict(row), "why_1": "its own reason", "why_2": "another"}


class Plain(MLModel):
    """A model without a profile."""

    qualified_name = "plain"
    input_schema = {"type": "object", "properties": {"x": {"type": "number"}}}

    def predict(self, row):
        return row["x"]

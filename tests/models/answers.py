"""Models for the predict page: predictions with pictures, tables and varying numbers."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from typing import Any

from mlmodel.errors import InvalidInput
from mlmodel.model import MLModel, Row


def picture(width: int = 8, height: int = 4) -> bytes:
    """Return a grey PNG."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + b"\x80" * width) * height)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


class Painter(MLModel):
    """Predicts pictures, one of them invalid, and a file."""

    qualified_name = "painter"
    version = "3.0"
    input_schema = {"type": "object", "properties": {"shade": {"type": "integer"}}}
    output_schema = {
        "type": "object",
        "properties": {
            "heat": {"$ref": "#/$defs/Picture", "title": "Heat map"},
            "steps": {"type": "array", "items": {"$ref": "#/$defs/Picture"}},
            "false": {"$ref": "#/$defs/Picture"},
            "report": {"type": "string", "contentEncoding": "base64"},
            "area": {"type": "number", "x-unit": "m²"},
        },
        "$defs": {
            "Picture": {
                "type": "string",
                "contentEncoding": "base64",
                "contentMediaType": "image/png",
            }
        },
    }

    def predict(self, row: Row) -> dict[str, Any]:
        drawn = b64encode(picture()).decode()
        return {
            "heat": drawn,
            "steps": [drawn, drawn],
            "false": "<script>no base64</script>",
            "report": b64encode(b"a" * 3000).decode(),
            "area": 1234567.891,
        }


class Risk(MLModel):
    """Depends on a number and a choice, and rejects some combinations."""

    qualified_name = "risk"
    display_name = "Risk"
    version = "1.0"
    #: The weight of the amount, which a subclass changes.
    weight = 0.001
    input_schema = {
        "type": "object",
        "properties": {
            "amount": {"type": "number", "minimum": 0, "maximum": 1000, "x-unit": "EUR"},
            "age": {"type": "integer", "x-range": [18, 22], "minimum": 0},
            "kind": {"enum": ["car", "home", None]},
            "member": {"type": "boolean"},
            "note": {"type": "string"},
            "home": {
                "type": "object",
                "properties": {"rooms": {"type": "integer", "minimum": 1, "maximum": 5}},
            },
        },
        "required": ["amount", "kind"],
        "additionalProperties": False,
    }
    output_schema = {
        "type": "object",
        "properties": {
            "prediction": {"enum": ["low", "high"]},
            "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
        },
    }
    examples = ({"amount": 250.0, "age": 20, "kind": "car"},)

    def predict(self, row: Row) -> dict[str, Any]:
        if row["kind"] == "home" and row["amount"] == 666:
            raise InvalidInput("must not be 666 for a home", pointer="/amount")
        high = min(1.0, row["amount"] * self.weight * (0.5 if row["kind"] == "home" else 1))
        return {
            "prediction": "high" if high > 0.5 else "low",
            "probabilities": {"low": 1 - high, "high": high},
        }


class SecondRisk(Risk):
    """The next version of the same."""

    qualified_name = "risk-2"
    display_name = "Risk, next"
    version = "2.0"
    weight = 0.0005


class RenamedRisk(Risk):
    """The same with other names of the classes."""

    qualified_name = "risk-renamed"
    display_name = "Risk, renamed"

    def predict(self, row: Row) -> dict[str, Any]:
        shares = super().predict(row)["probabilities"]
        return {"probabilities": {"repaid": shares["low"], "defaulted": shares["high"]}}


class Fragile(MLModel):
    """Fails at a row that its schema allows."""

    qualified_name = "fragile"
    input_schema = {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}

    def predict(self, row: Row) -> float:
        return 1 / row["x"]


class Interrupted(Fragile):
    """Calls ``after``, which a test sets, after each prediction."""

    qualified_name = "interrupted"

    @staticmethod
    def after() -> None:
        """Do nothing."""

    def predict(self, row: Row) -> float:
        prediction = super().predict(row)
        type(self).after()
        return prediction


class Binary(MLModel):
    """Predicts the class 0 or 1 and a number for a city."""

    qualified_name = "binary"
    input_schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "examples": ["Delhi", "Pune"]}},
        "required": ["city"],
    }
    output_schema = {
        "type": "object",
        "properties": {"prediction": {"enum": [0, 1]}, "score": {"type": "integer"}},
    }

    def predict(self, row: Row) -> dict[str, Any]:
        is_other = row["city"] != "Pune"
        return {"prediction": int(is_other), "score": 2 + is_other}


class Detector(MLModel):
    """Predicts like a packaged outlier detector, with a probability."""

    qualified_name = "detector"
    input_schema = {"type": "object", "properties": {"x": {"type": "number"}}}
    output_schema = {
        "type": "object",
        "properties": {
            "prediction": {
                "oneOf": [{"const": 1, "title": "inlier"}, {"const": -1, "title": "outlier"}]
            },
            "is_outlier": {"type": "boolean", "title": "Outlier"},
            "probability": {"type": "number", "minimum": 0, "maximum": 1},
        },
    }

    def predict(self, row: Row) -> dict[str, Any]:
        return {"prediction": -1, "is_outlier": True, "probability": 0.98}


class Sampled(MLModel):
    """Returns its input's sum, and brings a reference profile: x from 0 to 100, home own or rent."""

    qualified_name = "sampled"
    input_schema = {
        "type": "object",
        "properties": {
            "x": {"type": "number", "title": "Size"},
            "home": {"type": "string", "title": "Home"},
            "years": {"type": ["number", "null"], "title": "Years"},
            "level": {"type": "integer", "default": 1},
        },
        "required": ["x"],
    }
    output_schema = {"type": "object", "properties": {"y": {"type": "number"}}}
    examples = ({"x": 5, "home": "own", "years": 3},)
    metadata = {
        "extra": {
            "reference": {
                "rows": 100,
                "fields": {
                    "x": {"edges": [*range(0, 101, 5)], "counts": [5] * 20, "missing": 0},
                    "home": {"choices": {"own": 60, "rent": 40}, "other": 0, "missing": 0},
                    "years": {"missing": 0},
                    "level": {"missing": 0},
                    "renamed": {"missing": 0},
                },
                "predictions": {},
            }
        }
    }

    def predict(self, row):
        return {"y": row["x"]}


class Tagged(Sampled):
    """Has a list that was never blank in the training data."""

    qualified_name = "tagged"
    input_schema = {
        "type": "object",
        "properties": {
            "x": {"type": "number", "title": "Size"},
            "tags": {"type": "array", "items": {"type": "boolean"}, "title": "Tags"},
        },
        "required": ["x"],
    }
    examples = ({"x": 5},)
    metadata = {
        "extra": {"reference": {"rows": 100, "fields": {"tags": {"missing": 0}}, "predictions": {}}}
    }


class Deep(Sampled):
    """Has 30 fields in two sections, and a reference profile of one of them."""

    qualified_name = "deep"
    input_schema = {
        "type": "object",
        "properties": {
            f"{part}_{number}": {"type": "number"}
            for part in ("income", "debt")
            for number in range(15)
        },
    }
    examples = ()
    metadata = {
        "extra": {
            "reference": {
                "rows": 100,
                "fields": {
                    "debt_7": {"edges": [*range(0, 101, 5)], "counts": [5] * 20, "missing": 0}
                },
                "predictions": {},
            }
        }
    }

    def predict(self, row):
        return {"y": row["debt_7"]}


class NoTruths(Sampled):
    """Has a profile whose true values are counted as none."""

    qualified_name = "no-truths"
    metadata = {
        "extra": {
            "reference": {
                "rows": 20,
                "fields": {},
                "predictions": {},
                "target": {"choices": {"yes": 0}, "other": 0, "missing": 0},
            }
        }
    }


class OddCard(Sampled):
    """Has a card with values of wrong types, and a profile that is none."""

    qualified_name = "odd-card"
    metadata = {
        "extra": {
            "card": {"training_rows": "many", "license": 5, "direct_use": {"a": 1}, "more": "text"},
            "reference": {"rows": "many"},
        }
    }

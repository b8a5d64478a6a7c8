"""Models as they were written for ml_model_abc, whose schemas are of the package ``schema``.

Projects brought a copy of its base class along.
"""

from abc import ABC, abstractmethod
from datetime import date
from enum import Enum

from schema import And, Optional, Or, Schema, Use


class MLModelSchemaValidationException(Exception):
    pass


class MLModel(ABC):
    @property
    @abstractmethod
    def display_name(self):
        raise NotImplementedError

    @property
    @abstractmethod
    def qualified_name(self):
        raise NotImplementedError

    @property
    @abstractmethod
    def input_schema(self):
        raise NotImplementedError

    @property
    @abstractmethod
    def output_schema(self):
        raise NotImplementedError

    @abstractmethod
    def __init__(self):
        raise NotImplementedError

    @abstractmethod
    def predict(self, data):
        try:
            self.input_schema.validate(data)
        except Exception as error:
            raise MLModelSchemaValidationException(f"Failed to validate input data: {error}")  # noqa: B904


class Iris(MLModel):
    display_name = "Iris species"
    qualified_name = "iris_model"
    description = "A flower by its measures."
    major_version = "0"
    minor_version = "1"
    input_schema = Schema(
        {
            "sepal_length": And(float, lambda length: length < 100, error="must be below 100"),
            "sepal_width": float,
            "petals": int,
        }
    )
    output_schema = Schema({"species": Or("setosa", "virginica")})

    def __init__(self):
        self.threshold = 5.0

    def predict(self, data):
        super().predict(data=data)
        return {"species": "setosa" if data["sepal_length"] < self.threshold else "virginica"}


class Colour(Enum):
    RED = "red"


class Shapes(Iris):
    """Lists, choices, names of any kind, and types that JSON lacks."""

    qualified_name = "shapes"
    input_schema = Schema(
        {
            "parts": [{"size": And(int, lambda size: size > 0)}],
            "weights": {str: float},
            Optional("note", default="none"): Or(str, None),
            Optional("anything"): object,
        }
    )
    output_schema = Schema({"colour": Colour, "made": date, "sizes": [int]})

    def predict(self, data):
        self.input_schema.validate(data)
        sizes = [part["size"] for part in data["parts"]]
        return {"colour": Colour.RED, "made": date(2026, 1, 31), "sizes": sizes}


class Combined(Iris):
    """Combines rules that JSON Schema can express with others."""

    qualified_name = "combined"
    input_schema = Schema(
        {
            "count": Or(None, lambda count: count > 2),
            "name": And(Use(str.lower), Or("red", "green")),
            "code": And(str, Use(int), lambda code: code < 10),
            "whole": Or(And(int, lambda whole: whole > 0), None),
            "items": Or({"size": object}, [float]),
        }
    )
    output_schema = Schema(And(Or("yes", "no"), str))

    def predict(self, data):
        return "yes" if self.input_schema.validate(data)["code"] == 5 else "no"


class Judges(Iris):
    """Declares no rules, but validates."""

    input_schema = None

    def predict(self, data):
        return Schema({"x": int}).validate(data)


class BreaksItsAnswer(Iris):
    """Rejects its own prediction."""

    qualified_name = "breaks-its-answer"

    def predict(self, data):
        return self.output_schema.validate({"species": 5})

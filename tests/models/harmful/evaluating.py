"""Evaluates an expression from the row."""

from mlmodel import MLModel


class Evaluating(MLModel):
    """Returns the value of the row's Python expression."""

    qualified_name = "evaluating"

    def predict(self, row):
        return str(eval(row["x"]))

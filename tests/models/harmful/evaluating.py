"""Does whatever a row says."""

from mlmodel import MLModel


class Evaluating(MLModel):
    """Returns what Python says of the row's expression."""

    qualified_name = "evaluating"

    def predict(self, row):
        return str(eval(row["x"]))

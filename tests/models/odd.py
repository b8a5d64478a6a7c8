"""A model with unexpected metadata."""

from mlmodel.model import MLModel


class Odd(MLModel):
    """Metadata of other shapes."""

    qualified_name = "odd"
    metadata = {"metrics": [1], "versions": 3, "artifacts": ["a"], "size_bytes": "many"}

    def predict(self, row):
        """Answer the row itself."""
        return row

"""Methods of models that map rows to predictions."""

from app.serving.calls.methods import PREDICT, get_methods
from mlmodel import MLModel
from mlmodel.schema.rows import Table, get_values


class Doubling(MLModel):
    qualified_name = "doubling"
    display_name = "Doubling"
    input_schema = output_schema = None

    def predict(self, row):
        return self.predict_rows([row])[0]

    def predict_rows(self, rows):
        for row in rows:
            row["x"] *= 2
        return get_values(rows, "x")


def test_author_may_change_rows():
    rows = Table.build(2, {"x": [1, 2]})

    assert get_methods(Doubling())[PREDICT](rows) == [2, 4]

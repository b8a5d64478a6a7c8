"""Models that fail, each in a different way."""

import numpy as np

from mlmodel import MLModel


class RaisesAtLoad(MLModel):
    qualified_name = "raises-at-load"

    def load(self):
        raise RuntimeError("secret: /etc/weights is gone")

    def predict(self, row):
        raise NotImplementedError


class RaisesAtPredict(MLModel):
    qualified_name = "raises-at-predict"

    def predict(self, row):
        raise KeyError("secret")


class ExitsAtPredict(MLModel):
    qualified_name = "exits-at-predict"

    def predict(self, row):
        raise SystemExit(3)


class BreaksItsSchema(MLModel):
    qualified_name = "breaks-its-schema"
    output_schema = {"type": "object", "properties": {"y": {"type": "number"}}}

    def predict(self, row):
        return {"y": float("nan") if row == {} else "high"}


class AnswersNan(MLModel):
    qualified_name = "answers-nan"
    output_schema = {"type": "array", "items": {"type": ["number", "null"]}}

    def predict(self, row):
        return np.array([1.5, np.nan, np.inf])


class AnswersAnObject(MLModel):
    qualified_name = "answers-an-object"

    def predict(self, row):
        return object()


class AnswersTooFew(MLModel):
    qualified_name = "answers-too-few"

    def predict(self, row):
        raise NotImplementedError

    def predict_rows(self, rows):
        return []


class WrongName(MLModel):
    qualified_name = "../etc/passwd"

    def predict(self, row):
        raise NotImplementedError


class WrongSchema(MLModel):
    qualified_name = "wrong-schema"
    input_schema = {"type": "nmber"}

    def predict(self, row):
        raise NotImplementedError


class RemoteSchema(MLModel):
    qualified_name = "remote-schema"
    input_schema = {"$ref": "https://example.org/schema.json"}

    def predict(self, row):
        raise NotImplementedError


class NoPredict(MLModel):
    qualified_name = "no-predict"


class NotAModel:
    pass


class TooLong(MLModel):
    """Has more text, members or examples than the limits allow."""

    qualified_name = "too-long"

    def __init__(self, name=0, members=0, examples=0):
        self.display_name = "x" * name
        self.input_schema = {"properties": {f"x{at}": {} for at in range(members)}}
        self.examples = [{}] * examples

    def predict(self, row):
        return {}

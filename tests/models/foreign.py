"""Models as they are written for other packages, without those packages."""


class Nothing:
    """Declares no schemas, as the mocks of such packages do."""

    display_name = "Nothing declared"
    qualified_name = "nothing-declared"
    description = None
    major_version = 1
    minor_version = 2
    input_schema = None
    output_schema = None

    def predict(self, data):
        return {"received": data}


class Nameless:
    """Has schemas and predict alone, as the first ml_model_abc wanted."""

    input_schema = {"type": "object", "required": ["x"], "properties": {"x": {"type": "number"}}}
    output_schema = None

    def predict(self, data):
        return data["x"] * 2


class Settled(Nothing):
    """Takes settings, as the models of ml_base may."""

    qualified_name = "settled"
    version = "3.1"

    def __init__(self, factor, offset=0):
        self.factor = factor
        self.offset = offset

    def predict(self, data):
        return self.factor * data + self.offset


class OddSchema(Nothing):
    input_schema = "a text"


class Estimator:
    """Can predict, and has nothing else of a model."""

    def predict(self, rows):
        raise NotImplementedError


class NotADecorator:
    pass

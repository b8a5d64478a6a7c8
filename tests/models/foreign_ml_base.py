"""A model and decorators of the real ``ml_base``."""

from ml_base import MLModel, MLModelDecorator
from pydantic import BaseModel, Field, create_model


class IrisInput(BaseModel):
    sepal_length: float = Field(gt=5.0, lt=8.0, description="In centimetres.")
    sepal_width: float = Field(gt=2.0, lt=6.0)


class IrisOutput(BaseModel):
    species: str


class IrisModel(MLModel):
    display_name = "Iris species"
    qualified_name = "iris_model"
    description = "A flower by its measures."
    version = "1.0.0"
    input_schema = IrisInput
    output_schema = IrisOutput

    def __init__(self):
        self.asked = 0

    def predict(self, data: IrisInput) -> IrisOutput:
        return IrisOutput(species="setosa" if data.sepal_length < 6 else "virginica")


class HalfDone(MLModel):
    display_name = "Half done"


class AddText(MLModelDecorator):
    """Is configured by keyword arguments, and changes the model's description."""

    @property
    def display_name(self):
        return self._model.display_name + self._configuration["text"]


class Signed(MLModelDecorator):
    """Accepts other arguments, but no model."""

    def __init__(self, signature: str) -> None:
        super().__init__(signature=signature)

    @property
    def output_schema(self):
        fields = {"signature": (str, ...), "__base__": self._model.output_schema}
        return create_model("Signed", **fields)

    def predict(self, data):
        answer = self._model.predict(data=data).model_dump()
        return self.output_schema(signature=self._configuration["signature"], **answer)


class Renamed(MLModelDecorator):
    """Requires the model in its constructor."""

    def __init__(self, model: MLModel, name: str) -> None:
        super().__init__(model, name=name)

    @property
    def qualified_name(self):
        return self._configuration["name"]

"""marshmallow schemas of the bodies of the Open Inference Protocol, version 2."""

from __future__ import annotations

from marshmallow import fields

from app.serving.tensors import datatypes
from app.web.api.schemas import Body, doc, text

DATATYPES = list(datatypes.NAMES)


class InferenceServer(Body):
    """The server and the extensions that it supports."""

    name = text("Always `modelhost`.")
    version = text("The version of Modelhost.")
    extensions = fields.List(fields.String())


class InferenceHealth(Body):
    """Whether the server is alive and ready."""

    live = fields.Boolean()
    ready = fields.Boolean()


class InferenceReadiness(Body):
    """Whether a model is available."""

    name = text("The model's name.")
    ready = fields.Boolean()


class TensorMetadata(Body):
    """An input or an output of a model."""

    name = text("The name of the tensor.", example="input-0")
    datatype = text("The datatype of its elements.", enum=DATATYPES)
    shape = fields.List(fields.Integer(), **doc("The sizes of its axes; -1 if it may vary."))
    parameters = fields.Dict(keys=fields.String(), **doc("`content_type` and `labels`."))


class InferenceModel(Body):
    """A model with its inputs and outputs."""

    name = text("The model's name.")
    versions = fields.List(fields.String(), **doc("The versions of the model."))
    platform = text("The framework of the model.", example="scikit-learn 1.9.1")
    inputs = fields.List(fields.Nested(TensorMetadata))
    outputs = fields.List(fields.Nested(TensorMetadata))


class InferenceTensor(Body):
    """A tensor with its data, in JSON or in the bytes after it."""

    name = fields.String(required=True, **doc("The name of the tensor."))
    shape = fields.List(
        fields.Integer(**doc("The size of an axis.", minimum=0)),
        required=True,
        **doc("The sizes of its axes, the number of rows first.", minItems=1),
    )
    datatype = fields.String(required=True, **doc("The datatype of its elements.", enum=DATATYPES))
    parameters = fields.Dict(
        keys=fields.String(), **doc("`content_type`, `binary_data_size` and, in outputs, `labels`.")
    )
    data = fields.List(
        fields.Raw(allow_none=True), **doc("The values, flat in row-major order or nested.")
    )


class RequestedOutput(Body):
    """An output that a request names."""

    name = fields.String(required=True, **doc("The name of the output."))
    parameters = fields.Dict(keys=fields.String(), **doc("`binary_data`."))


class InferenceRequestBody(Body):
    """The rows to predict, as tensors."""

    id = text("An identifier that the response repeats.")
    parameters = fields.Dict(keys=fields.String(), **doc("`content_type`, `binary_data_output`."))
    inputs = fields.List(
        fields.Nested(InferenceTensor), required=True, **doc("The tensors.", minItems=1)
    )
    outputs = fields.List(fields.Nested(RequestedOutput))


class InferenceResponseBody(Body):
    """The predictions, as tensors."""

    model_name = text("The model's name.")
    model_version = text("The version that predicted; absent if the model has none.")
    id = text("The identifier of the request.")
    outputs = fields.List(fields.Nested(InferenceTensor))


class RepositoryFilter(Body):
    """Which models the index lists."""

    ready = fields.Boolean(**doc("Whether to list only models that are available."))


class RepositoryModel(Body):
    """A version of a model in the index."""

    name = text("The model's name.")
    version = text("The version; absent if the model has none.")
    state = text("Whether it is available.", enum=["READY", "LOADING", "UNAVAILABLE"])
    reason = text("Why it is not; empty if it is.")


class InferenceError(Body):
    """An error."""

    error = text("What was expected and what was received.")

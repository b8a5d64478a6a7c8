import numpy as np
import pytest

from mlmodel.errors import InvalidInput, InvalidModel
from mlmodel.frameworks.tensors import Fields, Tensor, prediction_schema
from mlmodel.schema.validator import Schema


def sums(arrays):
    return [float(row.sum()) for row in arrays[0]]


def test_small_integers_have_type_limits():
    schema = Schema(Fields([Tensor("kind", "uint8", (1,))]).schema())

    assert schema.violations({"kind": 255}) == []
    assert [each.pointer for each in schema.violations({"kind": 256})] == ["/kind"]


def test_too_large_integer_is_invalid_input():
    ask = Fields([Tensor("token", "int64", (1,))]).predictor(sums)

    with pytest.raises(InvalidInput, match="a number is too large for int64"):
        ask([{"token": 2**63}])


def test_long_vector_is_one_field():
    assert len(Fields([Tensor("x", "float32", (100,))]).names) == 100
    assert Fields([Tensor("x", "float32", (101,))]).names == ("x",)


def test_missing_number_becomes_nan():
    def missing(arrays):
        return np.isnan(arrays[0]).tolist()

    ask = Fields([Tensor("x", "float32", (2,))]).predictor(missing)

    assert ask([{"x0": None, "x1": 1}]) == [[True, False]]


def test_fixed_batch_is_padded():
    sizes = []

    def sized(arrays):
        sizes.append(len(arrays[0]))
        return sums(arrays)

    answers = Fields([Tensor("x", "float32", (1,), rows=4)]).predictor(sized)(
        [{"x": at} for at in range(6)]
    )

    assert answers == [0, 1, 2, 3, 4, 5]
    assert sizes == [4, 4]


def test_large_rows_are_not_examples():
    picture = Fields([Tensor("picture", "uint8", (40, 40))])

    assert picture.schemas(None, np.zeros((5, 40, 40), "uint8")).examples == ()
    assert len(Fields([Tensor("x", "uint8", (2,))]).schemas(None, np.zeros((5, 2))).examples) == 3


def test_model_without_inputs_is_rejected():
    with pytest.raises(InvalidModel, match="the model has no input tensors"):
        Fields([])


@pytest.mark.parametrize("value", [1.5, [1.5, 2.5]])
def test_variable_vector_accepts_single_value(value):
    schema = Schema(prediction_schema({"y": Tensor("y", "float32", (None,))}))

    assert schema.violations({"prediction": value}) == []
    assert schema.violations({"prediction": "text"}) != []

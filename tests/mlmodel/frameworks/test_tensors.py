import numpy as np
import pytest

from mlmodel.errors import InvalidInput, InvalidModel
from mlmodel.frameworks.tensors import Fields, Tensor, prediction_schema
from mlmodel.schema.validator import Schema


def sums(arrays):
    return [float(row.sum()) for row in arrays[0]]


def test_small_integers_have_the_limits_of_their_type():
    schema = Schema(Fields([Tensor("kind", "uint8", (1,))]).schema())

    assert schema.violations({"kind": 255}) == []
    assert [each.pointer for each in schema.violations({"kind": 256})] == ["/kind"]


def test_a_number_that_its_tensor_cannot_hold_is_the_caller_s():
    ask = Fields([Tensor("token", "int64", (1,))]).predictor(sums)

    with pytest.raises(InvalidInput, match="a number is too large for int64"):
        ask([{"token": 2**63}])


def test_a_vector_of_more_than_a_hundred_numbers_is_one_field():
    assert len(Fields([Tensor("x", "float32", (100,))]).names) == 100
    assert Fields([Tensor("x", "float32", (101,))]).names == ("x",)


def test_a_missing_number_is_not_a_number():
    def missing(arrays):
        return np.isnan(arrays[0]).tolist()

    ask = Fields([Tensor("x", "float32", (2,))]).predictor(missing)

    assert ask([{"x0": None, "x1": 1}]) == [[True, False]]


def test_a_fixed_number_of_rows_is_filled_up():
    sizes = []

    def sized(arrays):
        sizes.append(len(arrays[0]))
        return sums(arrays)

    answers = Fields([Tensor("x", "float32", (1,), rows=4)]).predictor(sized)(
        [{"x": at} for at in range(6)]
    )

    assert answers == [0, 1, 2, 3, 4, 5]
    assert sizes == [4, 4]


def test_large_rows_of_a_sample_are_no_examples():
    picture = Fields([Tensor("picture", "uint8", (40, 40))])

    assert picture.schemas(None, np.zeros((5, 40, 40), "uint8")).examples == ()
    assert len(Fields([Tensor("x", "uint8", (2,))]).schemas(None, np.zeros((5, 2))).examples) == 3


def test_a_model_without_inputs_is_refused():
    with pytest.raises(InvalidModel, match="the model has no input tensors"):
        Fields([])


@pytest.mark.parametrize("value", [1.5, [1.5, 2.5]])
def test_a_vector_of_any_length_may_be_answered_by_one_value(value):
    schema = Schema(prediction_schema({"y": Tensor("y", "float32", (None,))}))

    assert schema.violations({"prediction": value}) == []
    assert schema.violations({"prediction": "text"}) != []

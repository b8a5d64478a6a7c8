import pytest

from mlmodel.errors import InvalidInput, InvalidModel
from mlmodel.model import MLModel, checked_name, display_name
from tests.models.simple import Doubler, Ordered


def test_ten_lines_are_a_model():
    model = Doubler()

    assert model.predict({"x": 2.0}) == {"y": 4.0}
    assert model.predict_rows([{"x": 1.0}, {"x": 2.0}]) == [{"y": 2.0}, {"y": 4.0}]


def test_a_model_must_predict():
    class Nothing(MLModel):
        qualified_name = "nothing"

    with pytest.raises(TypeError, match="predict"):
        Nothing()


def test_an_error_of_one_row_names_its_place_among_many():
    with pytest.raises(InvalidInput) as caught:
        Ordered().predict_rows([{"start": 1, "end": 2}, {"start": 2, "end": 1}])

    [violation] = caught.value.violations
    assert (violation.row, violation.pointer) == (1, "/end")


@pytest.mark.parametrize("name", ["iris", "a", "Loan_2.1-b", "x" * 100])
def test_a_name_goes_into_an_address(name):
    assert checked_name(name) == name


@pytest.mark.parametrize("name", ["", "../x", ".", "a/b", "a b", "é", "x" * 101, "a\n", None, 3])
def test_a_name_that_does_not_is_refused(name):
    with pytest.raises(InvalidModel, match="1 to 100 letters, digits"):
        checked_name(name)


def test_a_display_name_is_made_from_the_qualified_name():
    model = Doubler()
    model.qualified_name = "loan_default-v2"

    assert display_name(model) == "Loan default v2"

import pytest

from mlmodel.errors import InvalidInput, InvalidModel
from mlmodel.model import MLModel, display_name, validate_name
from tests.models.simple import Doubler, Ordered


def test_minimal_model_predicts():
    model = Doubler()

    assert model.predict({"x": 2.0}) == {"y": 4.0}
    assert model.predict_rows([{"x": 1.0}, {"x": 2.0}]) == [{"y": 2.0}, {"y": 4.0}]


def test_model_must_define_predict():
    class Nothing(MLModel):
        qualified_name = "nothing"

    with pytest.raises(TypeError, match="predict"):
        Nothing()


def test_instance_may_set_metadata():
    model = Doubler()
    model.metadata = {"params": {"depth": 3}}

    assert model.metadata["params"] == {"depth": 3}
    assert Doubler().metadata == {}


def test_violation_has_its_row_index():
    with pytest.raises(InvalidInput) as caught:
        Ordered().predict_rows([{"start": 1, "end": 2}, {"start": 2, "end": 1}])

    [violation] = caught.value.violations
    assert (violation.row, violation.pointer) == (1, "/end")


@pytest.mark.parametrize("name", ["iris", "a", "Loan_2.1-b", "x" * 100])
def test_valid_name_is_accepted(name):
    assert validate_name(name) == name


@pytest.mark.parametrize("name", ["", "../x", ".", "a/b", "a b", "é", "x" * 101, "a\n", None, 3])
def test_invalid_name_is_rejected(name):
    with pytest.raises(InvalidModel, match="1 to 100 letters, digits"):
        validate_name(name)


def test_display_name_derives_from_qualified_name():
    model = Doubler()
    model.qualified_name = "loan_default-v2"

    assert display_name(model) == "Loan default v2"

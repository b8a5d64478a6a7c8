"""Models and decorators of the real ``ml_base``."""

import pytest

pytest.importorskip("ml_base", reason="ml-base is not installed")

IRIS = "tests.models.foreign_ml_base.IrisModel"
FLOWER = {"sepal_length": 7, "sepal_width": 3}


@pytest.fixture
def hosted(make_app):
    """A function from the decorators of an entry to a client of the model in them."""

    def hosted(decorators="[]", model=IRIS):
        return make_app(f"models: [{{class: {model}, decorators: {decorators}}}]").test_client()

    return hosted


@pytest.fixture
def reason(hosted):
    def reason(decorators="[]", model=IRIS):
        [said] = hosted(decorators, model).get("/api/models").json["models"]
        return said["reason"]

    return reason


def test_ml_base_model_is_hosted(hosted):
    response = hosted().post("/api/models/iris_model/predict", json=FLOWER)

    assert response.json == {"species": "virginica"}


def test_ml_base_schemas_are_validated(hosted):
    response = hosted().post("/api/models/iris_model/predict", json={"sepal_length": 9})

    assert [each["pointer"] for each in response.json["errors"]] == [
        "/sepal_length",
        "/sepal_width",
    ]


def test_decorators_apply_in_order(hosted):
    text = "tests.models.foreign_ml_base.AddText"
    client = hosted(
        f"[{{class: {text}, settings: {{text: ' one'}}}}, {{class: {text}, settings: {{text: ' two'}}}}]"
    )

    said = client.get("/api/models/iris_model/metadata").json

    assert said["display_name"] == "Iris species one two"


def test_decorator_changes_schemas_and_predictions(hosted):
    client = hosted("[{class: tests.models.foreign_ml_base.Signed, settings: {signature: me}}]")

    said = client.get("/api/models/iris_model/metadata").json
    answer = client.post("/api/models/iris_model/predict", json=FLOWER).json

    assert answer == {"species": "virginica", "signature": "me"}
    assert said["output_schema"]["required"] == ["species", "signature"]


def test_decorator_may_require_the_model(hosted):
    client = hosted("[{class: tests.models.foreign_ml_base.Renamed, settings: {name: other}}]")

    assert client.post("/api/models/other/predict", json=FLOWER).status_code == 200


def test_decorator_needs_no_settings(hosted):
    client = hosted("[ml_base.MLModelDecorator]")

    assert client.post("/api/models/iris_model/predict", json=FLOWER).status_code == 200


@pytest.mark.parametrize(
    ("decorators", "message"),
    [
        ("[tests.models.foreign.Nobody]", "module 'tests.models.foreign' has no class 'Nobody'"),
        ("[nowhere.Nobody]", "the module 'nowhere' is not installed"),
        (
            "[tests.models.foreign.NotADecorator]",
            "'NotADecorator' must be a class derived from MLModelDecorator of ml_base",
        ),
        (
            "[tests.models.foreign_ml_base.Signed]",
            "'Signed' does not accept its settings: missing a required argument: 'signature'",
        ),
    ],
)
def test_invalid_decorator_fails_with_reason(reason, decorators, message):
    assert reason(decorators) == message


@pytest.mark.parametrize("model", ["tests.models.simple.Echo", "tests.models.foreign.Nothing"])
def test_other_class_cannot_be_decorated(reason, model):
    assert reason("[ml_base.MLModelDecorator]", model) == (
        f"'MLModelDecorator' cannot decorate {model.rpartition('.')[2]!r}: Only objects of type "
        "MLModel can be wrapped with MLModelDecorator instances."
    )


def test_abstract_class_is_rejected(reason):
    said = reason(model="tests.models.foreign_ml_base.HalfDone")

    assert said.startswith("the class 'HalfDone' must define __init__, description, input_schema")

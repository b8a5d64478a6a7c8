import pytest
from openapi_spec_validator import validate

from mlmodel.errors import InvalidInput, InvalidModel
from mlmodel.foreign.wrapper import adapt
from mlmodel.schema.validator import Schema
from tests.models import foreign, foreign_pydantic, foreign_schema

MODELS = """
models:
  - class: tests.models.foreign.Nothing
  - class: tests.models.foreign.Nameless
  - class: tests.models.foreign_schema.Iris
  - class: tests.models.foreign_schema.Shapes
  - class: tests.models.foreign_schema.Combined
  - class: tests.models.foreign_schema.BreaksItsAnswer
  - class: tests.models.foreign_pydantic.Insurance
  - class: tests.models.foreign_pydantic.Old
  - class: tests.models.foreign_pydantic.BreaksItsAnswer
    name: broken-insurance
  - class: tests.models.foreign_pydantic.Fails
    name: fails
"""
NAMES = [
    "nothing-declared",
    "Nameless",
    "iris_model",
    "shapes",
    "combined",
    "breaks-its-answer",
    "insurance",
    "old",
    "broken-insurance",
    "fails",
]
FLOWER = {"sepal_length": 5, "sepal_width": 3.0, "petals": 4.0}
APPLICANT = {"age": 20, "sex": "male", "bmi": 20}


@pytest.fixture
def client(same_app):
    return same_app(MODELS).test_client()


@pytest.fixture
def ask(client):
    """A function that returns status and response for a model's name and a row."""

    def ask(name, row):
        response = client.post(f"/api/models/{name}/predict", json=row)
        return response.status_code, response.json

    return ask


@pytest.fixture
def refusal_by():
    """A function that returns the error with which a model rejects a row."""

    def refusal_by(model, row):
        with pytest.raises(InvalidInput) as caught:
            adapt(model).predict(row)
        return caught.value

    return refusal_by


def places(answer):
    status, problem = answer
    assert status == 422
    return {each["pointer"]: each["detail"] for each in problem["errors"]}


@pytest.mark.parametrize("name", NAMES)
def test_foreign_model_has_metadata_and_page(client, name):
    metadata = client.get(f"/api/models/{name}/metadata").json
    page = client.get(f"/models/{name}/predict")

    assert (metadata["qualified_name"], metadata["status"]) == (name, "ready")
    assert (page.status_code, page.mimetype) == (200, "text/html")


def test_foreign_models_have_valid_openapi(client):
    document = client.get("/openapi.json").json

    validate(document)
    assert set(document["components"]["schemas"]) >= {"insurance.Row.Sex", "old.Answer.OldRegion"}


@pytest.mark.parametrize("name", ["Nameless", "iris_model", "insurance", "old"])
def test_foreign_example_is_predicted(client, ask, name):
    [example, *_] = client.get(f"/api/models/{name}/metadata").json["examples"]

    assert ask(name, example)[0] == 200


def test_names_come_from_the_class(client):
    said = client.get("/api/models/iris_model/metadata").json

    assert (said["display_name"], said["version"]) == ("Iris species", "0.1")
    assert said["description"] == "A flower by its measures."


def test_missing_name_is_the_class_name():
    model = adapt(foreign.Nameless())

    assert (model.qualified_name, model.display_name, model.version) == ("Nameless", "", "")


def test_missing_schemas_accept_any_json(ask):
    assert ask("nothing-declared", {"a": [1, None]}) == (200, {"received": {"a": [1, None]}})


def test_native_model_is_not_wrapped():
    ours = adapt(foreign.Nameless())

    assert adapt(ours) is ours


def test_integers_become_declared_floats(ask):
    assert ask("iris_model", FLOWER) == (200, {"species": "virginica"})


def test_nested_numbers_are_converted(ask):
    row = {"parts": [{"size": 3}], "weights": {"a": 1}, "anything": 5, "note": None}

    status, answer = ask("shapes", row)

    assert (status, answer) == (200, {"colour": "red", "made": "2026-01-31", "sizes": [3]})


@pytest.mark.parametrize(
    "change",
    [{}, {"count": None}, {"whole": None}, {"items": [1, 2.5]}, {"name": "green"}],
    ids=str,
)
def test_valid_rows_of_schema_package_pass(ask, change):
    row = {"count": 3, "name": "RED", "code": "5", "whole": 1, "items": {"size": "any"}}

    assert ask("combined", row | change) == (200, "yes")


@pytest.mark.parametrize("change", [{"code": 5}, {"whole": "1"}, {"items": 3}], ids=str)
def test_json_schema_of_schema_package_rejects(ask, change):
    row = {"count": 3, "name": "RED", "code": "5", "whole": 1, "items": {"size": "any"}}

    assert set(places(ask("combined", row | change))) == {f"/{key}" for key in change}


def test_violations_of_schema_package_have_pointers(ask):
    row = {"sepal_length": "5", "sepal_width": 3.0, "extra": 1}

    assert set(places(ask("iris_model", row))) == {"/sepal_length", "/petals", "/extra"}


def test_own_rules_of_schema_package_apply(ask):
    found = places(ask("iris_model", FLOWER | {"sepal_length": 101}))

    assert found == {"/sepal_length": "must be below 100"}


def test_rejection_keeps_the_model_message(refusal_by):
    refusal = refusal_by(foreign_schema.Iris(), FLOWER | {"sepal_length": 101.0, "petals": 4})

    assert str(refusal) == "Failed to validate input data: must be below 100"


def test_unknown_location_is_the_row(ask):
    row = {"parts": [{"size": 3}, {"size": -1}], "weights": {"a": 1}}

    [(pointer, detail)] = places(ask("shapes", row)).items()

    assert pointer == ""
    assert "should evaluate to True" in detail


def test_invalid_own_prediction_is_a_failure(ask):
    row = {"sepal_length": 5, "sepal_width": 3, "petals": 4}

    assert ask("breaks-its-answer", row)[0] == 500
    assert ask("broken-insurance", APPLICANT)[0] == 500


def test_other_errors_are_failures(ask):
    status, problem = ask("fails", APPLICANT)

    assert (status, problem["type"]) == (500, "/docs/problems#model-failed")
    assert "secret" not in problem["detail"]


def test_pydantic_objects_are_converted(ask):
    status, answer = ask("insurance", APPLICANT | {"born": "2001-01-01T00:00:00"})

    assert (status, answer) == (
        200,
        {
            "charges": "400.0",
            "for_sex": "male",
            "computed": "2026-01-31T14:30:00",
            "number": "00000000-0000-0000-0000-000000000014",
            "remark": None,
        },
    )


def test_pydantic_1_objects_are_converted(ask):
    row = {"region": 1, "age": None, "place": {"lat": 1, "lon": None}, "span": [3, 4]}

    status, answer = ask("old", row)

    assert (status, answer) == (
        200,
        {
            "region": 1,
            "when": "2021-05-01T00:00:00",
            "cost": 1.5,
            "note": None,
            "place": {"lat": 1.0, "lon": None},
        },
    )


def test_pydantic_violations_have_pointers(ask):
    found = places(ask("insurance", {"age": 17, "sex": "both", "bmi": 20}))

    assert set(found) == {"/age", "/sex"}


def test_own_pydantic_validators_apply(ask):
    row = APPLICANT | {"bmi": 101, "born": "yesterday", "address": {"city": "Porto"}}

    found = places(ask("insurance", row))

    assert found["/bmi"] == "must be that of a human"
    assert set(found) == {"/bmi", "/born"}


def test_model_validator_points_to_row(ask):
    row = APPLICANT | {"born": "2001-01-01T00:00:00Z"}
    row["address"] = {"city": "Porto", "since": "1999-01-01"}

    assert places(ask("insurance", row)) == {"": "must live there after birth"}
    assert places(ask("old", {"age": 19, "region": 2})) == {"": "must be older in the south"}


def test_error_in_union_has_pointer(refusal_by):
    row = {"age": 20, "sex": "male", "bmi": 20.0, "pet": {"kind": "cat"}}

    refusal = refusal_by(foreign_pydantic.Insurance(), row)

    assert [each.pointer for each in refusal.violations] == ["/pet/lives"]
    assert str(refusal) == "/pet/lives: Field required"


def test_violation_has_its_row_index(client):
    rows = [APPLICANT, APPLICANT | {"bmi": 101}]

    problem = client.post("/api/models/insurance/predict", json=rows).json

    assert [each["pointer"] for each in problem["errors"]] == ["/1/bmi"]


@pytest.mark.parametrize(
    "model_class",
    [foreign_pydantic.Insurance, foreign_pydantic.FromDict, foreign_pydantic.FromMapping],
)
def test_annotation_decides_the_argument(model_class):
    answer = adapt(model_class()).predict({"age": 20, "sex": "male", "bmi": 20.0})

    assert str(answer.charges) == "400.0"


def test_unannotated_argument_is_dict_and_object():
    row = {"age": 20, "sex": "male", "bmi": 20.0}

    answer = adapt(foreign_pydantic.Unsaid()).predict(row)

    assert (answer["charges"], answer["sex"]) == ("400.0", "male")
    assert (answer["all"].items() >= row.items(), answer["all"]["born"]) == (True, None)


def test_unannotated_pydantic_1_is_both():
    answer = adapt(foreign_pydantic.OldUnsaid()).predict({"region": 2, "age": 30})

    members = len(foreign_pydantic.OldRow.__fields__)
    assert (answer.region, answer.cost) == (foreign_pydantic.OldRegion.SOUTH, members)


def test_rejection_uses_pointers_of_its_cause(refusal_by):
    refusal = refusal_by(foreign_pydantic.Refuses(), {"address": {"since": "2026-01-31"}})

    assert str(refusal) == "Wrong input: ValidationError"
    assert len(refusal.violations) == 1


def test_rejection_without_message_has_default(refusal_by):
    refusal = refusal_by(foreign_pydantic.Refuses(), {"address": {"city": "Porto"}})

    assert str(refusal) == "the model rejected the row"


def test_undeclared_pydantic_error_rejects_row(refusal_by):
    by_pydantic = refusal_by(foreign_pydantic.Reads(), {"city": 5})
    by_schema = refusal_by(foreign_schema.Judges(), {"x": "5"})

    assert [each.pointer for each in by_pydantic.violations] == ["/city"]
    assert [each.pointer for each in by_schema.violations] == ["/x"]


def test_pydantic_times_need_no_zone():
    schema = Schema(adapt(foreign_pydantic.Old()).input_schema)

    assert schema.violations({"region": 1, "seen": "2026-01-31T14:30:00"}) == []


def test_nullable_pydantic_1_fields_accept_null():
    schema = Schema(adapt(foreign_pydantic.Old()).input_schema)

    assert schema.violations({"region": 1, "age": None, "place": None, "extra": None}) == []
    assert schema.violations({"region": None}) != []


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            foreign.Estimator(),
            "expected 'Estimator' to have one of these attributes: qualified_name, display_name",
        ),
        (foreign.OddSchema(), "a class of pydantic, .* got 'a text'"),
    ],
)
def test_invalid_foreign_class_is_rejected(model, message):
    with pytest.raises(InvalidModel, match=message):
        adapt(model)

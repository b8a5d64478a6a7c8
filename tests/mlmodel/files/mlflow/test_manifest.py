import json

import pytest

from mlmodel.errors import BadMetadata, UnsupportedFramework
from mlmodel.files.mlflow import manifest

SKLEARN = "flavors: {sklearn: {pickled_model: model.pkl, sklearn_version: 1.2.3}}\n"


def decode(text):
    return manifest.decode(text.encode())


@pytest.mark.parametrize(
    ("flavors", "file"),
    [
        ("sklearn: {pickled_model: model.skops}", "model.skops"),
        ("xgboost: {data: model.ubj}", "model.ubj"),
        ("lightgbm: {data: model.lgb}", "model.lgb"),
        ("catboost: {data: model.cb}", "model.cb"),
        ("onnx: {data: model.onnx}", "model.onnx"),
        ("keras: {data: data}", "data/model.keras"),
        ("tensorflow: {data: data/}", "data/model.keras"),
        ("python_function: {data: x}, sklearn: {pickled_model: own}", "own"),
        ("python_function: {loader_module: own}, prophet: {data: x}", "MLmodel"),
    ],
)
def test_flavor_names_its_file(flavors, file):
    assert decode(f"flavors: {{{flavors}}}").model_file == file


def test_facts_are_the_shown_members():
    found = decode(f"{SKLEARN}run_id: abc\nmetadata: {{team: risk}}\nmodel_size_bytes: 5\n")

    assert found.facts == {"flavor": "sklearn", "run_id": "abc", "metadata": {"team": "risk"}}
    assert found.versions == {"sklearn": "1.2.3"}


def test_signature_is_read_from_its_text():
    column = {"name": "age", "type": "long"}
    text = json.dumps({"inputs": json.dumps([column])})

    assert decode(f"{SKLEARN}signature: {text}").inputs == [column]
    assert decode(SKLEARN).inputs is None


def test_unknown_flavor_is_rejected():
    with pytest.raises(UnsupportedFramework, match=r"the flavors other; .* python_function$"):
        decode("flavors: {other: {data: x}}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be an object, got None"),
        ("[1, 2]", "must be an object"),
        ("a: [", "is not valid YAML"),
        ("a: 1\na: 2", "is not valid YAML"),
        ("!!python/object/apply:os.system [ls]", "is not valid YAML"),
        ("&a [*a]", "is not valid YAML"),
        ("[" * 5000, "is not valid YAML"),
        ("flavors: 1", "flavors of MLmodel must be an object, got 1"),
        ("flavors: {sklearn: 1}", "sklearn of MLmodel must be an object"),
        ("flavors: {sklearn: {pickled_model: [a]}}", "must be a string"),
        ("flavors: {sklearn: {}}", r"must name the model's file in flavors.sklearn.pickled_model"),
        ("time: 1", "must have a member 'flavors'"),
        (f"{SKLEARN}signature: {{inputs: '['}}", "must be JSON"),
        (f"{SKLEARN}signature: {{inputs: '[1]'}}", "must be a list of objects"),
        (f"{SKLEARN}signature: text", "signature of MLmodel must be an object"),
        (f"{SKLEARN}saved_input_example_info: {{artifact_path: 1}}", "must be a string"),
        ("# " + "x" * 1_000_000, "at most 1,000,000 bytes"),
    ],
)
def test_wrong_file_is_rejected(text, message):
    with pytest.raises(BadMetadata, match=message):
        decode(text)


def test_aliases_are_counted_as_their_values():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for at in range(9):
        lines.append(f"a{at + 1}: &a{at + 1} [{', '.join([f'*a{at}'] * 10)}]")

    with pytest.raises(BadMetadata, match="more than 100,000 values"):
        decode("\n".join(lines))

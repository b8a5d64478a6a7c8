from concurrent.futures import ThreadPoolExecutor

import pytest

from mlmodel.errors import BrokenModel, InvalidModel
from mlmodel.schema.validator import Schema
from tests import DATA

onnx = pytest.importorskip("mlmodel.frameworks.onnx")

FOLDER = DATA / "onnx"

NUMBER = {"type": "number"}
IRIS = {"x0": 5.1, "x1": 3.5, "x2": 1.4, "x3": 0.2}


def session(name):
    return onnx.loads((FOLDER / name).read_bytes())


def predict(name, rows, columns=()):
    return onnx.predictor(session(name), {name: {} for name in columns})(rows)


def fields(name):
    return onnx.schemas(session(name)).input["properties"]


def test_vector_has_field_per_number():
    schema = onnx.schemas(session("iris.onnx")).input

    assert schema["properties"] == dict.fromkeys(IRIS, NUMBER)
    assert schema["required"] == list(IRIS)


def test_scalar_inputs_are_separate_fields():
    assert fields("credit.onnx") == {"age": NUMBER, "city": {"type": "string"}}


def test_graph_metadata_names_fields():
    row = {"length": 5.1, "width": 3.5, "height": 1.4, "depth": 0.2}

    assert fields("lengths.onnx") == dict.fromkeys(row, NUMBER)
    assert predict("lengths.onnx", [row]) == [{"prediction": pytest.approx(-0.08254939)}]


def test_array_schema_has_axis_lengths():
    schema = fields("pixels.onnx")["pixels"]

    assert schema["description"] == "float32, 2 x 2"
    assert Schema(schema).violations([[1, 2], [3, 4]]) == []
    assert Schema(schema).violations([[1, 2, 3], [4, 5, 6]]) != []


def test_classifier_returns_label_and_probabilities():
    [answer] = predict("iris.onnx", [IRIS])

    assert answer["prediction"] == "setosa"
    assert answer["probabilities"]["setosa"] == pytest.approx(0.98165685)
    assert list(answer["probabilities"]) == ["setosa", "versicolor", "virginica"]


def test_probabilities_without_labels_are_a_list():
    [answer] = predict("iris-list.onnx", [IRIS])

    assert answer["prediction"] == "setosa"
    assert answer["probabilities"] == pytest.approx([0.98165685, 0.01834315, 1.44e-08], abs=1e-6)


def test_classifier_schema_lists_classes():
    properties = onnx.schemas(session("credit.onnx")).output["properties"]

    assert properties["prediction"] == {"enum": ["no", "yes"]}
    assert properties["probabilities"]["required"] == ["no", "yes"]


@pytest.mark.parametrize("name", ["iris.onnx", "iris-list.onnx", "lengths.onnx"])
def test_prediction_matches_schema(name):
    schemas = onnx.schemas(session(name))
    row = dict(zip(schemas.input["properties"], IRIS.values(), strict=True))

    assert Schema(schemas.output).violations(predict(name, [row])[0]) == []


def test_single_row_graph_runs_per_row():
    rows = [{"pixels": [[1, 2], [3, 4]]}, {"pixels": [[0, 0], [0, 2]]}]

    assert predict("pixels.onnx", rows) == [
        {"prediction": {"mean": 2.5, "square": [[1, 4], [9, 16]]}},
        {"prediction": {"mean": 0.5, "square": [[0, 0], [0, 4]]}},
    ]


def test_rows_of_different_lengths_run_separately():
    rows = [{"tokens": [1, 2, 3]}, {"tokens": [4]}, {"tokens": []}]

    assert predict("tokens.onnx", rows) == [{"prediction": 6}, {"prediction": 4}, {"prediction": 0}]


def test_given_schema_names_columns_in_order():
    row = {"d": 0.2, "c": 1.4, "b": 3.5, "a": 5.1}

    assert predict("iris.onnx", [row], columns="abcd") == predict("iris.onnx", [IRIS])


def test_schema_with_extra_columns_is_rejected():
    with pytest.raises(InvalidModel, match="expected 4 fields, got 3"):
        predict("iris.onnx", [], columns="abc")


def test_no_rows_give_no_predictions():
    assert predict("iris.onnx", []) == predict("pixels.onnx", []) == []


def test_sample_gives_names_and_examples():
    pandas = pytest.importorskip("pandas")
    sample = pandas.DataFrame([[5.0, 3.0, 1.0, 0.5]], columns=["a", "b", "c", "d"])

    found = onnx.schemas(session("iris.onnx"), sample)

    assert list(found.input["properties"]) == ["a", "b", "c", "d"]
    assert found.examples == ({"a": 5.0, "b": 3.0, "c": 1.0, "d": 0.5},)


def test_sample_of_other_width_is_rejected():
    with pytest.raises(InvalidModel, match=r"expected sample rows of the shape \(4,\)"):
        onnx.schemas(session("iris.onnx"), [[1, 2, 3]])


def test_threads_share_a_session():
    ask = onnx.predictor(session("iris.onnx"), {})

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, [[IRIS]] * 40))

    assert answers == [ask([IRIS])] * 40


@pytest.mark.parametrize("content", [b"no graph", b"\x3a\x05", b"\x08", b"\x00\x00\x00\x00ORTM"])
def test_invalid_graph_is_rejected(content):
    with pytest.raises(BrokenModel, match="it is not an ONNX graph, or it is damaged"):
        onnx.loads(content)


def test_uncomputable_graph_is_rejected():
    with pytest.raises(BrokenModel, match=r"ONNX Runtime [\d.]+ cannot build the model"):
        onnx.loads(b"\x08\x08")


def test_a_session_cannot_be_written():
    with pytest.raises(InvalidModel, match="written from a ModelProto, got InferenceSession"):
        onnx.dumps(session("iris.onnx"))


def test_graph_survives_round_trip():
    proto = pytest.importorskip("onnx").load(FOLDER / "iris.onnx")

    again = onnx.loads(onnx.dumps(proto))

    assert onnx.predictor(again, {})([IRIS]) == predict("iris.onnx", [IRIS])
    assert onnx.describe(proto)["producer"] == "skl2onnx 1.20.0"

import io
import os
import subprocess
import sys
import tarfile
import zipfile
from importlib.util import find_spec

import numpy as np
import pytest

from mlmodel import dump, load
from mlmodel.errors import BadArtifact, BrokenModel, InvalidModel, TooLarge
from mlmodel.schema.validator import Schema
from tests import ROOT
from tests.flm_files import BY_NAME, FOLDER, rows_of

# Keras, with TensorFlow or PyTorch below it.
adapter = pytest.importorskip("mlmodel.frameworks.tensorflow")

# Keras with PyTorch uses a function that numpy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SAMPLE = BY_NAME["2.2.2-kerasxor-zstd-p2.flm"]
NUMBER = {"type": "number"}


@pytest.fixture
def keras():
    import keras

    keras.utils.set_random_seed(0)
    return keras


@pytest.fixture
def net(keras):
    return keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(2)])


@pytest.fixture
def mixed(keras):
    """A model of three inputs, one of them of whole numbers, and two outputs."""
    age, picture = keras.Input((1,), name="age"), keras.Input((2, 2), name="picture")
    kind = keras.Input((1,), name="kind", dtype="int8")
    flat = [
        keras.layers.Flatten()(keras.ops.cast(each, "float32")) for each in (age, picture, kind)
    ]
    joined = keras.layers.Concatenate()(flat)
    outputs = [
        keras.layers.Dense(1, name="risk")(joined),
        keras.layers.Dense(3, name="shares")(joined),
    ]
    return keras.Model({"age": age, "picture": picture, "kind": kind}, outputs)


def again(model):
    return adapter.loads(adapter.dumps(model))


def test_recorded_predictions_are_reproduced():
    answers = load(FOLDER / SAMPLE["file"]).predict_rows(rows_of(SAMPLE))

    expected = np.ravel(SAMPLE["expected"]["predict"])
    assert [answer["prediction"] for answer in answers] == pytest.approx(expected, rel=1e-4)


def test_recorded_schemas_are_reproduced():
    model = load(FOLDER / SAMPLE["file"])

    assert model.input_schema["properties"] == {"x0": NUMBER, "x1": NUMBER}
    assert model.output_schema["properties"] == {"prediction": NUMBER}


def test_model_survives_round_trip(net, tmp_path):
    dump(net, tmp_path / "net.flm", sample=[[1.0, 2.0, 3.0]])

    model = load(tmp_path / "net.flm")

    assert model.examples == [{"x0": 1.0, "x1": 2.0, "x2": 3.0}]
    expected = net.predict(np.array([[1.0, 2.0, 3.0]]), verbose=0)[0]
    assert model.predict(model.examples[0])["prediction"] == pytest.approx(expected, rel=1e-5)


def test_inputs_have_fields_of_their_types(mixed):
    fields = adapter.schemas(again(mixed)).input["properties"]

    assert fields["age"] == NUMBER
    assert fields["kind"] == {"type": "integer", "minimum": -128, "maximum": 127}
    assert fields["picture"]["description"] == "float32, 2 x 2"


def test_outputs_are_named_after_layers(mixed):
    model = again(mixed)
    row = {"age": 1, "picture": [[1, 2], [3, 4]], "kind": 5}

    [answer] = adapter.predictor(model, {})([row])

    assert list(answer["prediction"]) == ["risk", "shares"]
    assert Schema(adapter.schemas(model).output).violations(answer) == []


def test_batch_and_single_predictions_are_equal(net):
    rows = [{"x0": at, "x1": 1.0, "x2": -at} for at in range(3)]
    ask = adapter.predictor(net, {})

    alone = [ask([row])[0]["prediction"] for row in rows]

    assert np.allclose([answer["prediction"] for answer in ask(rows)], alone, rtol=1e-5)


def test_model_without_inputs_is_rejected(keras):
    net = keras.Sequential([keras.layers.Dense(1)])

    with pytest.raises(InvalidModel, match="Sequential declares no inputs; make it with"):
        adapter.schemas(net)


def test_the_description_has_the_layers(net):
    layers = adapter.describe(net)["config"]["layers"]

    assert [layer["class_name"] for layer in layers] == ["InputLayer", "Dense"]


def test_archive_with_python_code_is_rejected(keras):
    net = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x * 2)])

    with pytest.raises(
        BrokenModel, match=r"Keras [\d.]+ cannot build the model \(ValueError\): .*Lambda"
    ):
        again(net)


def test_an_old_saved_model_is_named():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("saved_model.pb"))

    with pytest.raises(BrokenModel, match=r"a SavedModel, as Flama wrote before 1.8"):
        adapter.loads(stream.getvalue())


def test_invalid_archive_is_rejected():
    with pytest.raises(BrokenModel, match=r"it is not a .keras archive \(BadZipFile\)"):
        adapter.loads(b"no archive")


def archive(name, content):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def test_archive_without_model_is_rejected():
    with pytest.raises(BrokenModel, match=r"Keras [\d.]+ cannot build the model"):
        adapter.loads(archive("metadata.json", "{}"))


@pytest.mark.parametrize("name", ["../../out", "/out", "a\\..\\..\\out"])
def test_archive_with_path_traversal_is_rejected(name):
    with pytest.raises(BadArtifact, match="is outside its folder"):
        adapter.loads(archive(name, "x"))


def test_archive_bomb_is_rejected():
    with pytest.raises(TooLarge, match="the limit of 67,108,864 bytes"):
        adapter.loads(archive("model.weights.h5", bytes(65 << 20)))


@pytest.mark.skipif(not find_spec("torch"), reason="needs PyTorch")
def test_pytorch_computes_where_tensorflow_is_missing():
    program = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "from mlmodel.frameworks import tensorflow\n"
        "import keras; print(keras.backend.backend())"
    )
    environ = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}

    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.strip() == "torch"


@pytest.mark.skipif(not find_spec("tensorflow"), reason="needs TensorFlow")
def test_texts_are_fields_of_text(keras):
    words = keras.layers.TextVectorization(output_sequence_length=3)
    words.adapt(["good", "bad"])
    text = keras.Input((1,), name="text", dtype="string")
    net = again(keras.Model(text, keras.layers.Dense(1)(keras.ops.cast(words(text), "float32"))))

    assert adapter.schemas(net).input["properties"] == {"text": {"type": "string"}}
    assert len(adapter.predictor(net, {})([{"text": "good"}, {"text": "so bad"}])) == 2

import io
import json

import numpy as np
import pytest

from mlmodel import dump, load
from mlmodel.errors import BrokenModel, InvalidModel, Untrusted
from mlmodel.schema.validator import Schema
from tests import ROOT
from tests.flm_files import BY_NAME, FOLDER, rows_of

torch = pytest.importorskip("torch")

adapter = pytest.importorskip("mlmodel.frameworks.torch")
nn = torch.nn

SAMPLE = BY_NAME["2.2.2-torchxor-zstd-p2.flm"]
NUMBER = {"type": "number"}

of_scripts = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


class Pair(nn.Module):
    """Takes two tensors, gives two by name."""

    def forward(self, age, pixels):
        return {"older": age + 1, "mean": pixels.mean((1, 2))}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.ReLU(), nn.Linear(4, 2))


@pytest.fixture
def pictures():
    return np.zeros((5, 1, 2, 2), dtype="float32")


def scripted(module):
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(module), stream)
    return stream.getvalue()


def exported(module, sample=None):
    return adapter.loads(adapter.dumps(module, sample), "all")


def fields(module, sample=None):
    return adapter.schemas(module, sample).input["properties"]


def test_recorded_predictions_are_reproduced():
    answers = load(FOLDER / SAMPLE["file"], trust="all").predict_rows(rows_of(SAMPLE))

    expected = np.ravel(SAMPLE["expected"]["predict"])
    assert [answer["prediction"] for answer in answers] == pytest.approx(expected, rel=1e-4)


def test_recorded_schemas_are_reproduced():
    model = load(FOLDER / SAMPLE["file"], trust="all")

    assert model.input_schema["properties"] == {"x0": NUMBER, "x1": NUMBER}
    assert model.output_schema["properties"] == {"prediction": NUMBER}


def test_module_survives_round_trip(net, tmp_path):
    dump(net, tmp_path / "net.flm")

    answer = load(tmp_path / "net.flm", trust="all").predict({"x0": 1.0, "x1": 2.0, "x2": 3.0})

    expected = net.eval()(torch.tensor([[1.0, 2.0, 3.0]]))[0].tolist()
    assert answer["prediction"] == pytest.approx(expected, rel=1e-5)


def test_program_accepts_any_batch_size(net):
    rows = [{"x0": 1.0, "x1": at, "x2": 3.0} for at in range(7)]
    ask = adapter.predictor(exported(net), {})

    assert [len(ask(rows[:count])) for count in (0, 1, 7)] == [0, 1, 7]


def test_dump_keeps_training_mode(net):
    adapter.dumps(net)

    assert net.training
    assert net[1].training


def test_equal_modules_write_equal_bytes(net):
    assert adapter.dumps(net) == adapter.dumps(net)


def test_file_contains_no_local_paths():
    content = adapter.dumps(
        Pair(), {"age": [[1.0], [2.0]], "pixels": np.zeros((2, 2, 2), "float32")}
    )

    assert str(ROOT / "tests").encode() not in content


def test_exported_program_is_unchanged(net):
    program = torch.export.export(net.eval(), (torch.zeros(1, 3),))

    model = adapter.loads(adapter.dumps(program), "all")

    assert adapter.schemas(model).input["required"] == ["x0", "x1", "x2"]


def test_single_row_program_runs_per_row(net):
    program = torch.export.export(net.eval(), (torch.zeros(1, 3),))
    rows = [{"x0": at, "x1": 0.0, "x2": 0.0} for at in range(3)]

    answers = adapter.predictor(program.module(), {})(rows)

    assert answers == [adapter.predictor(program.module(), {})([row])[0] for row in rows]


def test_loaded_model_can_be_dumped(net):
    row = {"x0": 1.0, "x1": 2.0, "x2": 3.0}
    once = exported(net)

    assert adapter.predictor(exported(once), {})([row]) == adapter.predictor(once, {})([row])


@of_scripts
def test_torchscript_is_loaded_in_evaluation_mode(net):
    row = {"x0": 1.0, "x1": 2.0, "x2": 3.0}
    model = adapter.loads(scripted(net), "all")

    assert list(fields(model)) == list(row)
    [answer] = adapter.predictor(model, fields(model))([row])
    [expected] = adapter.predictor(exported(net), {})([row])
    assert answer["prediction"] == pytest.approx(expected["prediction"], rel=1e-5)


@of_scripts
def test_torchscript_is_written_as_it_is(net):
    model = adapter.loads(adapter.dumps(torch.jit.script(net)), "all")

    assert adapter.describe(model)["parameters"]["0.weight"] == "float32[4, 3]"


@of_scripts
def test_given_schema_shapes_torchscript_input():
    model = adapter.loads(scripted(nn.Flatten()), "all")

    assert fields(model) == {"input": {"type": "array", "description": "float32, unknown shape"}}
    ask = adapter.predictor(model, {"pixels": {"type": "array"}})
    assert ask([{"pixels": [[1, 2], [3, 4]]}]) == [{"prediction": [1, 2, 3, 4]}]


@pytest.mark.parametrize(
    ("layer", "schema"),
    [
        (nn.Linear(1, 2), NUMBER),
        (nn.Linear(200, 2), {"type": "array", "items": NUMBER, "minItems": 200, "maxItems": 200, "description": "float32, 200"}),
        (nn.Embedding(9, 2), {"type": "array", "items": {"type": "integer"}, "description": "int64, any"}),
        (nn.Conv1d(3, 2, 5), {"type": "array", "items": {"type": "array", "items": NUMBER}, "minItems": 3, "maxItems": 3, "description": "float32, 3 x any"}),
        (nn.LSTM(3, 2), {"type": "array", "description": "float32, unknown shape"}),
    ],
    ids=["one", "long", "embedding", "convolution", "lstm"],
)  # fmt: skip
def test_first_layer_defines_input(layer, schema):
    assert fields(nn.Sequential(layer, nn.Linear(2, 1))) == {"input": schema}


def test_sample_defines_unknown_input(pictures, tmp_path):
    net = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten())
    dump(net, tmp_path / "net.flm", sample=pictures)

    model = load(tmp_path / "net.flm", trust="all")

    assert model.input_schema["properties"]["input"]["description"] == "float32, 1 x 2 x 2"
    assert len(model.predict(model.examples[0])["prediction"]) == 2


def test_module_of_unknown_input_needs_sample():
    with pytest.raises(
        InvalidModel, match="Sequential does not define the shape of its input; pass a sample"
    ):
        adapter.dumps(nn.Sequential(nn.Conv2d(1, 2, 2)))


def test_a_frame_names_the_fields(net, tmp_path):
    pandas = pytest.importorskip("pandas")
    sample = pandas.DataFrame({"age": [1.0], "income": [2.0], "debt": [3.0]})
    dump(net, tmp_path / "net.flm", sample=sample, outputs=["no"])

    model = load(tmp_path / "net.flm", trust="all")

    assert model.input_schema["required"] == ["age", "income", "debt"]
    assert model.examples == [{"age": 1.0, "income": 2.0, "debt": 3.0}]
    assert Schema(model.output_schema).violations(model.predict(model.examples[0])) == []


def test_tensors_are_fields_and_outputs_named(pictures):
    model = exported(Pair(), {"age": [[1.0], [2.0]], "pixels": pictures[:2, 0]})

    assert list(fields(model)) == ["age", "pixels"]
    [answer] = adapter.predictor(model, {})([{"age": 3, "pixels": [[1, 2], [3, 4]]}])
    assert answer == {"prediction": {"older": 4.0, "mean": 2.5}}


def test_given_output_names_are_used(pictures):
    model = exported(Pair(), {"age": [[1.0], [2.0]], "pixels": pictures[:2, 0]})

    found = adapter.schemas(model, outputs=["a", "b"])

    assert found.output["properties"]["prediction"]["required"] == ["a", "b"]


def test_export_error_is_reported():
    class Asking(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(InvalidModel, match="Asking cannot be exported: "):
        adapter.dumps(Asking(), [[1.0], [2.0]])


def test_the_description_has_no_weights(net):
    described = adapter.describe(net)

    assert described["modules"] == ["0", "1", "2", "3"]
    assert len(json.dumps(described)) < 300


def test_invalid_module_is_rejected():
    with pytest.raises(
        BrokenModel, match=r"PyTorch 2[\w.+]+ cannot build the model \(BadZipFile\)"
    ):
        adapter.loads(b"no archive", "all")


def test_untrusted_program_is_rejected():
    path = FOLDER / SAMPLE["file"]

    with pytest.raises(Untrusted, match="is a PyTorch program, which can run any"):
        load(path)

    assert load(path, sha256=SAMPLE["sha256"]).meta.framework.lib == "torch"

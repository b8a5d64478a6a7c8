"""Files written by Modelhost are read by the real Flama, in a separate environment."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from mlmodel import dump, load
from tests import ROOT
from tests.flm_files import CODECS, IRIS_ROW, WHEN, iris_classifier

PYTHON = os.environ.get("FLAMA_PYTHON", str(ROOT / ".venv-flama" / "bin" / "python"))

pytestmark = pytest.mark.skipif(
    not Path(PYTHON).exists(), reason="Flama is not installed; install it with: make flama"
)

FILES = [(protocol, codec) for protocol in (1, 2) for codec in CODECS]

#: Prints the contents that Flama reads from files, as JSON.
READER = """
import json, sys
from pathlib import Path
import flama

def read(path):
    artifact = flama.load(path=path)
    meta, row = artifact.meta, json.loads(sys.argv[1])
    return {
        "id": meta.id,
        "timestamp": meta.timestamp.isoformat(),
        "framework": [meta.framework.lib, meta.framework.version],
        "model": [meta.model.obj, meta.model.info, meta.model.params, meta.model.metrics],
        "extra": meta.extra,
        "artifacts": {name: Path(at).read_text() for name, at in artifact.artifacts.items()},
        "prediction": artifact.model.predict([row])[0],
        "shares": artifact.model.predict_proba([row])[0].tolist(),
    }

print(json.dumps({path: read(path) for path in sys.argv[2:]}))
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The paths of files that we wrote, by protocol and codec."""
    folder = tmp_path_factory.mktemp("flama")
    (folder / "labels.csv").write_text("label\nsetosa\n")
    (folder / "empty.txt").touch()
    for protocol, codec in FILES:
        dump(
            iris_classifier(),
            folder / f"{codec}-{protocol}.flm",
            codec,
            model_id="iris",
            timestamp=WHEN,
            params={"C": 1.0},
            metrics={"accuracy": 0.97},
            extra={"name": "Iris 🌺", "tags": [1, None]},
            sample=[list(IRIS_ROW.values())],
            artifacts={name: folder / name for name in ("labels.csv", "empty.txt")},
            protocol=protocol,
        )
    return {(protocol, codec): folder / f"{codec}-{protocol}.flm" for protocol, codec in FILES}


@pytest.fixture(scope="module")
def read(written):
    """The contents that Flama read, by path."""
    arguments = [json.dumps(list(IRIS_ROW.values())), *map(str, written.values())]
    return json.loads(subprocess.check_output([PYTHON, "-c", READER, *arguments]))


@pytest.mark.parametrize(("protocol", "codec"), FILES)
def test_flama_predicts_the_same(written, read, protocol, codec):
    found = read[str(written[protocol, codec])]

    answer = load(written[protocol, codec]).predict(IRIS_ROW)
    assert found["prediction"] == answer["prediction"]
    assert found["shares"] == pytest.approx(list(answer["probabilities"].values()))


@pytest.mark.parametrize(("protocol", "codec"), FILES)
def test_flama_reads_dumped_metadata(written, read, protocol, codec):
    path = written[protocol, codec]
    found, meta = read[str(path)], load(path).meta

    assert (found["id"], found["timestamp"]) == (meta.id, meta.timestamp)
    assert found["framework"] == [meta.framework.lib, meta.framework.version]
    model = meta.model
    assert found["model"] == [model.obj, model.info, model.params, model.metrics]
    assert found["extra"] == meta.extra


@pytest.mark.parametrize(("protocol", "codec"), FILES)
def test_flama_reads_dumped_artifacts(written, read, protocol, codec):
    found = read[str(written[protocol, codec])]

    assert found["artifacts"] == {"labels.csv": "label\nsetosa\n", "empty.txt": ""}


def test_flama_reads_file_with_graph(tmp_path):
    path = tmp_path / "model.flm"
    dump(iris_classifier(), path, sample=[list(IRIS_ROW.values())], runtime="onnx")
    program = "import flama, sys; print(flama.load(path=sys.argv[1]).model.predict([[5, 3, 1, 0]]))"

    said = subprocess.check_output([PYTHON, "-c", program, path], text=True)

    assert said.strip("[]\n'") in iris_classifier().classes_
    assert load(path).artifacts.keys() == {"compiled.onnx"}

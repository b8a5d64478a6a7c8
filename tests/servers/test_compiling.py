"""Models that a real server compiles after its start."""

from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

from mlmodel import dump
from tests.running_server import serving
from tests.waiting import PATIENCE, wait_until

FLOWERS, SPECIES = load_iris(return_X_y=True, as_frame=True)
ROW = FLOWERS.iloc[0].to_dict()


def test_server_compiles_slow_models(tmp_path):
    file = tmp_path / "forest.flm"
    dump(RandomForestClassifier(100, random_state=0).fit(FLOWERS, SPECIES), file, sample=FLOWERS)
    settings = {"MODELHOST_RUNTIME": "auto", "MODELHOST_CACHE_FOLDER": tmp_path / "cache"}
    text = f"models: [{{file: {file}}}]"

    with serving("granian", tmp_path, text, WORKERS=2, **settings) as server:
        first = server.ask("/api/models/forest/predict", ROW)
        wait_until(lambda: runtimes(server) == {"onnx": 2.0, "native": 0.0}, 2 * PATIENCE)
        last = server.ask("/api/models/forest/predict", ROW)

    assert first == last
    assert len(list((tmp_path / "cache").glob("*.json"))) == 1


def runtimes(server):
    """Return the number of processes in which each runtime predicts."""
    status, text = server.ask("/metrics")
    assert status == 200, server.log
    lines = [line for line in text.splitlines() if line.startswith("modelhost_model_runtimes{")]
    return {line.split('runtime="')[1].split('"')[0]: float(line.split()[-1]) for line in lines}

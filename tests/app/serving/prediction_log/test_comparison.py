"""The numbers of clusters as truths: they are compared as classes."""

import pytest
from sklearn.cluster import Birch, KMeans

from app.serving.monitoring.truth_metrics import compute_metrics
from app.serving.prediction_log.comparison import fit, get_cell_schema
from app.serving.prediction_log.store import Record
from app.web.pages.display.truth_input import build_truth_input
from mlmodel import dump, load
from mlmodel.reference.main_value import get_truth_shape

POINTS = [[0.0, 0.0], [0.1, 0.0], [5.0, 5.0], [5.1, 5.0], [9.0, 0.0], [9.1, 0.0]]


@pytest.fixture
def schema(tmp_path):
    """The output schema of three clusters with their distances."""
    file = tmp_path / "clusters.flm"
    dump(KMeans(3, n_init=2, random_state=0).fit(POINTS), file, sample=POINTS)
    return load(file).output_schema


def test_truth_of_a_cluster_is_one_of_the_clusters(schema):
    prediction = {"prediction": 1, "distances": {"0": 2.0, "1": 0.5, "2": 3.0}}
    output = get_truth_shape(schema)

    assert fit(prediction, 2, output) == 2
    with pytest.raises(ValueError, match="must be one of 0, 1, 2, got 99"):
        fit(prediction, 99, output)
    assert get_cell_schema(schema)["enum"] == [0, 1, 2]
    assert [text for text, _ in build_truth_input(schema).choices] == ["0", "1", "2"]


def test_metrics_of_clusters_are_those_of_classes(schema):
    assert compute_metrics(records(), schema)[0].metrics == {"accuracy": 0.5}


def test_metrics_of_clusters_without_centres_are_those_of_classes(tmp_path):
    dump(Birch(n_clusters=3).fit(POINTS), tmp_path / "birch.flm", sample=POINTS)
    schema = load(tmp_path / "birch.flm").output_schema

    assert "distances" not in schema["properties"]
    assert compute_metrics(records(), schema)[0].metrics == {"accuracy": 0.5}


def records():
    prediction = {"prediction": 1, "distances": {"0": 2.0, "1": 0.5, "2": 3.0}}
    return [
        Record(0.0, "r", index, "m", "1", {}, prediction, 0.1, "", None, "api", truth)
        for index, truth in enumerate((1, 2))
    ]
